"""Hides a kernel feature from this process and its children, then runs the sandbox's self-test.

    python -m tests.faults.callbacks.blinders FEATURE LANDLOCK

A seccomp filter of our own stands outside and answers the way a kernel without the feature does.
Prints the report, and how a validation and a question to a script end, as JSON.
"""

import ctypes
import errno
import json
import platform
import struct
import sys
from collections.abc import Callable

from longshore.callbacks import (
    FilterChain,
    Limits,
    SandboxUnavailable,
    self_test,
    validate,
)

from .trial import files

_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_PRCTL = {"x86_64": 157, "aarch64": 167}
_SETRESUID = {"x86_64": 117, "aarch64": 147}
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38

SCRIPT = "def run(req):\n    return True\n"


def hide(feature: str) -> None:
    """Make the kernel answer as if it did not have the feature."""
    machine = platform.machine()
    call, error, first_argument = {
        "seccomp": (_PRCTL[machine], errno.EINVAL, _PR_SET_SECCOMP),
        "no_new_privs": (_PRCTL[machine], errno.EINVAL, _PR_SET_NO_NEW_PRIVS),
        "landlock": (_LANDLOCK_CREATE_RULESET, errno.ENOSYS, None),
        "landlock-switched-off": (_LANDLOCK_CREATE_RULESET, errno.EOPNOTSUPP, None),
        "landlock-refused": (_LANDLOCK_RESTRICT_SELF, errno.EPERM, None),
        "setresuid": (_SETRESUID[machine], errno.EPERM, None),
    }[feature]
    _install(_when(call, error, first_argument))


def main(feature: str, landlock: str) -> None:
    """Print what the sandbox makes of a machine without the feature."""
    hide(feature)
    limits = Limits(landlock=landlock)  # type: ignore[arg-type]
    report = self_test(limits=limits)
    outcome = {
        "ok": report.ok,
        "reason": report.reason,
        "landlock": report.landlock,
        "validate": _end(lambda: validate(SCRIPT, limits=limits)),
        "asked": _end(lambda: _decide_one(limits)),
    }
    print(json.dumps(outcome))


def _decide_one(limits: Limits) -> list[int]:
    with FilterChain([(1, SCRIPT)], task_id=1, limits=limits) as chain:
        return list(chain.decide(files()[:1]).answers)


def _end(deed: Callable[[], object]) -> str:
    try:
        return f"answered {deed()}"
    except SandboxUnavailable as error:
        return f"unavailable: {error}"


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _when(call: int, error: int, first_argument: int | None) -> bytes:
    tests = [_instruction(_LOAD, 0), _instruction(_JUMP_EQUAL, call, 0, 1)]
    if first_argument is not None:
        tests[1] = _instruction(_JUMP_EQUAL, call, 0, 3)
        tests += [_instruction(_LOAD, 16), _instruction(_JUMP_EQUAL, first_argument, 0, 1)]
    return b"".join([*tests, _instruction(_RETURN, _ERRNO | error), _instruction(_RETURN, _ALLOW)])


def _install(program: bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    memory = ctypes.create_string_buffer(program, len(program))

    class Description(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    description = Description(len(program) // 8, ctypes.addressof(memory))
    zero = ctypes.c_ulong(0)
    # An ordinary user may install a filter only after this, and it does root no harm.
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)
    two = ctypes.c_ulong(2)
    if libc.prctl(_PR_SET_SECCOMP, two, ctypes.byref(description), zero, zero) != 0:
        raise OSError(ctypes.get_errno(), "this kernel has no seccomp to hide things with")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
