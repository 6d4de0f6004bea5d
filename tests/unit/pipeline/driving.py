"""Driving a Mover through a whole execution, as the controller does, in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from longshore.domain.checksum import ChecksumKind
from longshore.domain.record import Record
from longshore.domain.storage import (
    StorageAddress,
    StorageKind,
    StorageReference,
    folder_address,
)
from longshore.domain.task import ConflictResolution
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import Destination, ExecutionPlan, Source, WorkKind
from longshore.pipeline.messages.replies import CleanReply, CopyReply, FolderReply, ScanReply
from longshore.pipeline.messages.work import FoundFolder, PackedWork, encode, first_scan
from longshore.pipeline.mover import Mover
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import (
    Folder,
    Metadata,
    StagedFile,
    StorageHandler,
    attribute_field,
)
from longshore.storage.wrappers.faults import Fault, FaultPlan
from longshore.storage.wrappers.faulty import FaultyStorage, Hook, no_hook
from longshore.storage.wrappers.forwarding import (
    ForwardingFolder,
    ForwardingStagedFile,
    ForwardingStorage,
)

ROUNDS_MAXIMUM = 10_000  # orders; more would mean that the work never ends
PHASES = (WorkKind.LINKS, WorkKind.FOLDERS)  # held until everything before is done
SOURCE, DESTINATION = 1, 2  # ids of the two storages


def plan_for(
    source: Path,
    destination: Path,
    *,
    conflict: ConflictResolution = ConflictResolution.OVERWRITE,
    checksum: ChecksumKind = ChecksumKind.SHA256,
    verify: bool = True,
    batch_files: int = 100,
    slice_seconds: float = 60.0,
) -> ExecutionPlan:
    """Copy everything in one folder into another one."""
    shares = [
        folder_address(StorageReference(StorageKind.NAS_SHARE, number), str(folder))
        for number, folder in ((SOURCE, source), (DESTINATION, destination))
    ]
    return ExecutionPlan(
        execution_id=7,
        task_id=1,
        sources=[Source(shares[0], b"", b"", b"", None, False)],
        destinations=[Destination(shares[1], None)],
        conflict=conflict,
        checksum=checksum,
        verify=verify,
        callbacks=[],
        workers=1,
        slice_seconds=slice_seconds,
        batch_files=batch_files,
        batch_bytes=256 * 1024 * 1024,
    )


Wrap = Callable[[StorageHandler], StorageHandler]


def with_faults(*faults: Fault, hook: Hook = no_hook) -> Wrap:
    """A storage on which these things go wrong."""
    plan = FaultPlan(faults)  # one count for all handlers on the storage
    return lambda inner: FaultyStorage(inner, plan, hook=hook)


def without(**abilities: object) -> Wrap:
    """A storage that lacks abilities of the one it stands on."""

    def wrap(inner: StorageHandler) -> StorageHandler:
        inner.capabilities = msgspec.structs.replace(inner.capabilities, **abilities)
        return inner

    return wrap


def stripped(ability: str) -> Wrap:
    """A destination that does not keep something, and says so as the interface wants it."""
    if ability in {"sparse", "hard_links"}:
        return without(**{ability: False})
    return lambda inner: _Stripped(inner, ability)


class _Stripped(ForwardingStorage):
    def __init__(self, inner: StorageHandler, ability: str) -> None:
        super().__init__(inner)
        self._ability = ability

    def wrap_folder(self, folder: Folder) -> Folder:
        return _StrippedFolder(folder, self._ability)


class _StrippedFolder(ForwardingFolder):
    def __init__(self, inner: Folder, ability: str) -> None:
        super().__init__(inner)
        self._ability = ability

    def wrap_staged(self, temporary_name: bytes, staged: StagedFile) -> StagedFile:
        return _StrippedFile(staged, self._ability)

    def set_metadata(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        kept, lost = _strip(metadata, self._ability)
        return self.inner.set_metadata(name, kept) + lost


class _StrippedFile(ForwardingStagedFile):
    def __init__(self, inner: StagedFile, ability: str) -> None:
        super().__init__(inner)
        self._ability = ability

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        kept, lost = _strip(metadata, self._ability)
        return self.inner.set_metadata(kept) + lost


def _strip(metadata: Metadata, ability: str) -> tuple[Metadata, tuple[str, ...]]:
    """What is left to be kept, and the names of what is not."""
    if ability == "attributes":
        names = tuple(map(attribute_field, metadata.attributes or {}))
        return msgspec.structs.replace(metadata, attributes={}), names
    if ability == "ownership":
        safe = None if metadata.mode is None else metadata.mode & ~0o6000
        changed = () if safe == metadata.mode else ("mode",)
        kept = msgspec.structs.replace(metadata, uid=None, gid=None, mode=safe)
        return kept, ("uid", "gid", *changed)
    lost = () if metadata.mode is None else ("mode",)
    return msgspec.structs.replace(metadata, mode=None), lost


def as_it_is(inner: StorageHandler) -> StorageHandler:
    return inner


@dataclass(slots=True)
class Driver:
    """What an execution has left to do, and what came out of it. `movers` take turns."""

    plan: ExecutionPlan
    wrap_source: Wrap = as_it_is
    wrap_destination: Wrap = as_it_is
    movers_count: int = 1
    fresh: bool = True
    records: list[Record] = field(default_factory=list)
    folders: list[FoundFolder] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    bytes_copied: int = 0
    orders: int = 0
    todo: list[tuple[WorkKind, int, bytes]] = field(default_factory=list)
    held: list[tuple[WorkKind, bytes]] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)

    def run(self) -> Driver:
        """Do all of the work; itself, for the results."""
        self.start()
        while self.step():
            pass
        return self.close()

    def start(self) -> None:
        self.movers = [self.mover() for _ in range(self.movers_count)]
        self._add(WorkKind.SCAN, [PackedWork(0, 0, encode(first_scan(self.plan)))])

    def crash(self) -> None:
        """Carry out one order whose reply nobody gets, and begin with new movers."""
        if not self.todo:
            self._release()
        if self.todo:
            kind, work_id, payload = self.todo[0]
            self.movers[0](WorkOrder(work_id, kind, encode(self.plan), payload, self.fresh))
        self.close()
        self.movers = [self.mover() for _ in self.movers]
        self.fresh = False

    def step(self) -> bool:
        """Carry out one order; False when nothing is left."""
        assert self.orders < ROUNDS_MAXIMUM
        if not self.todo:
            self._release()
        if not self.todo:
            return False
        kind, work_id, payload = self.todo.pop(0)
        self.orders += 1
        mover = self.movers[self.orders % len(self.movers)]
        order = WorkOrder(work_id, kind, encode(self.plan), payload, self.fresh)
        self._take(kind, work_id, mover(order))
        return True

    def close(self) -> Driver:
        for mover in self.movers:
            mover.close()
        return self

    def record_of(self, name: bytes) -> Record:
        (found,) = [record for record in self.records if record.entry.name == name]
        return found

    def _take(self, kind: WorkKind, work_id: int, reply: object) -> None:
        if isinstance(reply, ScanReply):
            assert reply.lost is None
            self.records += reply.records
            self._add(WorkKind.SCAN, reply.remaining)
            self._add(WorkKind.COPY, reply.batches)
            self.held += [(WorkKind.FOLDERS, each.payload) for each in reply.folders]
            self.held += [(WorkKind.LINKS, each.payload) for each in reply.links]
            return
        assert isinstance(reply, CopyReply | FolderReply | CleanReply)
        assert reply.lost is None
        if reply.remaining is not None:
            self.todo.append((kind, work_id, reply.remaining.payload))
        if isinstance(reply, CleanReply):
            return
        self.records += reply.records
        self.warnings += [text for text in reply.warnings if text not in self.warnings]
        if isinstance(reply, FolderReply):
            self.folders += reply.done
        else:
            self.bytes_copied += reply.bytes_copied

    def _add(self, kind: WorkKind, packed: Sequence[PackedWork]) -> None:
        begin = 1000 * (self.orders + 1)
        self.todo += [(kind, begin + n, each.payload) for n, each in enumerate(packed)]

    def _release(self) -> None:
        for phase in PHASES:
            due = [payload for kind, payload in self.held if kind is phase]
            if due:
                self.held = [each for each in self.held if each[0] is not phase]
                self._add(phase, [PackedWork(0, 0, payload) for payload in due])
                return

    def mover(self) -> Mover:
        return Mover(self._open, lambda _: None, time.monotonic, time.time_ns)

    def _open(self, address: StorageAddress) -> StorageHandler:
        root = os.fsencode(address.settings["root"])
        inner = PosixStorage(address.reference, root)
        wrap = self.wrap_source if address.reference.id == SOURCE else self.wrap_destination
        return wrap(inner)
