"""Checksums by their public names."""

from __future__ import annotations

from enum import StrEnum


class ChecksumKind(StrEnum):
    """What the option `file_checksum` may ask for; `none` means only the internal hash."""

    NONE = "none"
    CRC32 = "crc32"
    MD5 = "md5"
    SHA256 = "sha256"
    XXHASH64 = "xxhash64"
