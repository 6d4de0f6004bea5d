"""The two system calls of Linux that Python's `os` does not offer."""

from __future__ import annotations

import ctypes
import errno
import os

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_RENAME_NOREPLACE = 1


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
