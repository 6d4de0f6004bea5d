"""Making staged files: fresh ones, and left-over ones taken up again."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Final

CREATE_ATTEMPTS: Final = 3
"""How often a left-over name is removed before giving up; more than one means a second writer."""

SPACE_CHECK_BYTES: Final = 64 * 1024 * 1024
"""From this size on the free space is asked first: rather no copy than hours for half of one."""

_MODE: Final = 0o600  # nobody else reads a file before it is published
_CREATE_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RESUME_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def create_or_resume(folder: int, name: bytes, size: int, *, resume: bool) -> int:
    """A descriptor of the staged file: empty, or with `resume` as it was left."""
    descriptor = _resume(folder, name) if resume else None
    if descriptor is None:
        descriptor = _create(folder, name)
    if size >= SPACE_CHECK_BYTES:
        try:
            _check_space(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise
    return descriptor


def create_symlink(folder: int, name: bytes, target: bytes) -> None:
    """A symbolic link under the staged name, in the place of whatever was left there."""
    for _ in range(CREATE_ATTEMPTS):
        try:
            return os.symlink(target, name, dir_fd=folder)
        except FileExistsError:
            _remove_left_over(folder, name)
    raise _contended()


def create_link(holder: int, name: bytes, folder: int, staged_name: bytes) -> None:
    """A further name of a file under the staged name, in the place of whatever was left there."""
    for _ in range(CREATE_ATTEMPTS):
        try:
            return os.link(
                name, staged_name, src_dir_fd=holder, dst_dir_fd=folder, follow_symlinks=False
            )
        except FileExistsError:
            _remove_left_over(folder, staged_name)
    raise _contended()


def create_name(file: int, folder: int, name: bytes) -> None:
    """The staged name for a file without any, in the place of whatever was left there."""
    for _ in range(CREATE_ATTEMPTS):
        try:
            # Through its entry in /proc: the descriptor itself is enough for administrators only.
            return os.link(b"/proc/self/fd/%d" % file, name, dst_dir_fd=folder)
        except FileExistsError:
            _remove_left_over(folder, name)
    raise _contended()


def _create(folder: int, name: bytes) -> int:
    for _ in range(CREATE_ATTEMPTS):
        try:
            return os.open(name, _CREATE_FLAGS, _MODE, dir_fd=folder)
        except FileExistsError:
            # A new file instead of an emptied one: the old one may have been published under a
            # second name, or be written by a mover that was given up for dead.
            _remove_left_over(folder, name)
    raise _contended()


def _resume(folder: int, name: bytes) -> int | None:
    """The left-over file, or None when there is none that may be written on."""
    try:
        left = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return None
    if not _may_be_resumed(left):
        return None
    try:
        descriptor = os.open(name, _RESUME_FLAGS, dir_fd=folder)
    except PermissionError:
        # It already got its final mode, which may forbid writing even to its owner.
        _make_writable(folder, name)
        descriptor = os.open(name, _RESUME_FLAGS, dir_fd=folder)
    if _may_be_resumed(os.fstat(descriptor)):
        return descriptor
    os.close(descriptor)
    return None


def _may_be_resumed(left: os.stat_result) -> bool:
    """Regular and under this one name: writing on must not change any published file."""
    return stat.S_ISREG(left.st_mode) and left.st_nlink == 1


def _make_writable(folder: int, name: bytes) -> None:
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.chmod(b"/proc/self/fd/%d" % descriptor, _MODE)
    finally:
        os.close(descriptor)


def _remove_left_over(folder: int, name: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _check_space(descriptor: int, size: int) -> None:
    missing = size - os.fstat(descriptor).st_blocks * 512
    volume = os.fstatvfs(descriptor)
    if missing > volume.f_bfree * volume.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _contended() -> OSError:
    return OSError(errno.EBUSY, os.strerror(errno.EBUSY))
