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


def is_unchanged(before: Entry, now: Entry, *, change_times: bool) -> bool:
    """Whether two looks at an opened file, or at one name, show the same state of it.

    `change_times` says that the storage tells the time of change, which shows what size and time of
    modification hide. Only not where a name was added or removed, as a move does with its sources:
    that changes the time for all other names.
    """
    if (before.size, before.mtime_ns) != (now.size, now.mtime_ns):
        return False
    is_told = change_times and before.links == now.links
    return not (is_told and before.ctime_ns and now.ctime_ns and before.ctime_ns != now.ctime_ns)


def kind_of_mode(mode: int) -> EntryKind:
    """The kind that the type bits of an `st_mode` name."""
    if stat.S_ISREG(mode):
        return EntryKind.FILE
    if stat.S_ISDIR(mode):
        return EntryKind.FOLDER
    if stat.S_ISLNK(mode):
        return EntryKind.SYMLINK
    return EntryKind.SPECIAL
