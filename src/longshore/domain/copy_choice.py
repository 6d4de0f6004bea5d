"""Which of a file's copies a restore takes, and which ones are tried after it.

The newest content wins over any older one; among copies of that content the one that is nearest.
It follows from the values alone: the same copies give the same choice, in whatever order they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from longshore.domain.storage import StorageKind, StorageReference


class Reach(IntEnum):
    """How near a copy is: the order in which copies of one content are taken, the nearest first."""

    NAS = 1
    CLOUD = 2
    MOUNTED_TAPE = 3
    TAPE_IN_LIBRARY = 4  # a tape that was ejected is out of reach: reading it is the file's error


REACH = {
    StorageKind.NAS_SHARE: Reach.NAS,
    StorageKind.CLOUD_BUCKET: Reach.CLOUD,
    StorageKind.TAPE: Reach.TAPE_IN_LIBRARY,
}
"""Of each kind of secondary storage. Whether a tape is mounted, its library will have to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCopy:
    """One copy of a file, as the catalogue knows it. Times are nanoseconds since 1970."""

    storage: StorageReference
    path: bytes
    size: int
    mtime_ns: int  # of the file, not of the copy
    execution_id: int
    written_ns: int
    xxh3_128: bytes = b""  # b"" = not on record, as of the next two
    checksum_kind: str = ""
    checksum: bytes = b""
    unkept: bytes = b""  # what it does not bear of the original, as domain.fidelity encodes it


def newest_content(copies: Sequence[StoredCopy], begun_ns: int) -> list[StoredCopy]:
    """The copies of the newest content, in the order in which they are tried; of none: none.

    A copy that is written while the restore runs, which began at `begun_ns`, does not count as long
    as there are others: the place where it lies may have been listed before.
    """
    settled = [copy for copy in copies if copy.written_ns < begun_ns] or list(copies)
    if not settled:
        return []
    newest = max(settled, key=_age)
    same = [copy for copy in settled if is_same_content(copy, newest)]
    same.sort(key=_age, reverse=True)
    # The same bytes with other times are of an older state of the file.
    same.sort(key=lambda copy: (copy.mtime_ns != newest.mtime_ns, REACH[copy.storage.kind]))
    return same


def is_same_content(one: StoredCopy, other: StoredCopy) -> bool:
    """Whether both hold the same bytes, as far as is on record.

    Without a checksum that both have it is the same file by size and time, as for conflicts.
    """
    if one.size != other.size:
        return False
    if one.xxh3_128 and other.xxh3_128:
        return one.xxh3_128 == other.xxh3_128
    if one.checksum and other.checksum and one.checksum_kind == other.checksum_kind:
        return one.checksum == other.checksum
    return one.mtime_ns == other.mtime_ns


def expected_hash(copies: Sequence[StoredCopy]) -> bytes:
    """The XXH3-128 that the content of these copies has to have; b"" where nobody knows."""
    return next((copy.xxh3_128 for copy in copies if copy.xxh3_128), b"")


def _age(copy: StoredCopy) -> tuple[int, int, tuple[int, int], bytes]:
    """What sorts copies by age, the newest last: its execution counts before the time."""
    reference = (copy.storage.kind.value, copy.storage.id)
    return copy.execution_id, copy.written_ns, reference, copy.path
