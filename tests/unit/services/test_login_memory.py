from __future__ import annotations

from longshore.services import login_memory
from longshore.services.login_memory import FailedLogins, VerifiedPasswords
from longshore.services.passwords import hash_password


def fail(failures: FailedLogins, times: int, name: str = "ulla", address: str = "a") -> None:
    for _ in range(times):
        failures.failed(name, address, 1000.0)


def test_waits_double_up_to_a_limit() -> None:
    failures = FailedLogins()
    fail(failures, login_memory.FREE_FAILURES - 1)
    waits = []
    for _ in range(12):
        waits.append(failures.wait_seconds("ulla", "a", 1000.0))
        fail(failures, 1)
    assert waits == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert failures.wait_seconds("ulla", "b", 1000.0) == 0
    assert failures.wait_seconds("omar", "a", 1000.0) == 0


def test_a_series_ends_by_success_and_by_time() -> None:
    failures = FailedLogins()
    fail(failures, 10)
    assert failures.wait_seconds("ulla", "a", 1000.0 + login_memory.FORGET_SECONDS + 1) == 0
    failures.succeeded("ulla", "a")
    assert failures.wait_seconds("ulla", "a", 1000.0) == 0


def test_one_address_cannot_try_many_users_for_ever() -> None:
    failures = FailedLogins()
    for number in range(login_memory.ADDRESS_FREE_FAILURES):
        assert failures.wait_seconds(f"user-{number}", "a", 1000.0) == 0
        failures.failed(f"user-{number}", "a", 1000.0)
    assert failures.wait_seconds("another", "a", 1000.0) == 1
    assert failures.wait_seconds("another", "b", 1000.0) == 0


def test_the_table_of_failures_does_not_grow_without_end() -> None:
    failures = FailedLogins()
    for number in range(login_memory.FAILURES_MAXIMUM + 50):
        failures.failed("ulla", f"address-{number}", 1000.0)
    assert len(failures._series) == login_memory.FAILURES_MAXIMUM


def test_a_verified_password_is_remembered_for_its_hash_only() -> None:
    verified = VerifiedPasswords()
    old, new = hash_password("first-password"), hash_password("second-password")
    assert verified.check(old, "first-password", 0.0)
    assert verified.check(old, "first-password", 1.0)
    assert not verified.check(old, "second-password", 1.0)
    assert not verified.check(new, "first-password", 1.0)
    assert verified.check(old, "first-password", login_memory.VERIFIED_SECONDS + 1.0)
    assert not verified.check("", "", 0.0)
