"""The bandwidth limit, on a clock that only moves when somebody sleeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.storage import StorageKind, StorageReference
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.wrappers.throttled import (
    BURST_SECONDS,
    PIECE_BYTES_MINIMUM,
    PIECE_SECONDS,
    SLEEP_SECONDS_MAXIMUM,
    Bandwidth,
    ThrottledStorage,
)
from tests.contract.storage.deeds import TEMPORARY, content_of, put, read


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.longest_sleep = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.longest_sleep = max(self.longest_sleep, seconds)
        self.now += seconds


def limited(clock: Clock, rate: float | None) -> Bandwidth:
    return Bandwidth(rate, clock=clock.time, sleep=clock.sleep)


@given(
    rate=st.integers(1_000, 1_000_000_000),
    amounts=st.lists(st.integers(0, 100_000), max_size=20),
)
def test_no_more_passes_than_the_limit_and_no_time_is_wasted(rate: int, amounts: list[int]) -> None:
    clock = Clock()
    bandwidth = limited(clock, rate)
    for amount in amounts:
        bandwidth.take(amount)
    assert (clock.now - 1_000) * rate == pytest.approx(sum(amounts), abs=2)


def test_unused_bandwidth_is_saved_for_a_short_burst_only() -> None:
    clock = Clock()
    bandwidth = limited(clock, 10_000_000)
    clock.now += 3_600
    bandwidth.take(int(10_000_000 * BURST_SECONDS))
    assert clock.now == 4_600
    bandwidth.take(10_000_000)
    assert clock.now == pytest.approx(4_601, abs=0.002)


def test_unused_bandwidth_of_a_low_limit_is_saved_for_one_piece() -> None:
    clock = Clock()
    bandwidth = limited(clock, 1_000)
    clock.now += 3_600
    bandwidth.take(PIECE_BYTES_MINIMUM)
    assert clock.now == 4_600
    bandwidth.take(1_000)
    assert clock.now == pytest.approx(4_601, abs=0.002)


def test_no_limit_never_sleeps() -> None:
    clock = Clock()
    limited(clock, None).take(1 << 60)
    assert clock.now == 1_000


def test_a_raised_limit_acts_on_the_debt_that_is_slept_off() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now >= 1_010:
            bandwidth.bytes_per_second = 1_000_000

    bandwidth = Bandwidth(1_000, clock=clock.time, sleep=sleep)
    bandwidth.take(1_010_000)  # 1,010 seconds at the old limit
    assert 1_010 <= clock.now < 1_010 + 1 + 2 * SLEEP_SECONDS_MAXIMUM
    assert clock.longest_sleep <= SLEEP_SECONDS_MAXIMUM


def test_a_limit_can_be_taken_away_while_somebody_sleeps() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        bandwidth.bytes_per_second = None

    bandwidth = Bandwidth(1, clock=clock.time, sleep=sleep)
    bandwidth.take(1_000_000)
    assert clock.now == 1_000 + SLEEP_SECONDS_MAXIMUM


def test_a_clock_set_back_earns_nothing() -> None:
    clock = Clock()
    bandwidth = limited(clock, 1_000)
    clock.now -= 500
    bandwidth.take(2_000)
    assert clock.now == pytest.approx(502, abs=0.002)


@pytest.mark.parametrize("rate", [0, -1])
def test_a_limit_of_nothing_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        limited(Clock(), rate)
    bandwidth = limited(Clock(), 1)
    with pytest.raises(ValueError, match="above 0"):
        bandwidth.bytes_per_second = rate


def test_reading_writing_and_reading_back_count(tmp_path: Path) -> None:
    clock = Clock()
    reference = StorageReference(StorageKind.NAS_SHARE, 7)
    with PosixStorage(reference, bytes(tmp_path)) as inner:
        storage = ThrottledStorage(inner, limited(clock, 1_000))
        put(storage, b"file", b"x" * 2_000)
        assert clock.now == pytest.approx(1_002, abs=0.01)
        assert read(storage, b"file") == b"x" * 2_000
        assert clock.now == pytest.approx(1_004, abs=0.01)
        with storage.open_folder(b"") as folder:
            with folder.stage(TEMPORARY, size=1_000) as staged:
                staged.write(memoryview(b"y" * 1_000), 0)
                assert content_of(staged) == b"y" * 1_000
                staged.abort()
        assert clock.now == pytest.approx(1_006, abs=0.01)


def test_nobody_sleeps_beyond_the_deadline_and_what_is_owed_is_told() -> None:
    clock = Clock()
    bandwidth = Bandwidth(1_000, clock=clock.time, sleep=clock.sleep, deadline=clock.now + 2)
    bandwidth.take(5_000)
    assert clock.now == pytest.approx(1_002)
    assert bandwidth.owed_bytes() == pytest.approx(3_000)
    bandwidth.take(1_000)
    assert clock.now == pytest.approx(1_002)
    assert bandwidth.owed_bytes() == pytest.approx(4_000)


def test_without_a_limit_nothing_is_owed() -> None:
    bandwidth = limited(Clock(), None)
    bandwidth.take(10**12)
    assert bandwidth.owed_bytes() == 0


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (None, 4_000_000),
        (1_000, PIECE_BYTES_MINIMUM),
        (10_000_000, int(10_000_000 * PIECE_SECONDS)),
        (10**12, 4_000_000),
    ],
)
def test_a_low_limit_passes_in_small_pieces(rate: float | None, expected: int) -> None:
    assert limited(Clock(), rate).piece_bytes(4_000_000) == expected


def test_long_reads_and_writes_are_cut_and_keep_their_content(tmp_path: Path) -> None:
    clock = Clock()
    reference = StorageReference(StorageKind.NAS_SHARE, 1)
    content = bytes(range(256)) * 1_024  # four pieces
    inner = PosixStorage(reference, str(tmp_path).encode())
    with ThrottledStorage(inner, limited(clock, 100_000)) as storage:
        with storage.open_folder(b"") as folder:
            with folder.stage(TEMPORARY, size=len(content)) as staged:
                staged.write(memoryview(content), 0)
                staged.commit(b"file", replace=False)
            assert clock.longest_sleep <= SLEEP_SECONDS_MAXIMUM
            with folder.open(b"file") as reader:
                buffer = bytearray(len(content))
                assert reader.read_into(memoryview(buffer), 0) == PIECE_BYTES_MINIMUM
    assert (tmp_path / "file").read_bytes() == content
