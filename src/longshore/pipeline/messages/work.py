"""Units of work as the journal has them: payloads that the controller forwards and never reads."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import FileFailure, Side
from longshore.domain.segments import SEGMENT_BYTES
from longshore.pipeline.messages.plan import ExecutionPlan


class OtherCopy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A copy that is tried when those before it fail; it has the same content."""

    source: int  # index into the plan's sources, with the destination of those before it
    folder: bytes
    name: bytes
    size: int
    mtime_ns: int
    unkept: bytes = b""  # as of PlannedFile


class Further(msgspec.Struct, frozen=True, array_like=True):
    """Of a file that is restored: its copies behind the present one, and those before."""

    copies: list[OtherCopy]
    failure: FileFailure | None = None  # what is wrong with the copies before, all in one text
    attempts: int = 0  # that were made with them


class ChosenFile(msgspec.Struct, frozen=True, array_like=True):
    """A file that the controller has chosen: a scan looks at its first copy, then at others."""

    target_name: bytes
    expected: bytes  # as of PlannedFile, like the next two
    unkept: bytes
    further: Further


class ScanFolder(msgspec.Struct, frozen=True, array_like=True):
    """A folder still to be listed, from the name behind `after` on, or one single name of it."""

    source: int  # index into the plan's sources
    path: bytes
    target: bytes  # the folder it becomes, in the destination storage
    after: bytes = b""
    only: bytes = b""
    attempts: int = 0  # attempts to list it that failed so far
    piece: int = 0  # how many pieces of it were listed before
    chosen: ChosenFile | None = None  # what `only` is a copy of


class ScanWork(msgspec.Struct, frozen=True, array_like=True):
    folders: list[ScanFolder]


class CopyMode(IntEnum):
    """What the plan found at the destination, and what to do about it."""

    NEW = 1  # nothing there
    OVERWRITE = 2
    RENAME = 3
    COMPARE = 4  # same size, other time: equal content makes it identical
    CHECK = 5  # nobody has looked: the mover looks before it copies


class PlannedFile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file to be copied. `place` is its place in the records of its work item."""

    place: int
    entry: Entry
    target_name: bytes
    mode: CopyMode
    attempts: int = 0  # attempts that failed so far
    expected: bytes = b""  # XXH3-128 that the source has to have; b"" = nobody knows
    unkept: bytes = b""  # what the source, itself a copy, does not bear: domain.fidelity.Unkept
    further: Further | None = None  # of a restore with a choice of copies


class CopyGroup(msgspec.Struct, frozen=True, array_like=True):
    """Files of one folder that go to one folder."""

    source: int
    folder: bytes
    target: bytes
    files: list[PlannedFile]
    whole: int = 0  # how many files the piece has, where nothing needs to look at them singly
    piece: int = 0  # of the folder, as of domain.record.UnchangedFolder


class Segments(msgspec.Struct, frozen=True, array_like=True):
    """How far a big file is: XXH3-128 of every segment that stands in the staged file."""

    source: Entry  # the file as it was when its first segment was read
    digests: list[bytes]  # by the number of the segment; b"" or beyond the end = still missing
    segment_bytes: int = SEGMENT_BYTES
    begun_ns: int = 0  # tells one beginning of a file from the next
    token: bytes = b""  # of StagedFile.token
    part_segments: int = 0  # segments in a part; 0 = one mover at a time moves the file
    given_out: int = 0  # segments before this one are parts in the journal, or written
    failure: FileFailure | None = None  # why it cannot go on like this
    again: bool = False  # after this failure it is begun again
    mode: CopyMode | None = None  # in which it is published, once that is decided


class CopyWork(msgspec.Struct, frozen=True, array_like=True):
    groups: list[CopyGroup]
    big: Segments | None = None  # of the one file of a work item that holds a single big file


class PartWork(msgspec.Struct, frozen=True, array_like=True):
    """Some segments of a big file, one behind the other."""

    group: CopyGroup  # with the one file
    source: Entry
    segment_bytes: int
    begun_ns: int
    token: bytes
    first: int
    count: int
    digests: list[bytes]  # of those that are written
    attempts: int = 0  # attempts that failed so far


class PackedWork(msgspec.Struct, frozen=True, array_like=True):
    """A work item to be put into the journal."""

    files: int
    size: int  # bytes
    payload: bytes
    sort_key: bytes = b""  # its place in the order that the task asks for; b"" = none


class FoundFolder(msgspec.Struct, frozen=True, array_like=True):
    source: int
    path: bytes
    target: bytes
    entry: Entry
    lost: bytes = b""  # what the destination did not keep of it, as domain.fidelity encodes it
    unkept: bytes = b""  # what the source, itself a copy, does not bear: domain.fidelity.Unkept
    share: int = 0  # which of the destination's storages has it


class FoldersWork(msgspec.Struct, frozen=True, array_like=True):
    folders: list[FoundFolder]
    next_place: int = 0
    attempts: int = 0  # at the last folder, which comes first, that have failed


class LookWork(msgspec.Struct, frozen=True, array_like=True):
    """Folders to be looked for, and the batches that may be copied once that is on record.

    Whoever makes a missing folder owes it its metadata; one that stands there keeps its own.
    """

    folders: list[FoundFolder]
    batches: list[PackedWork]
    missing: list[FoundFolder] = []  # found out in earlier slices


class LinksWork(msgspec.Struct, frozen=True, array_like=True):
    source: int


class SpeedWork(msgspec.Struct, frozen=True, array_like=True):
    """A storage to be measured: one of the plan's sources or destinations."""

    side: Side
    index: int
    size: int  # bytes of the test file


class ListWork(msgspec.Struct, frozen=True, array_like=True):
    after: int = 0  # number of the last record that was taken over
    page: int | None = None  # of the catalogue, where that is asked for what no scan has found


class ReleaseGroup(msgspec.Struct, frozen=True, array_like=True):
    """Files of one source folder whose copies are recorded everywhere, as they were read."""

    source: int
    folder: bytes
    entries: list[Entry]


class ReleaseWork(msgspec.Struct, frozen=True, array_like=True):
    groups: list[ReleaseGroup]


_encoder = msgspec.msgpack.Encoder()


def first_scan(plan: ExecutionPlan) -> ScanWork:
    """The work that an execution begins with."""
    folders = []
    for index, source in enumerate(plan.sources):
        if plan.original_place and source.destination:
            continue  # the same source once more, for another place that files may go back to
        parent, name = paths.split(source.path)
        folders.append(ScanFolder(index, parent, source.target, only=name))
    return ScanWork(folders)


def encode(value: msgspec.Struct) -> bytes:
    return _encoder.encode(value)
