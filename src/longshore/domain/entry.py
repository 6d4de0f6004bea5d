"""What a storage says about one name in a folder."""

from __future__ import annotations

import stat
from enum import IntEnum

import msgspec


class EntryKind(IntEnum):
    FILE = 1
    FOLDER = 2
    SYMLINK = 3
    SPECIAL = 4  # device, socket, named pipe: reported, never moved


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One name of a folder with its metadata. Times are nanoseconds since 1970, sizes bytes.

    `mode` holds type and permission bits as `st_mode`. `identity` tells two states of one name
    apart on storages that have such a number (inode), else 0; names of one file (hard links) share
    it and `device`. `allocated_bytes` below `size` say that there may be holes. `link_target` is
    set for symbolic links. A value that the storage does not keep is 0. Of an outline only name and
    size are sure: it may even be a symbolic link where it says file.
    """

    name: bytes
    kind: EntryKind
    size: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    atime_ns: int
    ctime_ns: int
    identity: int = 0
    links: int = 1
    link_target: bytes = b""
    device: int = 0
    allocated_bytes: int = 0
    is_outline: bool = False


def kind_of_mode(mode: int) -> EntryKind:
    """The kind that the type bits of an `st_mode` name."""
    if stat.S_ISREG(mode):
        return EntryKind.FILE
    if stat.S_ISDIR(mode):
        return EntryKind.FOLDER
    if stat.S_ISLNK(mode):
        return EntryKind.SYMLINK
    return EntryKind.SPECIAL
