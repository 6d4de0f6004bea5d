"""Extended attributes and POSIX ACLs of files on a POSIX storage, as raw names and values.

Linux shows ACLs as the attributes `system.posix_acl_access` and `system.posix_acl_default`; their
bytes are the same on every file system, so they travel like the others.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

ACCESS_LIST: Final = b"system.posix_acl_access"
DEFAULT_ACCESS_LIST: Final = b"system.posix_acl_default"

_ACCESS_LISTS: Final = (ACCESS_LIST, DEFAULT_ACCESS_LIST)
_NAMESPACES: Final = (b"user.", b"trusted.", b"security.", *_ACCESS_LISTS)

# Labels and signatures that the machine's own policy gives to each file: those of the source mean
# nothing on another machine. Other namespaces are the file system's word about its own layout.
_POLICY: Final = (b"security.selinux", b"security.SMACK64", b"security.ima", b"security.evm")

# What a file system answers that has none of this kind, no room for it, or not for this user.
_NOT_KEPT: Final = frozenset(
    {
        errno.EPERM,
        errno.EACCES,
        errno.EINVAL,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.E2BIG,
        errno.ERANGE,
        errno.ENOSPC,  # attributes have a small place of their own on many file systems
        errno.EDQUOT,
    }
)
_NOT_READ: Final = frozenset(
    {errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP}
)

_ACL_ENTRY: Final = struct.Struct("<HHI")  # tag, permissions, id; after four bytes of version
_ACL_HEADER_BYTES: Final = 4
_ACL_GROUP: Final = 0x04
_ACL_MASK: Final = 0x10

Place = int | bytes
"""A descriptor, or a path that leads to the file."""


def read_attributes(place: Place, *, follow: bool = True) -> dict[bytes, bytes]:
    """Name and value of every attribute that belongs to the file and may be read."""
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NOT_READ:
            return {}
        raise
    found = {}
    for name in map(os.fsencode, names):
        if is_moved(name):
            value = _read(place, name, follow=follow)
            if value is not None:
                found[name] = value
    return found


def is_moved(name: bytes) -> bool:
    """Whether the attribute belongs to the file rather than to its file system or machine."""
    return name.startswith(_NAMESPACES) and not name.startswith(_POLICY)


def set_attributes(
    place: Place, attributes: Mapping[bytes, bytes], *, follow: bool = True
) -> list[bytes]:
    """Set attributes; the names of those that could not be kept."""
    return [
        name for name, value in attributes.items() if not _set(place, name, value, follow=follow)
    ]


def take_away(place: Place, names: Iterable[bytes]) -> None:
    """Remove access lists that the file only has because its folder hands them down."""
    for name in names:
        try:
            os.removexattr(place, name)
        except OSError as error:
            if error.errno not in _NOT_READ:
                raise


def take_away_others(place: Place, attributes: Mapping[bytes, bytes]) -> None:
    """Remove the access lists that are not among the attributes."""
    take_away(place, [name for name in _ACCESS_LISTS if name not in attributes])


def has_default_access_list(folder: int) -> bool:
    """Whether new files in the folder get an access list that nobody asked for."""
    try:
        os.getxattr(folder, DEFAULT_ACCESS_LIST)
    except OSError as error:
        if error.errno in _NOT_READ:
            return False
        raise
    return True


def mode_without_access_list(mode: int, access_list: bytes) -> int:
    """The permission bits that give nobody more than the access list did.

    With a list the group bits show its mask, the most that anybody named in it may do; without it
    they would give all that to the group.
    """
    group = mask = 7
    for offset in range(_ACL_HEADER_BYTES, len(access_list) - 7, _ACL_ENTRY.size):
        tag, permissions, _ = _ACL_ENTRY.unpack_from(access_list, offset)
        group = permissions if tag == _ACL_GROUP else group
        mask = permissions if tag == _ACL_MASK else mask
    return mode & ~0o070 | mode & (group & mask & 7) << 3


def _read(place: Place, name: bytes, *, follow: bool) -> bytes | None:
    try:
        return os.getxattr(place, name, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NOT_READ:
            return None
        raise


def _set(place: Place, name: bytes, value: bytes, *, follow: bool) -> bool:
    with suppress(ValueError):  # no name at all, or one with a NUL inside
        try:
            os.setxattr(place, name, value, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in _NOT_KEPT:
                raise
            return False
        return True
    return False
