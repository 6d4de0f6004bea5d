"""What the controller and the movers tell each other, and what stands in the journal.

    controller ── WorkOrder(kind, plan, payload) ──> mover
               <── ScanReply | CopyReply | FolderReply | CleanReply ──

The controller never looks into a payload: it stores and forwards bytes. It does read the replies,
because their records go into the database. Everything is msgpack, arrays without field names.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import Entry
from longshore.domain.errors import FileFailure, Side
from longshore.domain.record import Record, UnchangedFolder
from longshore.domain.segments import SEGMENT_BYTES
from longshore.domain.storage import StorageAddress, StorageReference
from longshore.domain.task import ConflictResolution, ProcessingOrder, WorkflowAction


class WorkKind(IntEnum):
    """Units of work, in the order in which one execution prefers them."""

    COPY = 1
    SCAN = 2
    FOLDERS = 3  # metadata of folders, after everything in them
    CLEAN = 4  # removal of staged files, after a stop
    RELEASE = 5  # removal of moved files from their source
    PRUNE = 6  # removal of source folders that a move has emptied
    LINKS = 7  # removal of what hard links were made from, after everything is copied
    ERASE = 8  # removal of files, by the action erase
    CHECK = 9  # reading files where they are: scan, and incremental backups, with a checksum
    LIST = 10  # files on record or in the catalogue, page by page: work of the controller itself
    SPEEDTEST = 11  # writing, reading and removing a test file
    LOOK = 12  # which folders are missing at the destination, before files are written into them
    PART = 13  # some segments of a big file that several movers write at once
    FINISH = 14  # such a file's own item once its parts are given out: verify it, publish it
    FREE = 15  # taking freeable files in their order: work of the controller itself


# ------------------------------------------------------------------------------- the plan


class Source(msgspec.Struct, frozen=True, array_like=True):
    """One source of an execution, resolved to a storage."""

    storage: StorageAddress
    path: bytes  # of the file or folder; b"" = the whole storage
    target: bytes  # folder in the destination storage in which it appears
    target_name: bytes  # its new name there; b"" = its own
    root_id: int | None  # catalogue root its files belong to
    optional: bool  # one of several storages of a pool: the path may lie on another of them
    destination: int = 0  # index into the plan's destinations: each pair is a source of its own
    range_first: int = 0  # only these bytes of a single file
    range_last: int = 0  # not included; 0 = the whole file


class Destination(msgspec.Struct, frozen=True, array_like=True):
    storage: StorageAddress
    root_id: int | None  # of containers and primary pools
    further: list[StorageAddress] = []  # of the same pool, filled when those before are full

    def shares(self) -> list[StorageAddress]:
        """All storages of the destination, in the order in which they are filled."""
        return [self.storage, *self.further]


class Callback(msgspec.Struct, frozen=True, array_like=True):
    id: int
    script: str


class ExecutionPlan(msgspec.Struct, frozen=True, array_like=True):
    """Everything movers need to know of an execution, fixed when it starts."""

    execution_id: int
    task_id: int
    sources: list[Source]
    destinations: list[Destination]  # none where the action needs none
    conflict: ConflictResolution
    checksum: ChecksumKind
    verify: bool  # read back and compare before publishing
    callbacks: list[Callback]
    workers: int  # batches at work at once
    slice_seconds: float
    batch_files: int
    batch_bytes: int
    action: WorkflowAction = WorkflowAction.COPY
    verify_from_medium: bool = False  # make the system forget what it wrote before reading back
    soft_erase: bool = False  # only mark the catalogue's entries as deleted
    reset_file_date: bool = False  # written files get the present time
    reset_folder_date: bool = False
    order: ProcessingOrder = ProcessingOrder.NONE
    base_executions: list[int] = []  # backups that an incremental one builds upon
    original_place: bool = False  # each file goes where the catalogue has it
    listed_execution: int = 0  # only the files on record of this execution; 0 = walk the sources
    segment_bytes: int = SEGMENT_BYTES  # a larger file is moved in segments; the smallest size


# -------------------------------------------------------------------------- copies to restore


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


class UnsoundCopy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A copy that is not what is on record of it, or not there."""

    source: int
    path: bytes


class ChosenFile(msgspec.Struct, frozen=True, array_like=True):
    """A file that the controller has chosen: a scan looks at its first copy, then at others."""

    target_name: bytes
    expected: bytes  # as of PlannedFile, like the next two
    unkept: bytes
    further: Further


# ----------------------------------------------------------------------------------- scan


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


# -------------------------------------------------------------------------------- replies


class Lost(msgspec.Struct, frozen=True, array_like=True):
    """A storage that is gone or full: the execution waits for it, or stops."""

    side: Side
    failure: FileFailure


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """All names of a folder behind `after`, up to `last` (b"" = to the end), as a scan saw them."""

    source: int
    folder: bytes
    after: bytes
    last: bytes
    names: list[bytes]


class ScanReply(msgspec.Struct, frozen=True, array_like=True):
    remaining: list[PackedWork]  # new scan work: what is left, and the folders that were found
    batches: list[PackedWork]  # copy work
    folders: list[PackedWork]  # folders work, held until everything is copied
    records: list[Record]
    found_files: int  # files of the batches and processed files of the records
    found_bytes: int
    log: list[str]
    lost: Lost | None = None
    gave_up: str = ""  # why a callback ended the execution
    links: list[PackedWork] = []  # links work, held until everything is copied
    listed: list[Listed] = []  # of the action scan: what is not among the names has vanished
    retry_after_seconds: float = 0.0  # when what remains is worth another attempt
    unchanged: list[UnchangedFolder] = []  # records that are not written out
    inside: bool = False  # this mover keeps the first remaining folder open: another lists it anew
    chosen: list[int] = []  # places of the records that are of chosen files
    unsound: list[UnsoundCopy] = []  # that others were tried instead of


class StorageBytes(msgspec.Struct, frozen=True, array_like=True):
    storage: StorageReference
    bytes: float


class Owed(msgspec.Struct, frozen=True, array_like=True):
    """Bytes that an order has moved beyond its rates, by the rate that they are beyond of."""

    storages: list[StorageBytes]
    read: float


class Shared(msgspec.Struct, frozen=True, array_like=True):
    """What came of an order for a file whose parts are, or will be, with several movers."""

    followed: int = 0  # segments that this mover has verified from the start of the file
    failure: FileFailure | None = None  # it cannot go on like this
    again: bool = False  # after this failure it is worth another beginning


class WholeFolder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All files of a folder, or piece of it, copied: these records, in the order of their names."""

    first: int  # index of the first one in the reply's records
    files: int
    source: int
    folder: bytes
    target: bytes
    piece: int
    digest: bytes  # pipeline.comparing.digest_of


class CopyReply(msgspec.Struct, frozen=True, array_like=True):
    records: list[Record]
    remaining: PackedWork | None
    bytes_copied: int  # in this slice, for the bandwidth
    size_change: int  # by how much the recorded files differ from what the scan had found
    retry_after_seconds: float = 0.0  # when what remains is worth another attempt
    warnings: list[str] = []
    lost: Lost | None = None
    owed: Owed | None = None  # what was moved beyond the order's rates
    shared: Shared | None = None  # of a file in parts; `remaining` is only there if it was begun
    inside: bool = False  # this mover remembers a pass over the file that another would begin anew
    whole: list[WholeFolder] = []
    others: list[PackedWork] = []  # new copy work: files whose next copy is to be tried
    unsound: list[UnsoundCopy] = []  # that these are tried instead of


class PartReply(msgspec.Struct, frozen=True, array_like=True):
    """Of a part that is through (its digests), that goes on (what remains), or that failed."""

    digests: list[bytes]
    remaining: PackedWork | None
    bytes_copied: int
    retry_after_seconds: float = 0.0  # when what remains, or the whole file, is tried again
    warnings: list[str] = []
    lost: Lost | None = None
    owed: Owed | None = None
    followed: int = 0  # as of Shared
    failure: FileFailure | None = None  # of the whole file
    again: bool = False
    attempts: int = 0  # that have failed, this one included


class FolderReply(msgspec.Struct, frozen=True, array_like=True):
    done: list[FoundFolder]
    records: list[Record]  # of folders that failed
    remaining: PackedWork | None
    warnings: list[str] = []
    lost: Lost | None = None
    retry_after_seconds: float = 0.0  # what is left is not to be tried before


class LookReply(msgspec.Struct, frozen=True, array_like=True):
    """The folders that are missing so far; the batches come back with the last slice."""

    missing: list[FoundFolder]
    batches: list[PackedWork]
    remaining: PackedWork | None
    lost: Lost | None = None


class FileReply(msgspec.Struct, frozen=True, array_like=True):
    """Of erasing and checking: the files that are through, and the rest."""

    records: list[Record]
    remaining: PackedWork | None
    warnings: list[str] = []
    lost: Lost | None = None
    owed: Owed | None = None  # as of CopyReply; of checking only
    inside: bool = False  # the slice ended inside a file, and this mover remembers where


class SpeedWork(msgspec.Struct, frozen=True, array_like=True):
    """A storage to be measured: one of the plan's sources or destinations."""

    side: Side
    index: int
    size: int  # bytes of the test file


class SpeedReply(msgspec.Struct, frozen=True, array_like=True):
    """How long writing and reading the test file took, both until durable. Sizes are bytes."""

    size: int = 0
    seconds: float = 0.0
    failure: FileFailure | None = None
    lost: Lost | None = None


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


class ReleaseReply(msgspec.Struct, frozen=True, array_like=True):
    released: list[ReleaseGroup]
    kept: list[str]  # why a source stays, one text a file
    remaining: PackedWork | None
    warnings: list[str] = []
    lost: Lost | None = None


class PruneReply(msgspec.Struct, frozen=True, array_like=True):
    removed: list[FoundFolder]
    lost: Lost | None = None


class CleanReply(msgspec.Struct, frozen=True, array_like=True):
    removed: int
    lost: Lost | None = None
    remaining: PackedWork | None = None  # links work only


Reply = (
    SpeedReply
    | FileReply
    | ScanReply
    | CopyReply
    | FolderReply
    | ReleaseReply
    | PruneReply
    | CleanReply
    | LookReply
    | PartReply
)

REPLIES: dict[WorkKind, type[Reply]] = {
    WorkKind.SCAN: ScanReply,
    WorkKind.COPY: CopyReply,
    WorkKind.FOLDERS: FolderReply,
    WorkKind.CLEAN: CleanReply,
    WorkKind.LINKS: CleanReply,
    WorkKind.RELEASE: ReleaseReply,
    WorkKind.PRUNE: PruneReply,
    WorkKind.ERASE: FileReply,
    WorkKind.CHECK: FileReply,
    WorkKind.SPEEDTEST: SpeedReply,
    WorkKind.LOOK: LookReply,
    WorkKind.PART: PartReply,
    WorkKind.FINISH: CopyReply,
}


class StorageRate(msgspec.Struct, frozen=True, array_like=True):
    storage: StorageReference
    bytes_per_second: float  # of what is read from it, written to it and read back


class Rates(msgspec.Struct, frozen=True, array_like=True):
    """The shares of bandwidth limits that one order may use."""

    storages: list[StorageRate]
    read: float | None = None  # bytes per second from all sources together; None = no limit


class StorageCredentials(msgspec.Struct, frozen=True, array_like=True):
    """What is needed to open a storage besides its address, and is written down nowhere."""

    storage: StorageReference
    settings: dict[str, str]


class WorkOrder(msgspec.Struct, frozen=True, array_like=True):
    """One slice of work for a mover."""

    work_id: int
    kind: WorkKind
    plan: bytes  # of ExecutionPlan
    payload: bytes
    fresh: bool  # nobody has begun this item before, so nothing of it can be found
    rates: Rates | None = None  # None = no limit
    credentials: list[StorageCredentials] = []


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


def decode_plan(data: bytes) -> ExecutionPlan:
    """The plan as it is carried out: a move reads back what it writes, whoever has planned it."""
    plan = msgspec.msgpack.decode(data, type=ExecutionPlan)
    if plan.action is WorkflowAction.MOVE and not plan.verify:
        return msgspec.structs.replace(plan, verify=True)
    return plan


def was_to_read_back(data: bytes) -> bool:
    """Whether the version that has made the plan read back what it wrote for it."""
    return msgspec.msgpack.decode(data, type=ExecutionPlan).verify
