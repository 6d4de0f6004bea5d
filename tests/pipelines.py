"""The pipeline without engine and database: plans, toolboxes and slices over real folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from longshore.domain.checksum import ChecksumKind
from longshore.domain.record import Record
from longshore.domain.storage import StorageKind, StorageReference, folder_address
from longshore.domain.task import ConflictResolution
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import Destination, ExecutionPlan, Source, WorkKind
from longshore.pipeline.messages.replies import CopyReply, Reply, ScanReply
from longshore.pipeline.messages.work import encode, first_scan
from longshore.pipeline.mover import Mover
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import Fault, FaultPlan
from longshore.storage.wrappers.faulty import FaultyStorage, Hook, no_hook

SLICES_MAXIMUM = 500  # of one run in a test; more means that it does not end

SOURCE = StorageReference(StorageKind.NAS_SHARE, 1)
DESTINATION = StorageReference(StorageKind.NAS_SHARE, 2)


@dataclass(slots=True)
class Bench:
    """One mover, a source and a destination folder, and faults on either side."""

    folder: Path
    conflict: ConflictResolution = ConflictResolution.RENAME
    checksum: ChecksumKind = ChecksumKind.NONE
    batch_files: int = 1000
    batch_bytes: int = 1 << 28
    slice_seconds: float = 60.0
    native: bool = True
    durable: bool = False  # both storages take care of it themselves, with calls for it
    execution_id: int = 7
    source_faults: tuple[Fault, ...] = ()
    destination_faults: tuple[Fault, ...] = ()
    hook: Hook = no_hook
    at_once: int = 1  # operations that both storages are worth at once
    monotonic: Callable[[], float] = time.monotonic
    work_ids: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 30)))
    mover: Mover = field(init=False)

    def __post_init__(self) -> None:
        for each in (self.source, self.destination):
            each.mkdir(parents=True, exist_ok=True)
        self.restart()

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def destination(self) -> Path:
        return self.folder / "destination"

    def restart(self) -> None:
        """A new mover, as after the death of the old one; the counts of faults begin anew."""
        self.mover = Mover(
            open_storage=self._open,
            open_filter=lambda plan: None,
            monotonic=self._now,
            time_ns=time.time_ns,
        )

    def close(self) -> None:
        self.mover.close()

    def plan(self) -> ExecutionPlan:
        """Copy the whole source folder into the destination folder."""
        return ExecutionPlan(
            execution_id=self.execution_id,
            task_id=1,
            sources=[
                Source(
                    storage=folder_address(SOURCE, str(self.source)),
                    path=b"",
                    target=b"",
                    target_name=b"",
                    root_id=None,
                    optional=False,
                )
            ],
            destinations=[Destination(folder_address(DESTINATION, str(self.destination)), None)],
            conflict=self.conflict,
            checksum=self.checksum,
            verify=True,
            callbacks=[],
            workers=1,
            slice_seconds=self.slice_seconds,
            batch_files=self.batch_files,
            batch_bytes=self.batch_bytes,
        )

    def order(self, kind: WorkKind, payload: bytes, *, work_id: int = 0, fresh: bool) -> Reply:
        """One slice of the work."""
        return self.mover(
            WorkOrder(
                work_id=work_id or next(self.work_ids),
                kind=kind,
                plan=encode(self.plan()),
                payload=payload,
                fresh=fresh,
            )
        )

    def scan(self, payload: bytes = b"") -> ScanReply:
        reply = self.order(WorkKind.SCAN, payload or encode(first_scan(self.plan())), fresh=True)
        assert isinstance(reply, ScanReply)
        return reply

    def scan_all(self) -> list[ScanReply]:
        """Slice after slice until everything is listed."""
        replies: list[ScanReply] = []
        pending = [encode(first_scan(self.plan()))]
        while pending:
            assert len(replies) < SLICES_MAXIMUM
            replies.append(self.scan(pending.pop(0)))
            pending += [each.payload for each in replies[-1].remaining]
        return replies

    def copy(self, payload: bytes, *, work_id: int = 0, fresh: bool = True) -> CopyReply:
        reply = self.order(WorkKind.COPY, payload, work_id=work_id, fresh=fresh)
        assert isinstance(reply, CopyReply)
        return reply

    def copy_all(self, *, fresh: bool = True) -> list[Record]:
        """Scan and copy slice after slice, without waiting before further attempts."""
        records: list[Record] = []
        for reply in self.scan_all():
            records += reply.records
            for batch in reply.batches:
                records += self.copy_batch(batch.payload, fresh=fresh)
        return records

    def copy_batch(self, payload: bytes, *, fresh: bool = True) -> list[Record]:
        records: list[Record] = []
        work_id = next(self.work_ids)
        rest: bytes | None = payload
        for _ in range(SLICES_MAXIMUM):
            if rest is None:
                return records
            reply = self.copy(rest, work_id=work_id, fresh=fresh)
            assert reply.lost is None, reply.lost
            records += reply.records
            rest = None if reply.remaining is None else reply.remaining.payload
            fresh = False
        raise AssertionError("the batch does not end")

    def _open(self, address: Any) -> StorageHandler:
        root = address.settings["root"]
        storage = PosixStorage(
            address.reference, root.encode(), own_durability=self.durable, native=self.native
        )
        storage.capabilities = msgspec.structs.replace(
            storage.capabilities, parallel_operations=self.at_once
        )
        faults = self.source_faults if address.reference == SOURCE else self.destination_faults
        return FaultyStorage(storage, FaultPlan(faults), hook=self.hook) if faults else storage

    def _now(self) -> float:
        return self.monotonic()
