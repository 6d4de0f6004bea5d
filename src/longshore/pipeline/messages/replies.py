"""What movers have to say of a slice: what is done, what is left, and what was in the way."""

from __future__ import annotations

import msgspec

from longshore.domain.errors import FileFailure, Side
from longshore.domain.record import Record, UnchangedFolder
from longshore.domain.storage import StorageReference
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.work import FoundFolder, PackedWork, ReleaseGroup


class UnsoundCopy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A copy that is not what is on record of it, or not there."""

    source: int
    path: bytes


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


class SpeedReply(msgspec.Struct, frozen=True, array_like=True):
    """How long writing and reading the test file took, both until durable. Sizes are bytes."""

    size: int = 0
    seconds: float = 0.0
    failure: FileFailure | None = None
    lost: Lost | None = None


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
