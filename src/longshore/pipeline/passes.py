"""Passes over a big file, in order, from its first segment to its last.

A pass compares every segment with its digest and makes the checksums of the whole file on the way.
These can only be made in order, so they take one pass by one mover in any case; and as it reads
what stands in the staged file, it is the verification, too. Reading parts back on several movers
would only read everything once more. The pass follows the movers that write, so most of it is done
when the last part is.

Where nothing has to be read back, a mover that writes the segment at which its pass stands takes
it along, and only what other movers have written is read again.

How far a pass is lives in its mover's memory between two slices: another mover, or this one after
a crash, begins it anew, and never the transfer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import xxhash

from longshore.domain.segments import Layout
from longshore.pipeline.content import Update
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.toolbox import Toolbox

PASSES_KEPT = 16  # unfinished passes that a mover remembers; the oldest is begun again

Read = Callable[[memoryview, int], int]
Expected = Callable[[int], bytes]


class Found(Enum):
    """What a slice of a pass has come to."""

    EQUAL = "equal"  # everything there is to compare
    DIFFERENT = "different"
    UNFINISHED = "unfinished"  # the slice has ended


@dataclass(slots=True)
class Pass:
    """A pass under way: all segments before `next` are as they should be."""

    key: tuple[object, ...]  # what is read, and against what
    hasher: Hasher
    next: int = 0

    def advance(
        self, until: int, read: Read, expected: Expected, layout: Layout, toolbox: Toolbox
    ) -> Found:
        """Compare segments up to the given one; at least one of them, however late it is."""
        begun = self.next
        while self.next < until:
            if self.next > begun and toolbox.time_is_up():
                return Found.UNFINISHED
            found = digest_of(read, self.next, layout, toolbox.buffer, self.hasher.update)
            if found != expected(self.next):
                return Found.DIFFERENT
            self.next += 1
        return Found.EQUAL


def take(name: bytes, key: tuple[object, ...], toolbox: Toolbox) -> Pass:
    """The pass over the file with this staged name as far as it is; else one from the start.

    Whoever takes it keeps it again, unless it has failed: then it may not be gone on with.
    """
    found = toolbox.passes.pop(name, None)
    if isinstance(found, Pass) and found.key == key:
        return found
    return Pass(key, Hasher(toolbox.plan.checksum))


def keep(name: bytes, present: Pass, toolbox: Toolbox) -> None:
    kept = toolbox.passes
    kept[name] = present
    while len(kept) > PASSES_KEPT:
        del kept[next(iter(kept))]


def is_kept(name: bytes, toolbox: Toolbox) -> bool:
    return name in toolbox.passes


def forget(name: bytes, toolbox: Toolbox) -> None:
    """The file is to be begun again, so nothing of it counts any more."""
    toolbox.passes.pop(name, None)


def digest_of(
    read: Read, index: int, layout: Layout, buffer: memoryview, update: Update | None = None
) -> bytes:
    """XXH3-128 of a segment as far as there is something to read; `update` sees all of it, too."""
    start, end = layout.bounds(index)
    digest = xxhash.xxh3_128()
    while start < end:
        count = read(buffer[: min(len(buffer), end - start)], start)
        if count == 0:
            break
        digest.update(buffer[:count])
        if update is not None:
            update(buffer[:count])
        start += count
    return digest.digest()
