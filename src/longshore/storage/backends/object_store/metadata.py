"""The metadata of files on objects: `mode`, `uid`, `gid`, the times, `custom-…`.

    mode             octal, with the type: 100644 a file, 040755 a folder, 120777 a symbolic link
    uid, gid         decimal
    atime, mtime,    seconds since 1970 with nine decimals: 1234567890.123456789
    ctime
    custom-K         the extended attribute user.K, as it is where it is printable
    custom64-…       any other extended attribute: name and value in base 64; in pieces
                     (custom64-…-1 and so on) where a store takes short values only

On S3 these are `x-amz-meta-mode` and so on. A mode in decimal (as s3fs writes it) and times without
decimals are understood, too. A symbolic link is an object that holds its target.
"""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
import xxhash

from longshore.domain.entry import EntryKind, kind_of_mode
from longshore.storage.backends.posix_attributes import (
    ACCESS_LIST,
    DEFAULT_ACCESS_LIST,
    mode_without_access_list,
)
from longshore.storage.handler import Metadata, attribute_field

CUSTOM: Final = "custom-"
CUSTOM_BASE64: Final = "custom64-"
_USER: Final = b"user."

_TYPE_BITS: Final = 0o170000
_TYPES: Final = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.FOLDER: stat.S_IFDIR,
    EntryKind.SYMLINK: stat.S_IFLNK,
}
_DEFAULT_MODES: Final = {
    EntryKind.FILE: stat.S_IFREG | 0o644,
    EntryKind.FOLDER: stat.S_IFDIR | 0o755,
    EntryKind.SYMLINK: stat.S_IFLNK | 0o777,
}
_OWNER_MAXIMUM: Final = (1 << 32) - 2  # the last value of 32 bits means "nobody said"
_TIME_MAXIMUM: Final = (1 << 63) - 1
_SECOND: Final = 1_000_000_000
_LINK_DECIMAL: Final = "41471"  # s3fs for 0o120777; in octal it would be a folder
_PLAIN_KEY: Final = re.compile(rb"[a-z0-9][a-z0-9-]*\Z")
_PLAIN_VALUE: Final = re.compile(rb"[!-~](?:[ -~]*[!-~])?\Z")
_TIME: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9})\d*)?\Z")


class Limits(Protocol):
    """What of an object's metadata a provider bears, in bytes."""

    @property
    def metadata_bytes_maximum(self) -> int: ...

    @property
    def metadata_value_bytes_maximum(self) -> int: ...


class FileMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the metadata of an object says of the file; None where it says nothing."""

    mode: int | None = None  # with the type bits, if it had any
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    atime_ns: int | None = None
    ctime_ns: int | None = None

    def kind(self) -> EntryKind:
        """What the object stands for; anything unknown is a file."""
        found = EntryKind.FILE if self.mode is None else kind_of_mode(self.mode)
        return EntryKind.FILE if found is EntryKind.SPECIAL else found

    def full_mode(self, kind: EntryKind) -> int:
        """The `st_mode`: what is missing is what the system gives to new files."""
        if self.mode is None:
            return _DEFAULT_MODES[kind]
        return _TYPES[kind] | stat.S_IMODE(self.mode)


_NOTHING_SAID: Final = FileMetadata()


def decode(metadata: Mapping[str, str]) -> FileMetadata:
    """What the metadata of an object says, whoever wrote it. Nonsense counts as not there."""
    if not metadata:
        return _NOTHING_SAID
    return FileMetadata(
        mode=_mode(metadata.get("mode", "")),
        uid=_owner(metadata.get("uid", "")),
        gid=_owner(metadata.get("gid", "")),
        mtime_ns=_time(metadata.get("mtime", "")),
        atime_ns=_time(metadata.get("atime", "")),
        ctime_ns=_time(metadata.get("ctime", "")),
    )


def has_attributes(metadata: Mapping[str, str]) -> bool:
    """Whether extended attributes may be among the metadata."""
    return any(key.startswith((CUSTOM, CUSTOM_BASE64)) for key in metadata)


def decode_attributes(metadata: Mapping[str, str]) -> dict[bytes, bytes]:
    """The extended attributes among the metadata, by their whole names."""
    found: dict[bytes, bytes] = {}
    for key, value in metadata.items():
        if key.startswith(CUSTOM):
            found[_USER + key.removeprefix(CUSTOM).encode()] = value.encode()
        elif key.startswith(CUSTOM_BASE64) and key.count("-") == 1:
            pair = _unpacked(value + _further_pieces(metadata, key))
            if pair is not None:
                found[pair[0]] = pair[1]
    return found


def encode(
    wanted: Metadata,
    kind: EntryKind,
    *,
    before: Mapping[str, str],
    limits: Limits,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The metadata of the object, and the fields of `wanted` that it does not keep.

    What `before` says stays where `wanted` says nothing; keys of other programs stay as they are.
    """
    metadata = dict(before)
    lost: list[str] = []
    if wanted.attributes is not None:
        _take_away_access_lists(metadata)
    if wanted.mode is not None:
        metadata["mode"] = f"{_TYPES[kind] | stat.S_IMODE(wanted.mode):06o}"
    elif kind is not EntryKind.FILE:
        metadata.setdefault("mode", f"{_DEFAULT_MODES[kind]:06o}")
    for field, owner in (("uid", wanted.uid), ("gid", wanted.gid)):
        if owner is not None and 0 <= owner <= _OWNER_MAXIMUM:
            metadata[field] = str(owner)
        elif owner is not None:
            lost.append(field)
    for field, time_ns in (("mtime", wanted.mtime_ns), ("atime", wanted.atime_ns)):
        if time_ns is not None and abs(time_ns) <= _TIME_MAXIMUM:
            metadata[field] = _time_text(time_ns)
        elif time_ns is not None:
            lost.append(f"{field}_ns")
    if wanted.ctime_ns is not None and abs(wanted.ctime_ns) <= _TIME_MAXIMUM:
        metadata["ctime"] = _time_text(wanted.ctime_ns)
    attributes = wanted.attributes or {}
    lost += _add_attributes(metadata, attributes, kind, limits)
    if wanted.mode is not None and attribute_field(ACCESS_LIST) in lost:
        # Nobody may get more by the mode alone than the lost list gave.
        mode = mode_without_access_list(wanted.mode, attributes[ACCESS_LIST])
        if mode != wanted.mode:
            metadata["mode"] = f"{_TYPES[kind] | stat.S_IMODE(mode):06o}"
            lost.append("mode")
    return metadata, tuple(lost)


def size_of(metadata: Mapping[str, str]) -> int:
    """The bytes that providers count against their limit."""
    return sum(len(key) + len(value) for key, value in metadata.items())


def _add_attributes(
    metadata: dict[str, str], attributes: Mapping[bytes, bytes], kind: EntryKind, limits: Limits
) -> list[str]:
    lost = []
    for name, value in sorted(attributes.items()):
        more = _custom(name, value, limits.metadata_value_bytes_maximum)
        for key in _keys_of(metadata, more):
            del metadata[key]
        if kind is EntryKind.SYMLINK or size_of(metadata | more) > limits.metadata_bytes_maximum:
            lost.append(attribute_field(name))
        else:
            metadata |= more
    return lost


def _custom(name: bytes, value: bytes, value_bytes_maximum: int) -> dict[str, str]:
    own = name.removeprefix(_USER)
    if (
        name.startswith(_USER)
        and len(value) <= value_bytes_maximum
        and _PLAIN_KEY.match(own)
        and _PLAIN_VALUE.match(value)
    ):
        return {CUSTOM + own.decode(): value.decode()}
    key = _base64_key(name)
    text = f"{_base64(name)}.{_base64(value)}"
    steps = range(0, len(text), value_bytes_maximum)
    pieces = [text[start : start + value_bytes_maximum] for start in steps]
    return {f"{key}-{n}" if n else key: piece for n, piece in enumerate(pieces)}


def _base64_key(name: bytes) -> str:
    """The key only has to differ from others: the value holds the name, too."""
    return CUSTOM_BASE64 + xxhash.xxh3_64_hexdigest(name)


_ACCESS_LIST_KEYS: Final = tuple(map(_base64_key, (ACCESS_LIST, DEFAULT_ACCESS_LIST)))


def _further_pieces(metadata: Mapping[str, str], key: str) -> str:
    pieces: list[str] = []
    while (piece := metadata.get(f"{key}-{len(pieces) + 1}")) is not None:
        pieces.append(piece)
    return "".join(pieces)


def _keys_of(metadata: Mapping[str, str], attribute: Mapping[str, str]) -> list[str]:
    """All keys that an earlier value of the attribute has taken."""
    first = next(iter(attribute))
    return [key for key in metadata if key == first or key.startswith(first + "-")]


def _take_away_access_lists(metadata: dict[str, str]) -> None:
    for first in _ACCESS_LIST_KEYS:
        for key in _keys_of(metadata, {first: ""}):
            del metadata[key]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unpacked(text: str) -> tuple[bytes, bytes] | None:
    name, _, value = text.partition(".")
    try:
        return base64.b64decode(name, validate=True), base64.b64decode(value, validate=True)
    except ValueError:
        return None


def _mode(text: str) -> int | None:
    """Octal as rclone writes it, or decimal as s3fs does: the type bits tell which."""
    if not text.isascii() or not text.isdigit() or len(text) > 7:
        return None
    is_octal = "8" not in text and "9" not in text and text != _LINK_DECIMAL
    octal = int(text, 8) if is_octal else -1
    if octal & _TYPE_BITS in _TYPES.values() and is_octal:
        return octal
    if int(text) & _TYPE_BITS in _TYPES.values() and int(text) <= 0o177777:
        return int(text)
    return octal if 0 <= octal <= 0o7777 else None


def _owner(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return min(int(text), _OWNER_MAXIMUM)


def _time(text: str) -> int | None:
    match = _TIME.match(text)
    if match is None:
        return None
    sign, seconds, decimals = match.groups()
    value = int(seconds) * _SECOND + int((decimals or "").ljust(9, "0"))
    return -value if sign else value


def _time_text(time_ns: int) -> str:
    seconds, decimals = divmod(abs(time_ns), _SECOND)
    return f"{'-' if time_ns < 0 else ''}{seconds}.{decimals:09d}"
