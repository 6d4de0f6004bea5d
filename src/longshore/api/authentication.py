"""The `Authorization` header: HTTP Basic, an API key, or a JWT as bearer.

Basic base64(user:password)   read as UTF-8; where that fails to log in, as Latin-1
Bearer a.b.c                  a JWT if it verifies, else an API key
Bearer KEY, or just KEY       an API key
"""

from __future__ import annotations

import base64
import binascii
import re

from longshore.services import credentials
from longshore.services.context import Context
from longshore.services.errors import Unauthorized
from longshore.services.principal import Principal

HEADER_CHARACTERS_MAXIMUM = 16_384  # a JWT with many claims; more is no credential
REALM = "Longshore"

_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def authenticate(context: Context, authorization: str | None, address: str) -> Principal:
    """Who sent the header. Raises Unauthorized, TooManyAttempts."""
    if not authorization or len(authorization) > HEADER_CHARACTERS_MAXIMUM:
        raise Unauthorized
    scheme, _, rest = authorization.strip().partition(" ")
    match scheme.lower():
        case "basic":
            principal = _by_basic(context, rest.strip(), address)
        case "bearer":
            principal = _by_bearer(context, rest.strip(), address)
        case _:
            principal = credentials.by_api_key(context, authorization.strip(), address)
    if principal is None:
        raise Unauthorized
    return principal


def _by_bearer(context: Context, value: str, address: str) -> Principal | None:
    if _JWT.fullmatch(value):
        principal = credentials.by_token(context, value)
        if principal is not None:
            return principal
    return credentials.by_api_key(context, value, address)


def _by_basic(context: Context, encoded: str, address: str) -> Principal | None:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    for text in _readings(raw):
        name, colon, password = text.partition(":")
        if not colon:
            return None
        principal = credentials.by_password(context, name, password, address)
        if principal is not None:
            return principal
    return None


def _readings(raw: bytes) -> list[str]:
    """The bytes as UTF-8 and as Latin-1, without saying the same thing twice."""
    latin = raw.decode("latin-1")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return [latin]
    return [text] if text == latin else [text, latin]
