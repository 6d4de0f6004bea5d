"""The self-test's attempts, made from inside a locked worker by raw system calls.

Every one of them has to fail. They go around Python's own checks on purpose: what is tested is the
kernel's answer. The last one is of the kind that must end the process.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Callable
from typing import Final

import msgspec

from . import frames, seccomp

_AT_FDCWD: Final = -100
_SIGCHLD: Final = 17
_PTRACE_TRACEME: Final = {"x86_64": 101, "aarch64": 117}
_ALIVE: Final = "it went through"


def run() -> None:
    """Send the outcome of every attempt, then try the deadly one when asked to; never returns."""
    outcomes = {name: _outcome(attempt) for name, attempt in ATTEMPTS.items()}
    frames.send(frames.PROBED, msgspec.msgpack.encode(outcomes))
    frames.receive()
    _raw(_PTRACE_TRACEME[platform.machine()], 0, 0, 0, 0)
    os._exit(0)


def _outcome(attempt: Callable[[], int]) -> str:
    result = attempt()
    return errno.errorcode.get(-result, str(-result)) if result < 0 else _ALIVE


def _raw(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    return -ctypes.get_errno() if result == -1 else int(result)


def _number(table: seccomp.Table, name: str) -> int:
    number = table[name][seccomp.ARCHITECTURES[platform.machine()].column]
    assert number is not None, name
    return number


def _everyday(name: str, *arguments: int | bytes | None) -> Callable[[], int]:
    return lambda: _raw(_number(seccomp.EVERYDAY, name), *arguments)


def _clone() -> int:
    # Without flags but the signal: what fork does. A child must not answer in our place.
    result = _raw(_number(seccomp.EVERYDAY, "clone"), _SIGCHLD, 0, 0, 0, 0)
    if result == 0:
        os._exit(0)
    return result


def _executable_memory() -> int:
    # A mapping cannot be had as -1 and an error at once, so the address only counts as success.
    result = _raw(_number(seccomp.CHECKED, "mmap"), 0, 4096, 7, 0x22, -1, 0)
    return result if result < 0 else 1


ATTEMPTS: Final[dict[str, Callable[[], int]]] = {
    "open a file": _everyday("openat", _AT_FDCWD, b"/etc/passwd\0", 0, 0),
    "create a file": _everyday("openat", _AT_FDCWD, b"/tmp/longshore-probe\0", 0o101, 0o600),
    "open a socket": _everyday("socket", 2, 1, 0),
    "start a process": _clone,
    "run a program": _everyday("execve", b"/bin/true\0", 0, 0),
    # Loaded before the lock-down, so this is still the server's number.
    "signal the server": _everyday("kill", os.getppid(), 0),
    "make memory executable": _executable_memory,
}
