"""The seccomp filter: an allow-list of system calls, assembled by hand for two architectures.

    wrong architecture, x32 ABI          -> the process is killed
    allowed, arguments checked           -> read(3), write(1, 2, 4), anonymous non-executable memory
    allowed                              -> clocks, signals, locks, exit: what an interpreter needs
    everyday calls a script might try    -> EPERM, so an honest mistake is a readable exception
    everything else                      -> the process is killed

No library is needed: a filter is an array of `struct sock_filter`, and the kernel checks it.
"""

import ctypes
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .frames import ANSWER_FD, REQUEST_FD

RETURN_KILL: Final = 0x8000_0000
RETURN_EPERM: Final = 0x0005_0000 | 1
RETURN_ALLOW: Final = 0x7FFF_0000

READABLE_FDS: Final = (REQUEST_FD,)
WRITABLE_FDS: Final = (ANSWER_FD, 1, 2)

PROT_EXEC: Final = 4
MAP_ANONYMOUS: Final = 0x20
X32_SYSCALL_BIT: Final = 0x4000_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A machine's audit number and the column of the call tables that belongs to it."""

    name: str
    audit: int
    column: int
    has_x32: bool


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "x86_64": Architecture(name="x86_64", audit=0xC000_003E, column=0, has_x32=True),
    "aarch64": Architecture(name="aarch64", audit=0xC000_00B7, column=1, has_x32=False),
}

Table = Mapping[str, tuple[int | None, int | None]]

CHECKED: Final[Table] = {"read": (0, 63), "write": (1, 64), "mmap": (9, 222), "mprotect": (10, 226)}
"""Allowed with certain arguments only; each has its own little program below."""

HOT: Final[Table] = {"clock_gettime": (228, 113), "futex": (202, 98)}
"""Allowed and looked at first: the calls that happen while files are being decided."""

ALLOWED: Final[Table] = {
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "setitimer": (38, 103),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrusage": (98, 165),
    "times": (100, 153),
}

# None: the call does not exist on that architecture.
EVERYDAY: Final[Table] = {
    # files
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "creat": (85, None),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
    "chdir": (80, 49),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "lseek": (8, 62),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "sendfile": (40, 71),
    "copy_file_range": (326, 285),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "flock": (73, 32),
    "fsync": (74, 82),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchownat": (260, 54),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "utimensat": (280, 88),
    "umask": (95, 166),
    "memfd_create": (319, 279),
    # network
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "connect": (42, 203),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    # processes
    "clone": (56, 220),
    "clone3": (435, 435),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "wait4": (61, 260),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "getppid": (110, 173),
    "setrlimit": (160, 164),
    "getrlimit": (97, 163),
    "prlimit64": (302, 261),
    # waiting and looking around
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "pause": (34, None),
    "alarm": (37, None),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "epoll_create1": (291, 20),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "sched_getaffinity": (204, 123),
}

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_INSTRUCTION = struct.Struct("HBBI")


def filter_for(machine: str) -> bytes:
    """Return the filter program for a machine as `uname -m` names it; LookupError if unknown."""
    try:
        architecture = ARCHITECTURES[machine]
    except KeyError:
        raise LookupError(f"no system call table for the architecture {machine}") from None
    program = _refuse_other_abis(architecture)
    numbers = _numbers(CHECKED, architecture)
    program += _calls(_numbers(HOT, architecture), RETURN_ALLOW)
    program += _when_call(numbers["read"], _only_descriptors(READABLE_FDS))
    program += _when_call(numbers["write"], _only_descriptors(WRITABLE_FDS))
    program += _when_call(numbers["mmap"], [*_never_executable(), *_only_anonymous(), _allow()])
    program += _when_call(numbers["mprotect"], [*_never_executable(), _allow()])
    program += _calls(_numbers(ALLOWED, architecture), RETURN_ALLOW)
    program += _calls(_numbers(EVERYDAY, architecture), RETURN_EPERM)
    program.append(_instruction(_RETURN, RETURN_KILL))
    return b"".join(program)


def install(program: bytes) -> None:
    """Bind the calling thread to the program for ever; OSError when the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    memory = ctypes.create_string_buffer(program, len(program))

    class SocketFilterProgram(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    description = SocketFilterProgram(len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
    zero = ctypes.c_ulong(0)
    set_seccomp, mode_filter = ctypes.c_ulong(22), ctypes.c_ulong(2)
    if libc.prctl(set_seccomp, mode_filter, ctypes.byref(description), zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, if_true, if_false, value)


def _allow() -> bytes:
    return _instruction(_RETURN, RETURN_ALLOW)


def _refuse_other_abis(architecture: Architecture) -> list[bytes]:
    program = [
        _instruction(_LOAD, _ARCHITECTURE_OFFSET),
        _instruction(_JUMP_EQUAL, architecture.audit, if_true=1),
        _instruction(_RETURN, RETURN_KILL),
        _instruction(_LOAD, _NUMBER_OFFSET),
    ]
    if architecture.has_x32:
        program.append(_instruction(_JUMP_AT_LEAST, X32_SYSCALL_BIT, if_false=1))
        program.append(_instruction(_RETURN, RETURN_KILL))
    return program


def _numbers(table: Table, architecture: Architecture) -> dict[str, int]:
    return {
        name: number
        for name, columns in table.items()
        if (number := columns[architecture.column]) is not None
    }


def _calls(numbers: Mapping[str, int], verdict: int) -> list[bytes]:
    program: list[bytes] = []
    for number in numbers.values():
        program += _when_call(number, [_instruction(_RETURN, verdict)])
    return program


def _when_call(number: int, body: Sequence[bytes]) -> list[bytes]:
    # The body ends in a return, so the loaded call number is still there for whoever comes next.
    return [_instruction(_JUMP_EQUAL, number, if_false=len(body)), *body]


def _load_argument(position: int) -> bytes:
    # The low half is enough: descriptors are ints, and no flag tested here lies above bit 31.
    return _instruction(_LOAD, _ARGUMENTS_OFFSET + 8 * position)


def _only_descriptors(descriptors: Sequence[int]) -> list[bytes]:
    tests = [
        _instruction(_JUMP_EQUAL, descriptor, if_true=len(descriptors) - position)
        for position, descriptor in enumerate(descriptors)
    ]
    return [_load_argument(0), *tests, _instruction(_RETURN, RETURN_EPERM), _allow()]


def _never_executable() -> list[bytes]:
    return [
        _load_argument(2),
        _instruction(_JUMP_ANY_BIT, PROT_EXEC, if_false=1),
        _instruction(_RETURN, RETURN_EPERM),
    ]


def _only_anonymous() -> list[bytes]:
    return [
        _load_argument(3),
        _instruction(_JUMP_ANY_BIT, MAP_ANONYMOUS, if_true=1),
        _instruction(_RETURN, RETURN_EPERM),
    ]
