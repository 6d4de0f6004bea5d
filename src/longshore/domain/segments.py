"""How a big file is divided: segments, each with a digest of its own.

Every segment but the last has the same size, a power of two times the smallest size. It depends on
the size of the file alone, so whoever stages, writes, reads or checks a file knows its bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

SEGMENT_BYTES = 64 * 1024 * 1024
"""The smallest size of a segment. A file larger than that is moved segment by segment, so that a
slice, a pause or a crash can come between two of them."""

SEGMENTS_MAXIMUM = 10_000
"""Of one file. No object store takes an upload of more parts, and the digests of a file stay below
200 KB, which is what the journal writes again with each part of it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments of one file. Sizes are bytes."""

    size: int
    segment_bytes: int

    @property
    def count(self) -> int:
        return -(-self.size // self.segment_bytes)

    def bounds(self, index: int) -> tuple[int, int]:
        """Where the segment begins, and where it ends."""
        start = index * self.segment_bytes
        return start, min(start + self.segment_bytes, self.size)


def segment_bytes(size: int, smallest: int = SEGMENT_BYTES) -> int:
    """The size of the segments of a file that is `size` bytes long."""
    length = smallest
    while Layout(size, length).count > SEGMENTS_MAXIMUM:
        length *= 2
    return length
