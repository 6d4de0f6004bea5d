"""The names of a folder in order, in memory that does not grow with their number.

    folder ──> runs of names, each sorted ──> a single one: used as it is
                                          └─> several: kept in a file, read piece by piece together

A run and a piece are blocks: names end to end, each with a NUL, which no name has inside.
"""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, Final

RUN_BYTES: Final = 1024 * 1024
"""Of names that are sorted at once, which takes up to ten times as much memory. Nearly all folders
are shorter and need no file."""

PIECE_BYTES: Final = 4 * 1024  # of each run in memory: a folder of 100 million names has 1,200 runs


def in_order(runs: Iterator[bytes], folder: str | None) -> Iterator[bytes]:
    """Blocks that hold the names of all runs in ascending order.

    Only the last run is shorter than RUN_BYTES, and may be empty. All are taken before the first
    block comes; several are kept in a nameless file in the folder (None: the system's for such
    files). Raises OSError when it cannot be written.
    """
    first = next(runs, b"")
    if len(first) < RUN_BYTES:
        if first:
            yield first
        return
    everything = chain((first,), runs)
    del first  # it is as big as all that is needed from here on
    yield from _together(everything, folder)


def names_of(block: bytes) -> list[bytes]:
    """The names of a block."""
    return block[:-1].split(b"\0") if block else []


def block_of(names: Iterable[bytes]) -> bytes:
    """The names as a block."""
    return b"\0".join([*names, b""])


@dataclass(slots=True)
class _Run:
    """What is left of a run in the file."""

    file: IO[bytes]
    next: int
    end: int
    names: list[bytes] = field(default_factory=list)  # the first of them
    begun: bytes = b""  # of the name at which the last piece ended

    def has_more(self) -> bool:
        while not self.names and self.next < self.end:
            wanted = min(PIECE_BYTES, self.end - self.next)
            piece = os.pread(self.file.fileno(), wanted, self.next)
            if not piece:
                raise OSError("the file with the names of a folder was cut")
            self.next += len(piece)
            *self.names, self.begun = (self.begun + piece).split(b"\0")
        return bool(self.names)

    def take(self, last: bytes) -> list[bytes]:
        """The names up to this one, as far as they are in memory."""
        count = bisect_right(self.names, last)
        taken, self.names = self.names[:count], self.names[count:]
        return taken


def _together(blocks: Iterable[bytes], folder: str | None) -> Iterator[bytes]:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        runs = [_kept(block, file) for block in blocks if block]
        while runs := [run for run in runs if run.has_more()]:
            # No name that is still in the file comes before the last one of its run in memory.
            last = min(run.names[-1] for run in runs)
            yield block_of(sorted(chain.from_iterable(run.take(last) for run in runs)))


def _kept(block: bytes, file: IO[bytes]) -> _Run:
    """The run, written to the end of the file."""
    begin = file.tell()
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]
    return _Run(file, begin, begin + len(block))
