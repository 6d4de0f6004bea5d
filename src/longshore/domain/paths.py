"""Paths inside a storage: bytes, relative, `/` between names, `b""` for the storage's root."""

from __future__ import annotations

from longshore.domain.errors import LongshoreError

NAME_BYTES_MAXIMUM = 255  # NAME_MAX of every file system Linux ships
PATH_BYTES_MAXIMUM = 65_536  # a depth of 255 names of full length; keeps rows and messages small


class InvalidPath(LongshoreError):
    """A path that could point outside its storage or that no storage can hold."""


def join(*parts: bytes) -> bytes:
    """The parts put together; empty parts vanish."""
    return b"/".join(filter(None, parts))


def split(path: bytes) -> tuple[bytes, bytes]:
    """(parent, name); the root is its own parent and has the empty name."""
    parent, _, name = path.rpartition(b"/")
    return parent, name


def names(path: bytes) -> list[bytes]:
    """The names from the root down; none for the root."""
    return path.split(b"/") if path else []


def parse(raw: bytes) -> bytes:
    """A path as people write it, as a checked relative path. Raises InvalidPath.

    Leading, trailing and doubled slashes and `.` are dropped; `..` and NUL are refused.
    """
    kept = [name for name in raw.split(b"/") if name not in {b"", b"."}]
    if b".." in kept:
        raise InvalidPath("a path may not contain '..'")
    if b"\0" in raw:
        raise InvalidPath("a path may not contain a NUL byte")
    if any(len(name) > NAME_BYTES_MAXIMUM for name in kept):
        raise InvalidPath(f"a name may have at most {NAME_BYTES_MAXIMUM} bytes")
    if len(raw) > PATH_BYTES_MAXIMUM:
        raise InvalidPath(f"a path may have at most {PATH_BYTES_MAXIMUM} bytes")
    return b"/".join(kept)


def to_text(path: bytes) -> str:
    """The path for a JSON answer: valid UTF-8 as it is, other bytes as `\\xNN`."""
    return path.decode("utf-8", "backslashreplace")


def from_text(text: str) -> bytes:
    """The bytes of a name or path given as JSON text. Raises InvalidPath for lone surrogates."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidPath("text is not valid Unicode") from error
