import os
import re
from pathlib import Path

import pytest

from longshore.callbacks.worker import seccomp

from .machine import Call, architectures, verdict

EVERY_ARCHITECTURE = pytest.mark.parametrize(
    "architecture", architectures(), ids=lambda architecture: architecture.name
)

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h",),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}


def answer(architecture: seccomp.Architecture, number: int, *arguments: int) -> int:
    call = Call(number=number, audit=architecture.audit, arguments=arguments)
    return verdict(seccomp.filter_for(architecture.name), call)


def number_of(architecture: seccomp.Architecture, table: seccomp.Table, name: str) -> int:
    number = table[name][architecture.column]
    assert number is not None
    return number


@EVERY_ARCHITECTURE
def test_every_plain_call_gets_the_verdict_of_its_table(
    architecture: seccomp.Architecture,
) -> None:
    for table, expected in (
        (seccomp.HOT, seccomp.RETURN_ALLOW),
        (seccomp.ALLOWED, seccomp.RETURN_ALLOW),
        (seccomp.EVERYDAY, seccomp.RETURN_EPERM),
    ):
        for columns in table.values():
            number = columns[architecture.column]
            if number is not None:
                assert answer(architecture, number) == expected


@EVERY_ARCHITECTURE
def test_every_call_that_is_not_listed_kills(architecture: seccomp.Architecture) -> None:
    tables = (seccomp.CHECKED, seccomp.HOT, seccomp.ALLOWED, seccomp.EVERYDAY)
    listed = {columns[architecture.column] for table in tables for columns in table.values()}
    for number in set(range(600)) - listed:
        assert answer(architecture, number) == seccomp.RETURN_KILL


@EVERY_ARCHITECTURE
def test_no_call_is_listed_twice(architecture: seccomp.Architecture) -> None:
    tables = (seccomp.CHECKED, seccomp.HOT, seccomp.ALLOWED, seccomp.EVERYDAY)
    numbers = [
        number
        for table in tables
        for columns in table.values()
        if (number := columns[architecture.column]) is not None
    ]
    assert len(numbers) == len(set(numbers))


@EVERY_ARCHITECTURE
def test_another_architecture_is_killed_whatever_it_calls(
    architecture: seccomp.Architecture,
) -> None:
    program = seccomp.filter_for(architecture.name)
    for other in (0x4000_0003, 0, *(each.audit for each in architectures())):
        if other != architecture.audit:
            for number in (0, 1, 3, 60, 63, 64, 93):
                call = Call(number=number, audit=other)
                assert verdict(program, call) == seccomp.RETURN_KILL


def test_the_x32_twin_of_an_allowed_call_is_killed() -> None:
    architecture = seccomp.ARCHITECTURES["x86_64"]
    for columns in seccomp.ALLOWED.values():
        number = columns[0]
        assert number is not None
        twin = number | seccomp.X32_SYSCALL_BIT
        assert answer(architecture, twin) == seccomp.RETURN_KILL


@EVERY_ARCHITECTURE
def test_only_the_two_pipes_can_be_used(architecture: seccomp.Architecture) -> None:
    read = number_of(architecture, seccomp.CHECKED, "read")
    write = number_of(architecture, seccomp.CHECKED, "write")
    for descriptor in range(10):
        may_read = answer(architecture, read, descriptor) == seccomp.RETURN_ALLOW
        may_write = answer(architecture, write, descriptor) == seccomp.RETURN_ALLOW
        assert may_read is (descriptor == 3)
        assert may_write is (descriptor in (1, 2, 4))
        assert answer(architecture, read, descriptor) != seccomp.RETURN_KILL


@EVERY_ARCHITECTURE
@pytest.mark.parametrize(
    ("protection", "flags", "allowed"),
    [
        (0b011, 0x22, True),
        (0b000, 0x4022, True),
        (0b111, 0x22, False),
        (0b100, 0x22, False),
        (0b101, 0x02, False),
        (0b001, 0x02, False),
        (0b011, 0x01, False),
    ],
)
def test_only_anonymous_memory_that_is_not_executable_can_be_mapped(
    architecture: seccomp.Architecture, protection: int, flags: int, allowed: bool
) -> None:
    mmap = number_of(architecture, seccomp.CHECKED, "mmap")
    expected = seccomp.RETURN_ALLOW if allowed else seccomp.RETURN_EPERM
    assert answer(architecture, mmap, 0, 4096, protection, flags) == expected


@EVERY_ARCHITECTURE
def test_memory_cannot_be_made_executable_later(architecture: seccomp.Architecture) -> None:
    mprotect = number_of(architecture, seccomp.CHECKED, "mprotect")
    for protection in range(8):
        executable = bool(protection & seccomp.PROT_EXEC)
        expected = seccomp.RETURN_EPERM if executable else seccomp.RETURN_ALLOW
        assert answer(architecture, mprotect, 0x1000, 4096, protection) == expected


@EVERY_ARCHITECTURE
def test_a_filter_is_whole_and_short_enough_for_the_kernel(
    architecture: seccomp.Architecture,
) -> None:
    program = seccomp.filter_for(architecture.name)
    assert len(program) % 8 == 0
    assert len(program) // 8 <= 4096


def test_an_unknown_architecture_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match="riscv64"):
        seccomp.filter_for("riscv64")


@EVERY_ARCHITECTURE
def test_the_numbers_are_those_of_the_kernel_headers(
    architecture: seccomp.Architecture,
) -> None:
    headers = [Path(name) for name in HEADERS[architecture.name] if os.path.exists(name)]
    if not headers:
        pytest.skip("the kernel headers of this architecture are not installed here")
    text = headers[0].read_text("ascii", "replace")
    known = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)
    }
    ours = {
        name: columns[architecture.column]
        for table in (seccomp.CHECKED, seccomp.HOT, seccomp.ALLOWED, seccomp.EVERYDAY)
        for name, columns in table.items()
    }
    # The generic header has no numbers for calls that only old architectures have.
    compared = {name: number for name, number in ours.items() if name in known and number}
    assert len(compared) > 80
    assert compared == {name: known[name] for name in compared}
