"""The three system calls of Linux that Python's `os` does not offer."""

from __future__ import annotations

import ctypes
import errno
import os

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_RENAME_NOREPLACE = 1
_OPENAT2 = 437  # on all kinds of machines; few C libraries have a function for it
_BENEATH_WITHOUT_LINKS = 0x08 | 0x04 | 0x02  # RESOLVE_BENEATH, _NO_SYMLINKS, _NO_MAGICLINKS


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(folder: int, path: bytes, flags: int) -> int:
    """Open a path inside the folder in one call; no symbolic link is followed on the way.

    Raises OSError, where the kernel has no such call (before 5.6) or a sandbox forbids it, too.
    """
    how = _OpenHow(flags=flags, mode=0, resolve=_BENEATH_WITHOUT_LINKS)
    ctypes.set_errno(0)
    descriptor: int = _LIBRARY.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder),
        path,
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if descriptor < 0:
        raise _last_error()
    return descriptor


def sync_file_system(descriptor: int) -> None:
    """Write the file system of the descriptor to its device. OSError also for earlier losses."""
    ctypes.set_errno(0)
    if _LIBRARY.syncfs(ctypes.c_int(descriptor)) != 0:
        raise _last_error()


def rename_exclusively(folder: int, name: bytes, new_name: bytes) -> None:
    """Rename inside one folder, in one step, only if the new name is free (else EEXIST)."""
    if not hasattr(_LIBRARY, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    ctypes.set_errno(0)
    holder = ctypes.c_int(folder)
    flags = ctypes.c_uint(_RENAME_NOREPLACE)
    if _LIBRARY.renameat2(holder, name, holder, new_name, flags) != 0:
        raise _last_error()


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
