"""Checksums made while the bytes pass by."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from typing import Protocol

import xxhash

from longshore.domain.checksum import ChecksumKind


class Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """CRC-32 as ISO 3309 and zip define it, four bytes, most significant first."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_MAKERS: dict[ChecksumKind, Callable[[], Digest]] = {
    ChecksumKind.CRC32: Crc32,
    ChecksumKind.MD5: lambda: hashlib.md5(usedforsecurity=False),
    ChecksumKind.SHA256: hashlib.sha256,
    ChecksumKind.XXHASH64: xxhash.xxh64,
}


class Hasher:
    """XXH3-128, which every file gets, and the checksum that was asked for."""

    def __init__(self, kind: ChecksumKind) -> None:
        self._fast = xxhash.xxh3_128()
        self._asked = _MAKERS[kind]() if kind in _MAKERS else None

    def update(self, data: memoryview) -> None:
        self._fast.update(data)
        if self._asked is not None:
            self._asked.update(data)

    def xxh3_128(self) -> bytes:
        return self._fast.digest()

    def checksum(self) -> bytes:
        """Of the kind that was asked for; empty if none was."""
        return self._asked.digest() if self._asked is not None else b""
