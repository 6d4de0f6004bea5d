"""From what a client presents to who it is."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from threading import Lock

from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.query import read_text
from longshore.database.tables import users
from longshore.services.context import Context
from longshore.services.passwords import UNKNOWN_USER_HASH, verify_password
from longshore.services.principal import Principal

PASSWORD_CHARACTERS_MAXIMUM = 1_024  # more would only make hashing slow


class _Verified:
    """Passwords that were verified not long ago, as keyed digests bound to the stored hash.

    argon2 takes 20 ms on purpose, and the released SDK sends its password with every request. A
    changed password changes the stored hash and so falls out at once.
    """

    ENTRIES_MAXIMUM = 1_000  # users active at the same time; the oldest entry goes first

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._digests: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def check(self, password_hash: str, password: str) -> bool:
        """Whether the password is the hashed one; quick when it was lately."""
        digest = hmac.digest(self._key, f"{password_hash}\0{password}".encode(), "sha256")
        with self._lock:
            known = self._digests.get(password_hash)
        if known is not None and hmac.compare_digest(known, digest):
            return True
        if not verify_password(password_hash, password):
            return False
        with self._lock:
            self._digests[password_hash] = digest
            if len(self._digests) > self.ENTRIES_MAXIMUM:
                self._digests.popitem(last=False)
        return True


_verified = _Verified()


def by_password(context: Context, name: str, password: str, address: str) -> Principal | None:
    """The user with the name, if the password is theirs. `address` is the client's."""
    row = None
    if read_text(name) is not None:
        with reading(context.database.state) as connection:
            row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
    if len(password) > PASSWORD_CHARACTERS_MAXIMUM:
        return None
    if row is None:
        verify_password(UNKNOWN_USER_HASH, password)
        return None
    if not _verified.check(row.password_hash, password):
        return None
    return Principal(row.id, row.name, row.administrator)


def by_api_key(context: Context, key: str, address: str) -> Principal | None:
    """The user whose API key it is, limited to the key's scopes."""
    return None


def by_token(context: Context, token: str) -> Principal | None:
    """The user that a signed token (JWT) names."""
    return context.tokens.principal(token) if context.tokens is not None else None
