"""Metadata of POSIX files: from `stat` to Entry, and back onto a file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from typing import Final

from longshore.domain.entry import Entry, EntryKind
from longshore.storage.backends import posix_attributes
from longshore.storage.handler import Metadata, attribute_field

_KINDS: Final = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.FOLDER,
    stat.S_IFLNK: EntryKind.SYMLINK,
}
_TYPE_BITS: Final = 0o170000
_BLOCK_BYTES: Final = 512  # the unit of st_blocks, whatever the file system's own blocks are
_UNCHANGED: Final = -1  # chown's word for "leave it"

# What a file system answers that does not keep this kind of metadata, or not from this user.
_NOT_KEPT: Final = frozenset(
    {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
)


def entry_from_stat(name: bytes, found: os.stat_result, link_target: bytes = b"") -> Entry:
    """The entry for what `stat` found; a symbolic link is as long as its target."""
    # At once: looking each of them up by its name takes longer.
    mode, inode, device, links, uid, gid, size = found[:7]
    return Entry(
        name,
        _KINDS.get(mode & _TYPE_BITS, EntryKind.SPECIAL),
        len(link_target) if link_target else size,
        mode,
        uid,
        gid,
        found.st_mtime_ns,
        found.st_atime_ns,
        found.st_ctime_ns,
        inode,
        links,
        link_target,
        device,
        found.st_blocks * _BLOCK_BYTES,
    )


def entry_at(folder: int, name: bytes) -> Entry:
    """The entry of a name in the opened folder; a symbolic link itself."""
    found = os.lstat(name, dir_fd=folder)
    if stat.S_ISLNK(found.st_mode):
        return entry_from_stat(name, found, os.readlink(name, dir_fd=folder))
    return entry_from_stat(name, found)


def unreadable_entry(name: bytes) -> Entry:
    """The entry for a name that is there but tells nothing."""
    return Entry(name, EntryKind.SPECIAL, 0, 0, 0, 0, 0, 0, 0)


class Target:
    """A file or folder whose metadata is to be set: a descriptor, or a path that leads to one."""

    def __init__(self, place: int | bytes, *, folder: int | None = None) -> None:
        self.place = place
        self.folder = folder
        self.follow = folder is None  # a name in a folder is taken itself, link or not

    def stat(self) -> os.stat_result:
        return os.stat(self.place, dir_fd=self.folder, follow_symlinks=self.follow)

    def chown(self, uid: int, gid: int) -> None:
        os.chown(self.place, uid, gid, dir_fd=self.folder, follow_symlinks=self.follow)

    def chmod(self, mode: int) -> None:
        os.chmod(self.place, mode, dir_fd=self.folder)

    def set_attributes(self, attributes: Mapping[bytes, bytes]) -> list[bytes]:
        """Set them; the names of those that were not kept."""
        if not attributes:
            return []
        if self.folder is None:
            return posix_attributes.set_attributes(self.place, attributes)
        return posix_attributes.set_attributes(self._own_path(), attributes, follow=False)

    def utime(self, atime_ns: int, mtime_ns: int) -> None:
        times = (atime_ns, mtime_ns)
        os.utime(self.place, ns=times, dir_fd=self.folder, follow_symlinks=self.follow)

    def _own_path(self) -> bytes:
        """A path to the name itself: the calls for attributes take no folder's descriptor."""
        assert isinstance(self.place, bytes)
        assert self.folder is not None
        return b"/proc/self/fd/%d/%s" % (self.folder, self.place)


def apply_metadata(target: Target, metadata: Metadata) -> tuple[str, ...]:
    """Set what can be set; the names of the fields that the target does not have afterwards.

    The order matters: a change of owner clears the setuid bits and file capabilities, a mode may
    forbid its own owner to set attributes, and the times come last.
    """
    lost = _set_owner(target, metadata)
    attributes = metadata.attributes or {}
    lost_attributes = target.set_attributes(attributes)
    mode = metadata.mode
    if posix_attributes.ACCESS_LIST in lost_attributes and mode is not None:
        access_list = attributes[posix_attributes.ACCESS_LIST]
        mode = posix_attributes.mode_without_access_list(mode, access_list)
    lost += _set_mode(target, mode, lost)
    if mode != metadata.mode and "mode" not in lost:
        lost.append("mode")
    lost += _set_times(target, metadata)
    lost += [attribute_field(name) for name in lost_attributes]
    return tuple(lost)


def _set_owner(target: Target, metadata: Metadata) -> list[str]:
    if metadata.uid is None and metadata.gid is None:
        return []
    found = target.stat()
    uid = _UNCHANGED if metadata.uid in {None, found.st_uid} else metadata.uid
    gid = _UNCHANGED if metadata.gid in {None, found.st_gid} else metadata.gid
    assert uid is not None
    assert gid is not None
    if uid == gid == _UNCHANGED or _kept(target.chown, uid, gid):
        return []
    if uid == _UNCHANGED:
        return ["gid"]
    # Who may not give a file away may still pass it to a group of his own.
    if gid == _UNCHANGED or _kept(target.chown, _UNCHANGED, gid):
        return ["uid"]
    return ["uid", "gid"]


def _set_mode(target: Target, mode: int | None, lost: list[str]) -> list[str]:
    if mode is None:
        return []
    wanted = stat.S_IMODE(mode)
    if isinstance(target.place, bytes) and target.folder is not None:
        # Linux keeps no mode bits for symbolic links; every one shows all of them.
        return [] if wanted & 0o777 == 0o777 else ["mode"]
    # Setuid for another owner than the one who granted it would be a hole.
    safe = wanted & ~stat.S_ISUID if "uid" in lost else wanted
    safe = safe & ~stat.S_ISGID if "gid" in lost else safe
    if not _kept(target.chmod, safe):
        return ["mode"]
    if wanted & ~0o777 and stat.S_IMODE(target.stat().st_mode) != wanted:
        # The kernel drops special bits in silence when the caller has no right to them.
        return ["mode"]
    return []


def _set_times(target: Target, metadata: Metadata) -> list[str]:
    atime_ns, mtime_ns = metadata.atime_ns, metadata.mtime_ns
    if atime_ns is None and mtime_ns is None:
        return []
    if atime_ns is None or mtime_ns is None:
        found = target.stat()
        atime_ns = found.st_atime_ns if atime_ns is None else atime_ns
        mtime_ns = found.st_mtime_ns if mtime_ns is None else mtime_ns
    if _kept(target.utime, atime_ns, mtime_ns):
        return []
    asked = {"mtime_ns": metadata.mtime_ns, "atime_ns": metadata.atime_ns}
    return [field for field, value in asked.items() if value is not None]


def _kept(change: Callable[..., None], *values: int) -> bool:
    """Whether the change was made; any other refusal than "I do not keep this" is raised."""
    try:
        change(*values)
    except OverflowError:  # a value that no file of this system can bear
        return False
    except OSError as error:
        if error.errno in _NOT_KEPT:
            return False
        raise
    return True
