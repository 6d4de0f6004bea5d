"""Which folders are compared as a whole, and that it comes to the same as file by file."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest

from longshore.domain.checksum import ChecksumKind
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record, expand
from longshore.domain.task import WorkflowAction
from longshore.hooks import FileRequest
from longshore.pipeline import scan
from longshore.pipeline.comparing import may_pass_over
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import Callback, Destination, ExecutionPlan, WorkKind
from longshore.pipeline.messages.replies import ScanReply
from longshore.pipeline.messages.work import ScanFolder, encode, first_scan
from longshore.pipeline.mover import Mover
from longshore.pipeline.packing import unpack_folders
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.forwarding import ForwardingStorage
from tests.unit.pipeline.driving import plan_for

REPLIES_MAXIMUM = 100

FOLDER = ScanFolder(0, b"folder", b"folder")


def catalogued(plan: ExecutionPlan, **fields: Any) -> ExecutionPlan:
    """The plan with a source that the catalogue has as a tree."""
    source = msgspec.structs.replace(plan.sources[0], **{"root_id": 1, **fields})
    return msgspec.structs.replace(plan, sources=[source])


@pytest.fixture
def plan(source: Path, destination: Path) -> ExecutionPlan:
    return catalogued(plan_for(source, destination, checksum=ChecksumKind.NONE))


def grow(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"folder {number % 3}" / f"file {number:04}"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"x" * (number % 7))
        os.utime(path, ns=(number, number))
    (folder / "folder 0" / "link").symlink_to("anywhere")
    # Read later than changed, so that reading it leaves the access time alone.
    later = time.time_ns() + 3600 * 10**9
    os.utime(folder / "folder 0" / "link", ns=(later, 1), follow_symlinks=False)


@dataclass
class Scan:
    """All replies of a scan from the roots on."""

    plan: ExecutionPlan
    wrap: Any = lambda storage: storage
    native: bool = True
    dispatch: Any = None
    replies: list[ScanReply] = field(default_factory=list)

    def run(self) -> Scan:
        mover = Mover(self._open, lambda plan: None, lambda: 0.0, lambda: 5)
        mover._dispatch = self.dispatch
        pending = [encode(first_scan(self.plan))]
        while pending:
            assert len(self.replies) < REPLIES_MAXIMUM
            work_id = len(self.replies) + 1
            order = WorkOrder(work_id, WorkKind.SCAN, encode(self.plan), pending.pop(0), True)
            reply = mover(order)
            assert isinstance(reply, ScanReply)
            self.replies.append(reply)
            pending += [each.payload for each in reply.remaining]
        mover.close()
        return self

    def _open(self, address: Any) -> StorageHandler:
        root = os.fsencode(address.settings["root"])
        storage: StorageHandler = self.wrap(
            PosixStorage(address.reference, root, native=self.native)
        )
        return storage

    def records(self) -> list[Record]:
        """All of them, in the order of their files; places are checked and made the same."""
        found = []
        for reply in self.replies:
            records = [*reply.records, *chain.from_iterable(map(expand, reply.unchanged))]
            places = sorted(record.place for record in records)
            assert places == list(range(len(records)))
            processed = [each for each in records if each.outcome is not Outcome.REFUSED]
            assert reply.found_files == len(processed) + sum(each.files for each in reply.batches)
            assert reply.found_bytes == sum(each.entry.size for each in processed) + sum(
                each.size for each in reply.batches
            )
            found += [msgspec.structs.replace(record, place=0) for record in records]
        return sorted(found, key=lambda record: (record.folder, record.entry.name))

    def batches(self) -> list[bytes]:
        return [each.payload for reply in self.replies for each in reply.batches]

    def folders(self) -> list[bytes]:
        packed = [each for reply in self.replies for each in reply.folders]
        return [found.path for found in unpack_folders(packed)]

    def passed_over(self) -> int:
        return sum(each.files for reply in self.replies for each in reply.unchanged)


def singly(plan: ExecutionPlan) -> Scan:
    """The same scan, file by file."""
    return Scan(catalogued(plan, root_id=None)).run()


def test_unchanged_files_are_passed_over_and_recorded_as_one_by_one(
    plan: ExecutionPlan, source: Path, destination: Path
) -> None:
    grow(source, 90)
    grow(destination, 90)
    together = Scan(plan).run()
    assert together.passed_over() == 91
    assert together.records() == singly(plan).records()


@pytest.mark.parametrize("native", [True, False])
def test_what_is_new_or_different_is_planned_as_one_by_one(
    plan: ExecutionPlan, source: Path, destination: Path, native: bool
) -> None:
    grow(source, 90)
    grow(destination, 60)
    (source / "folder 1" / "file 0001").write_bytes(b"another content")
    os.mkfifo(source / "folder 1" / "pipe")
    (source / "folder 1" / "inside").mkdir()
    together = Scan(plan, native=native).run()
    alone = singly(plan)
    assert together.passed_over() == 60
    assert together.records() == alone.records()
    assert together.batches() == alone.batches()
    assert together.folders() == alone.folders()
    assert len(alone.folders()) == 4


def test_a_wrapped_storage_is_compared_entry_by_entry(
    plan: ExecutionPlan, source: Path, destination: Path
) -> None:
    grow(source, 10)
    grow(destination, 10)
    wrapped = Scan(plan, wrap=ForwardingStorage).run()
    assert wrapped.passed_over() == 11
    assert wrapped.records() == Scan(plan).run().records()


def test_a_big_folder_comes_in_pieces_and_several_replies(
    plan: ExecutionPlan, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CHUNK_ENTRIES", 10)
    monkeypatch.setattr(scan, "UNCHANGED_BYTES_MAXIMUM", 2000)
    grow(source, 300)
    grow(destination, 300)
    together = Scan(plan).run()
    assert len(together.replies) > 5
    assert together.passed_over() == 301
    pieces = [
        each.piece
        for reply in together.replies
        for each in reply.unchanged
        if each.folder == b"folder 2"
    ]
    assert pieces == list(range(10))


def test_plug_ins_are_asked_about_every_file(
    plan: ExecutionPlan, source: Path, destination: Path
) -> None:
    grow(source, 10)
    grow(destination, 10)
    asked: list[FileRequest] = []

    def ask(request: FileRequest) -> FileRequest:
        asked.append(request)
        return request

    assert Scan(plan, dispatch=ask).run().passed_over() == 0
    assert len(asked) == 11


def test_folders_of_a_plain_copy_are_compared_as_a_whole(plan: ExecutionPlan) -> None:
    assert may_pass_over(plan, FOLDER)
    assert may_pass_over(msgspec.structs.replace(plan, checksum=ChecksumKind.SHA256), FOLDER)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": WorkflowAction.MOVE},
        {"action": WorkflowAction.RESTORE},
        {"action": WorkflowAction.ERASE},
        {"action": WorkflowAction.SCAN, "destinations": []},
        {"action": WorkflowAction.INCREMENTAL_BACKUP},
        {"callbacks": [Callback(1, "")]},
        {"original_place": True},
        {"listed_execution": 5},
        {"base_executions": [5]},
        {"destinations": []},
    ],
    ids=str,
)
def test_files_that_concern_somebody_singly_are_not_passed_over(
    plan: ExecutionPlan, changes: dict[str, Any]
) -> None:
    assert not may_pass_over(msgspec.structs.replace(plan, **changes), FOLDER)


def test_sources_whose_files_have_no_single_place_are_not_passed_over(plan: ExecutionPlan) -> None:
    assert not may_pass_over(catalogued(plan, root_id=None), FOLDER)
    assert not may_pass_over(catalogued(plan, range_last=5), FOLDER)
    assert not may_pass_over(plan, msgspec.structs.replace(FOLDER, only=b"file"))
    storage = plan.destinations[0].storage
    pool = msgspec.structs.replace(plan, destinations=[Destination(storage, None, [storage])])
    assert not may_pass_over(pool, FOLDER)
