"""Landlock: the second lock behind seccomp, where the kernel has it.

It denies every file-system access, every TCP bind and connect, signals to other processes and
abstract sockets, as far as the kernel's version of the interface knows them.
"""

import ctypes
import os
import struct
from typing import Final

_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1

_TCP_ACCESS: Final = 0b11
_SCOPES: Final = 0b11

# File-system rights by version of the interface; each version has all earlier ones.
_FILE_RIGHTS_BY_ABI: Final = ((5, 16), (3, 15), (2, 14), (1, 13))


def abi() -> int:
    """Return the kernel's Landlock version, 0 where it has none or has it switched off."""
    version = _libc().syscall(
        _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION)
    )
    return max(0, int(version))


def ruleset(version: int) -> bytes:
    """Return the attributes that handle, and so deny, all that this version knows."""
    rights = next(count for since, count in _FILE_RIGHTS_BY_ABI if version >= since)
    attributes = struct.pack("Q", (1 << rights) - 1)
    if version >= 4:
        attributes += struct.pack("Q", _TCP_ACCESS)
    if version >= 6:
        attributes += struct.pack("Q", _SCOPES)
    return attributes


def restrict(version: int) -> None:
    """Bind the calling thread to a rule set without a single permission; OSError if refused."""
    libc = _libc()
    attributes = ruleset(version)
    size = ctypes.c_size_t(len(attributes))
    descriptor = libc.syscall(_CREATE_RULESET, attributes, size, ctypes.c_uint(0))
    if descriptor < 0:
        _raise_last_error()
    try:
        if libc.syscall(_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint(0)) != 0:
            _raise_last_error()
    finally:
        os.close(descriptor)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _raise_last_error() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
