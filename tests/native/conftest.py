"""Two folders with their descriptors, and everything skipped where the loops are not built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from longshore import native
from longshore.domain.entry import Entry
from longshore.native import loops
from longshore.storage.handler import TEMPORARY_PREFIX

SECONDS = 60.0  # of one call: no test waits for it
SIZE_MAXIMUM = 1 << 26
USUAL = 0 if not native.can_copy else loops.VERIFY | loops.KEEP_TIMES


@pytest.fixture(autouse=True)
def built(request: pytest.FixtureRequest) -> None:
    if not native.can_copy and "without_loops" not in request.keywords:
        pytest.skip(native.why_not)


@dataclass(frozen=True)
class Pair:
    """A source and a target folder."""

    source: Path
    target: Path
    source_descriptor: int
    target_descriptor: int

    def stage(
        self,
        names: list[bytes],
        temporaries: list[bytes] | None = None,
        *,
        flags: int = USUAL,
        size_maximum: int = SIZE_MAXIMUM,
        seconds: float = SECONDS,
    ) -> list[tuple[Entry, bytes, int]]:
        """Stage the files under their temporary names."""
        staged, descriptors = self.stage_unnamed(
            names,
            temporaries,
            flags=flags,
            size_maximum=size_maximum,
            seconds=seconds,
            below=0,
        )
        assert descriptors == [-1] * len(staged)
        return staged

    def stage_unnamed(
        self,
        names: list[bytes],
        temporaries: list[bytes] | None = None,
        *,
        flags: int = USUAL,
        size_maximum: int = SIZE_MAXIMUM,
        seconds: float = SECONDS,
        below: int = 1 << 20,
    ) -> tuple[list[tuple[Entry, bytes, int]], list[int]]:
        """Stage the files without any name, where their descriptors are below that number."""
        return loops.stage(
            self.source_descriptor,
            self.target_descriptor,
            names,
            temporaries or [staged_name(name) for name in names],
            flags,
            size_maximum,
            seconds,
            below,
        )

    def left(self) -> list[str]:
        return sorted(os.listdir(self.target))


def staged_name(name: bytes) -> bytes:
    return b".longshore-" + name[:200]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    opened = [os.open(each, os.O_RDONLY | os.O_DIRECTORY) for each in (source, target)]
    yield Pair(source, target, *opened)
    for descriptor in opened:
        os.close(descriptor)


def read_names(descriptor: int, after: bytes = b"") -> bytes:
    """All names of the folder greater than `after`, as one block."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return loops.read_names(descriptor, after, TEMPORARY_PREFIX, 1 << 20)


def listing_of(descriptor: int, after: bytes = b"") -> loops.Listing:
    """The names of the folder as they are now."""
    return loops.Listing([read_names(descriptor, after)])


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
