"""A small interpreter of seccomp filters: what a kernel of either architecture would answer."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from longshore.callbacks.worker import seccomp

_INSTRUCTION = struct.Struct("HBBI")
_CALL = struct.Struct("=IIQ6Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call as the filter sees it."""

    number: int
    audit: int
    arguments: Sequence[int] = ()

    def packed(self) -> bytes:
        """Return the kernel's `struct seccomp_data` for this call."""
        arguments = [*self.arguments, 0, 0, 0, 0, 0, 0][:6]
        return _CALL.pack(self.number, self.audit, 0, *arguments)


def verdict(program: bytes, call: Call) -> int:
    """Run a filter over a call and return its verdict; fails on an instruction we never emit."""
    instructions = list(_INSTRUCTION.iter_unpack(program))
    memory, position, accumulator = call.packed(), 0, 0
    while True:
        code, if_true, if_false, value = instructions[position]
        position += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            accumulator = struct.unpack_from("=I", memory, value)[0]
        else:
            taken = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[code]
            position += if_true if taken else if_false


def architectures() -> list[seccomp.Architecture]:
    """Return both architectures, in a fixed order."""
    return [seccomp.ARCHITECTURES[name] for name in sorted(seccomp.ARCHITECTURES)]
