"""Passwords: hashed with argon2id, checked in constant time, few at once."""

from __future__ import annotations

import secrets
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

HASHES_AT_ONCE = 2  # each takes a processor for some 20 ms and MEMORY_KIBIBYTES
MEMORY_KIBIBYTES = 19_456  # with 2 passes and 1 lane: what OWASP recommends as the least
PASSES = 2

_hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIBIBYTES, parallelism=1)
_at_work = BoundedSemaphore(HASHES_AT_ONCE)


def hash_password(password: str) -> str:
    """What is stored instead of the password."""
    with _at_work:
        return _hasher.hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether the password is the hashed one."""
    try:
        with _at_work:
            return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


UNKNOWN_USER_HASH = hash_password(secrets.token_hex())
"""Checked for users that do not exist, so that they cost the same time as wrong passwords."""
