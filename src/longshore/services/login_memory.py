"""What the server remembers about logins between requests: lately verified passwords and failures.

Both live in memory only, have a limit, and belong to one Context.
"""

from __future__ import annotations

import hmac
import math
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock

from longshore.services.passwords import verify_password

VERIFIED_MAXIMUM = 1_000  # users active at the same time; the oldest goes first
VERIFIED_SECONDS = 300  # after that argon2 has its say again

FREE_FAILURES = 5  # a person's typing errors: of one user from one address
ADDRESS_FREE_FAILURES = 100  # of all users from one address, which may be a proxy of many people
FIRST_WAIT_SECONDS = 1  # after the free failures; doubles with every further one
WAIT_SECONDS_MAXIMUM = 300
FORGET_SECONDS = 900  # a series of failures ends when nothing fails for so long
FAILURES_MAXIMUM = 10_000  # series remembered; the one that is oldest goes first, about 3 MB


class VerifiedPasswords:
    """Passwords that were verified not long ago, as keyed digests bound to the stored hash.

    argon2 takes some 20 ms on purpose, and clients send the password with every request. A changed
    password changes the stored hash, so what was remembered for the old one is never asked again.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._digests: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._lock = Lock()

    def check(self, password_hash: str, password: str, now: float) -> bool:
        """Whether the password is the hashed one; quick when it was lately."""
        text = f"{password_hash}\0{password}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._key, text, "sha256")
        with self._lock:
            known, until = self._digests.get(password_hash, (b"", -math.inf))
        if now < until and hmac.compare_digest(known, digest):
            return True
        if not verify_password(password_hash, password):
            return False
        with self._lock:
            self._digests[password_hash] = (digest, now + VERIFIED_SECONDS)
            self._digests.move_to_end(password_hash)
            if len(self._digests) > VERIFIED_MAXIMUM:
                self._digests.popitem(last=False)
        return True


@dataclass(frozen=True, slots=True)
class _Series:
    """Failures that followed each other."""

    count: int
    last: float

    def wait_seconds(self, free: int, now: float) -> float:
        over = self.count - free
        if over < 0:
            return 0.0
        wait: float = min(FIRST_WAIT_SECONDS * 2.0 ** min(over, 20), WAIT_SECONDS_MAXIMUM)
        return self.last + wait - now


class FailedLogins:
    """Counts wrong passwords and says how long the next attempt has to wait.

    Nobody is made to wait here: the caller refuses at once and says when to come back.
    """

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str | None, str], _Series] = OrderedDict()
        self._lock = Lock()

    def wait_seconds(self, name: str, address: str, now: float) -> int:
        """Whole seconds until an attempt is looked at; 0 = now."""
        with self._lock:
            waits = [
                self._known(key, now).wait_seconds(free, now)
                for key, free in self._keys(name, address)
            ]
        return max(0, math.ceil(max(waits)))

    def failed(self, name: str, address: str, now: float) -> None:
        """Remember a wrong password."""
        with self._lock:
            for key, _ in self._keys(name, address):
                known = self._known(key, now)
                self._series[key] = replace(known, count=known.count + 1, last=now)
                self._series.move_to_end(key)
            while len(self._series) > FAILURES_MAXIMUM:
                self._series.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the user's failures from this address. The address keeps its own count."""
        with self._lock:
            self._series.pop((name, address), None)

    def _known(self, key: tuple[str | None, str], now: float) -> _Series:
        series = self._series.get(key)
        fresh = series is not None and now - series.last <= FORGET_SECONDS
        return series if series is not None and fresh else _Series(0, now)

    @staticmethod
    def _keys(name: str, address: str) -> list[tuple[tuple[str | None, str], int]]:
        return [((name, address), FREE_FAILURES), ((None, address), ADDRESS_FREE_FAILURES)]


class LoginMemory:
    """Both memories together."""

    def __init__(self) -> None:
        self.verified = VerifiedPasswords()
        self.failures = FailedLogins()
