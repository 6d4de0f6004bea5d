"""The plan of an execution: what goes where, and by which rules. All its orders refer to it."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from longshore.domain.checksum import ChecksumKind
from longshore.domain.segments import SEGMENT_BYTES
from longshore.domain.storage import StorageAddress
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


def decode_plan(data: bytes) -> ExecutionPlan:
    """The plan as it is carried out: a move reads back what it writes, whoever has planned it."""
    plan = msgspec.msgpack.decode(data, type=ExecutionPlan)
    if plan.action is WorkflowAction.MOVE and not plan.verify:
        return msgspec.structs.replace(plan, verify=True)
    return plan


def was_to_read_back(data: bytes) -> bool:
    """Whether the version that has made the plan read back what it wrote for it."""
    return msgspec.msgpack.decode(data, type=ExecutionPlan).verify
