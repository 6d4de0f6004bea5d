"""The irreversible lock-down of the worker, done before any script has arrived.

Every required step succeeds or raises LockdownError, upon which the worker must leave: there is
no weaker mode. Order matters: what needs privileges comes before they are dropped, the limit on
descriptors after Landlock (which needs one), and seccomp last, since it forbids all the rest.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from . import landlock, seccomp

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x2008_0522

STACK_BYTES: Final = 8 << 20
"""Deep recursion in C ends here; without it an unlimited stack would use up the memory limit."""

PENDING_SIGNALS: Final = 64
"""Queued signals; a script has no use for any, the timer needs one."""

_ALWAYS_ZERO: Final = (
    resource.RLIMIT_CORE,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
)


class LockdownError(RuntimeError):
    """A required part of the boundary is missing; the worker must not go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """What the boundary shall be, as the server asks for it."""

    memory_bytes: int
    uid: int
    gid: int
    landlock: str
    parent_pid: int

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> "Boundary":
        """Read the values that came with the command line; extra ones are somebody else's."""
        return cls(**{name: settings[name] for name in cls.__slots__})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What the lock-down achieved."""

    landlock_abi: int
    uid_dropped: bool


def lock_down(boundary: Boundary) -> Locked:
    """Give up everything a script must not have; LockdownError when that is not possible."""
    with _step("build the system call filter"):
        program = seccomp.filter_for(platform.machine())
    _require_single_thread()
    uid_dropped = os.geteuid() == 0
    if uid_dropped:
        _drop_identity(boundary)
    _drop_capabilities()
    _die_with_parent(boundary.parent_pid)
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    _prctl("dumpable", _PR_SET_DUMPABLE, 0)
    _limit_resources(boundary.memory_bytes)
    landlock_abi = _apply_landlock(boundary.landlock)
    with _step("limit the descriptors"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    with _step("install the system call filter (seccomp)"):
        seccomp.install(program)
    return Locked(landlock_abi=landlock_abi, uid_dropped=uid_dropped)


@contextlib.contextmanager
def _step(deed: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError) as error:
        raise LockdownError(f"cannot {deed}: {error}") from error


def _require_single_thread() -> None:
    # Seccomp and Landlock bind the calling thread only: another one would stay free.
    with _step("count the threads"):
        threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise LockdownError(f"{threads} threads exist where only one may be")


def _drop_identity(boundary: Boundary) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    capability = 0
    while libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), zero, zero, zero) == 0:
        capability += 1
    with _step(f"become user {boundary.uid}, group {boundary.gid}"):
        os.setgroups([])
        os.setresgid(boundary.gid, boundary.gid, boundary.gid)
        os.setresuid(boundary.uid, boundary.uid, boundary.uid)
    if 0 in (*os.getresuid(), *os.getresgid()):
        raise LockdownError("the worker is still root")


def _drop_capabilities() -> None:
    # A server that is not root may hold some too (ambient ones of a service unit, for example).
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_PR_CAP_AMBIENT_CLEAR_ALL), zero, zero, zero)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing) != 0:
        raise LockdownError(f"cannot drop the capabilities: {os.strerror(ctypes.get_errno())}")


def _die_with_parent(parent_pid: int) -> None:
    # After the change of user, which clears it.
    _prctl("parent death signal", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        raise LockdownError("the server has ended meanwhile")


def _limit_resources(memory_bytes: int) -> None:
    with _step("set the resource limits"):
        for limit in _ALWAYS_ZERO:
            resource.setrlimit(limit, (0, 0))
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (PENDING_SIGNALS, PENDING_SIGNALS))
        _lower(resource.RLIMIT_STACK, STACK_BYTES)
        _lower(resource.RLIMIT_AS, memory_bytes)


def _lower(limit: int, value: int) -> None:
    # A stricter limit that the server itself runs under stays.
    _, hard = resource.getrlimit(limit)
    lowered = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (lowered, lowered))


def _apply_landlock(wish: str) -> int:
    if wish == "off":
        return 0
    version = landlock.abi()
    if version:
        with _step("apply Landlock"):
            landlock.restrict(version)
    elif wish == "require":
        raise LockdownError("Landlock is required by the configuration and this kernel has none")
    return version


def _prctl(name: str, option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_ulong(option), ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise LockdownError(f"cannot set {name}: {os.strerror(ctypes.get_errno())}")
