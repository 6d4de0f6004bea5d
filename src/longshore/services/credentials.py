"""From what a client presents to who it is."""

from __future__ import annotations

import hashlib
import hmac

from longshore.database import users as user_rows
from longshore.database.connection import looking
from longshore.database.query import read_text
from longshore.database.users import User
from longshore.services.api_keys import hash_key, scopes_of
from longshore.services.context import Context
from longshore.services.errors import TooManyAttempts
from longshore.services.passwords import UNKNOWN_USER_HASH, verify_password
from longshore.services.principal import Principal
from longshore.services.users import (
    NAME_CHARACTERS_MAXIMUM,
    PASSWORD_CHARACTERS_MAXIMUM,
    ensure_administrator,
)

__all__ = ["by_api_key", "by_password", "by_token", "ensure_administrator"]


def by_password(context: Context, name: str, password: str, address: str) -> Principal | None:
    """The user with the name, if the password is theirs. `address` is the client's.

    Raises TooManyAttempts, at once and whatever the password, after repeated failures.
    """
    failures, now = context.logins.failures, context.monotonic()
    key = _short(name)
    wait = failures.wait_seconds(key, address, now)
    if wait > 0:
        raise TooManyAttempts(wait)
    user = _user_with_password(context, name, password, now)
    if user is None:
        failures.failed(key, address, now)
        return None
    failures.succeeded(key, address)
    return Principal(user.id, user.name, user.administrator)


def by_api_key(context: Context, key: str, address: str) -> Principal | None:
    """The user whose API key it is, limited to the key's scopes.

    Keys are random numbers of 256 bits, so there is nothing to slow down.
    """
    key_hash = hash_key(key)
    with looking(context.database.state) as connection:
        found = user_rows.key_with_hash(connection, key_hash)
        user = None if found is None else user_rows.fetch(connection, found.user_id)
    if found is None or user is None or not hmac.compare_digest(found.key_hash, key_hash):
        return None
    return Principal(user.id, user.name, user.administrator, scopes_of(found) or None)


def by_token(context: Context, token: str) -> Principal | None:
    """The user that a signed token (JWT) names."""
    return context.tokens.principal(token) if context.tokens is not None else None


def _user_with_password(context: Context, name: str, password: str, now: float) -> User | None:
    if len(password) > PASSWORD_CHARACTERS_MAXIMUM or len(name) > NAME_CHARACTERS_MAXIMUM:
        return None
    user = None
    if read_text(name) is not None:
        with looking(context.database.state) as connection:
            user = user_rows.fetch_named(connection, name)
    if user is None or not user.password_hash:
        verify_password(UNKNOWN_USER_HASH, password)  # as slow as a wrong password
        return None
    right = context.logins.verified.check(user.password_hash, password, now)
    return user if right else None


def _short(name: str) -> str:
    """A name of bounded length to count failures by."""
    if len(name) <= NAME_CHARACTERS_MAXIMUM:
        return name
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
