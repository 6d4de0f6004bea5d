"""The metadata of files on objects: `mode`, `uid`, `gid`, `atime`, `mtime`, `custom-…`.

    mode             octal, with the type: 100644 a file, 040755 a folder, 120777 a symbolic link
    uid, gid         decimal
    atime, mtime     seconds since 1970 with nine decimals: 1234567890.123456789
    custom-K         the extended attribute user.K, as it is where it is printable
    custom64-…       any other extended attribute: name and value in base 64

On S3 these are `x-amz-meta-mode` and so on. A mode in decimal (as s3fs writes it) and times without
decimals are understood, too. A symbolic link is an object that holds its target.
"""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Mapping
from typing import Final

import msgspec
import xxhash

from longshore.domain.entry import EntryKind, kind_of_mode
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


class FileMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the metadata of an object says of the file; None where it says nothing."""

    mode: int | None = None  # with the type bits, if it had any
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    atime_ns: int | None = None

    def kind(self) -> EntryKind:
        """What the object stands for; anything unknown is a file."""
        found = EntryKind.FILE if self.mode is None else kind_of_mode(self.mode)
        return EntryKind.FILE if found is EntryKind.SPECIAL else found

    def full_mode(self, kind: EntryKind) -> int:
        """The `st_mode`: what is missing is what the system gives to new files."""
        if self.mode is None:
            return _DEFAULT_MODES[kind]
        return _TYPES[kind] | stat.S_IMODE(self.mode)


def decode(metadata: Mapping[str, str]) -> FileMetadata:
    """What the metadata of an object says, whoever wrote it. Nonsense counts as not there."""
    return FileMetadata(
        mode=_mode(metadata.get("mode", "")),
        uid=_owner(metadata.get("uid", "")),
        gid=_owner(metadata.get("gid", "")),
        mtime_ns=_time(metadata.get("mtime", "")),
        atime_ns=_time(metadata.get("atime", "")),
    )


def decode_attributes(metadata: Mapping[str, str]) -> dict[bytes, bytes]:
    """The extended attributes among the metadata, by their whole names."""
    found: dict[bytes, bytes] = {}
    for key, value in metadata.items():
        if key.startswith(CUSTOM):
            found[_USER + key.removeprefix(CUSTOM).encode()] = value.encode()
        elif key.startswith(CUSTOM_BASE64):
            pair = _unpacked(value)
            if pair is not None:
                found[pair[0]] = pair[1]
    return found


def encode(
    wanted: Metadata,
    kind: EntryKind,
    *,
    before: Mapping[str, str],
    bytes_maximum: int,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The metadata of the object, and the fields of `wanted` that it does not keep.

    What `before` says stays where `wanted` says nothing; keys of other programs stay as they are.
    """
    metadata = dict(before)
    lost: list[str] = []
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
    attributes = wanted.attributes or {}
    lost += _add_attributes(metadata, attributes, kind, bytes_maximum)
    return metadata, tuple(lost)


def size_of(metadata: Mapping[str, str]) -> int:
    """The bytes that providers count against their limit."""
    return sum(len(key) + len(value) for key, value in metadata.items())


def _add_attributes(
    metadata: dict[str, str], attributes: Mapping[bytes, bytes], kind: EntryKind, maximum: int
) -> list[str]:
    lost = []
    for name, value in sorted(attributes.items()):
        key, text = _custom(name, value)
        more = {**metadata, key: text}
        if kind is EntryKind.SYMLINK or size_of(more) > maximum:
            lost.append(attribute_field(name))
        else:
            metadata[key] = text
    return lost


def _custom(name: bytes, value: bytes) -> tuple[str, str]:
    own = name.removeprefix(_USER)
    if name.startswith(_USER) and _PLAIN_KEY.match(own) and _PLAIN_VALUE.match(value):
        return CUSTOM + own.decode(), value.decode()
    # The key only has to differ from others: the value holds the name, too.
    key = xxhash.xxh3_64_hexdigest(name)
    return f"{CUSTOM_BASE64}{key}", f"{_base64(name)}.{_base64(value)}"


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
