"""A JSON Web Key Set: the public keys of an issuer, read from a file or a URL and kept a while.

When the set cannot be read, the keys known so far stay in force: an issuer that is down for a
moment locks nobody out, and its tokens run out by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from longshore.observability import logger
from longshore.services.token_keys import RSA_BITS_MINIMUM, VerificationKey

TIMEOUT_SECONDS = 5.0  # of one step of reading a URL; requests wait for it
DOCUMENT_BYTES_MAXIMUM = 1024 * 1024
KEYS_MAXIMUM = 100
RETRY_SECONDS = 10.0  # between two readings that unknown key ids or failures ask for

_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256"}


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


class KeySet:
    """The keys of one set. Safe to use from several threads.

    One of them reads the set; others go on with the keys known so far, and wait only where there
    are none yet.
    """

    def __init__(self, source: str, clock: Callable[[], float], *, cache_seconds: float) -> None:
        self._source = source
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._keys: list[VerificationKey] = []
        self._fresh_until = -inf
        self._next_attempt = -inf
        self._reading = Lock()

    def matching(self, key_id: object) -> list[VerificationKey]:
        """The keys that a token with this key id may be signed with; all of them without an id.

        An id that is not known has the set read again, at most every RETRY_SECONDS: issuers
        change their keys.
        """
        if self._clock() >= self._fresh_until:
            self._read_if_allowed()
        found = self._named(key_id)
        if not found:
            self._read_if_allowed()
            found = self._named(key_id)
        return found

    def _named(self, key_id: object) -> list[VerificationKey]:
        return [key for key in self._keys if key_id is None or key.id == key_id]

    def _read_if_allowed(self) -> None:
        if not self._reading.acquire(blocking=not self._keys):
            return
        try:
            if self._clock() >= self._next_attempt:
                self._read()
        finally:
            self._reading.release()

    def _read(self) -> None:
        now = self._clock()
        self._next_attempt = now + RETRY_SECONDS
        try:
            self._keys = _parsed(self._document())
        except (OSError, ValueError, httpx.HTTPError) as error:
            logger("tokens").warning(
                "key set cannot be read", source=self._source, reason=str(error)
            )
        else:
            self._fresh_until = now + self._cache_seconds

    def _document(self) -> bytes:
        if not self._source.startswith(("http://", "https://")):
            return Path(self._source).read_bytes()
        with httpx.stream("GET", self._source, timeout=TIMEOUT_SECONDS) as response:
            response.raise_for_status()
            document = bytearray()
            for piece in response.iter_bytes():
                document += piece
                if len(document) > DOCUMENT_BYTES_MAXIMUM:
                    raise ValueError(f"the key set has more than {DOCUMENT_BYTES_MAXIMUM} bytes")
            return bytes(document)


def _parsed(document: bytes) -> list[VerificationKey]:
    """The set's signature keys of a kind that we know; others are skipped."""
    try:
        listed = msgspec.json.decode(document, type=_Document).keys
    except msgspec.MsgspecError as error:
        raise ValueError(f"the document is not a key set: {error}") from error
    keys = [_key(each) for each in listed[:KEYS_MAXIMUM]]
    return [key for key in keys if key is not None]


def _key(described: dict[str, Any]) -> VerificationKey | None:
    algorithm = _ALGORITHMS.get((str(described.get("kty")), described.get("crv")))
    if algorithm is None or described.get("use", "sig") != "sig":
        return None
    if described.get("alg", algorithm) != algorithm or "d" in described:
        return None
    try:
        key = jwt.PyJWK(described, algorithm).key
    except jwt.PyJWTError:
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS_MINIMUM:
        return None
    key_id = described.get("kid")
    return VerificationKey(algorithm, key, key_id if isinstance(key_id, str) else None)
