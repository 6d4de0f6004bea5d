"""Packing planned files into work items of a bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from longshore.domain.entry import Entry
from longshore.domain.task import ProcessingOrder, WorkflowAction
from longshore.pipeline.messages import (
    CopyGroup,
    CopyMode,
    CopyWork,
    ExecutionPlan,
    FoldersWork,
    FoundFolder,
    PackedWork,
    PlannedFile,
    ScanFolder,
    ScanWork,
    WorkKind,
    encode,
)

FOLDERS_PER_WORK = 1000  # folders whose metadata one work item sets
SCAN_FOLDERS_PER_WORK = 64  # few enough that several movers share what one has found
SCAN_ITEMS_WANTED = 4

_ORDERS: dict[ProcessingOrder, Callable[[PlannedFile], int]] = {
    ProcessingOrder.SIZE: lambda planned: planned.entry.size,
    ProcessingOrder.DATE: lambda planned: planned.entry.mtime_ns,
}
"""Inside a folder. Names are in order anyway; a wider order would hold up everything found."""


class Packer:
    """Takes planned files one by one and yields full batches."""

    def __init__(self, plan: ExecutionPlan) -> None:
        self._plan = plan
        self._groups: list[CopyGroup] = []
        self._files = 0
        self._bytes = 0
        self.packed: list[PackedWork] = []
        self.files = 0
        self.bytes = 0

    def add(
        self, source: int, folder: bytes, target: bytes, entry: Entry, name: bytes, mode: CopyMode
    ) -> None:
        """Plan one file: it becomes `name` in the target folder."""
        if entry.size > self._plan.segment_bytes:
            self._add_big(CopyGroup(source, folder, target, [PlannedFile(0, entry, name, mode)]))
        else:
            group = self._group(source, folder, target)
            group.files.append(PlannedFile(self._files, entry, name, mode))
            self._files += 1
            self._bytes += entry.size
        self.files += 1
        self.bytes += entry.size
        if self._files >= self._plan.batch_files or self._bytes >= self._plan.batch_bytes:
            self.flush()

    def flush(self) -> None:
        """Close the batch that is being filled."""
        key = _ORDERS.get(self._plan.order)
        if key is not None:
            for group in self._groups:
                group.files.sort(key=key)
        packed = pack_groups(self._groups)
        if packed is not None:
            self.packed.append(packed)
        self._groups, self._files, self._bytes = [], 0, 0

    def _add_big(self, group: CopyGroup) -> None:
        self.packed.append(PackedWork(1, group.files[0].entry.size, encode(CopyWork([group]))))

    def _group(self, source: int, folder: bytes, target: bytes) -> CopyGroup:
        last = self._groups[-1] if self._groups else None
        if last is None or (last.source, last.folder, last.target) != (source, folder, target):
            last = CopyGroup(source, folder, target, [])
            self._groups.append(last)
        return last


def pack_groups(groups: list[CopyGroup]) -> PackedWork | None:
    """The groups as one work item; None when there is no file in them."""
    kept = [group for group in groups if group.files]
    files = [planned for group in kept for planned in group.files]
    size = sum(planned.entry.size for planned in files)
    return PackedWork(len(files), size, encode(CopyWork(kept))) if files else None


WORK_OF_ACTION = {
    WorkflowAction.ERASE: WorkKind.ERASE,
    WorkflowAction.SCAN: WorkKind.CHECK,
    WorkflowAction.CACHE_CLEANING: WorkKind.ERASE,
}


def kind_of_batches(plan: ExecutionPlan) -> WorkKind:
    """What is done with the batches that a scan of this plan packs."""
    return WORK_OF_ACTION.get(plan.action, WorkKind.COPY)


def pack_scan(folders: list[ScanFolder]) -> list[PackedWork]:
    """New scan work for the folders, in several items so that several movers share it."""
    size = max(1, min(SCAN_FOLDERS_PER_WORK, -(-len(folders) // SCAN_ITEMS_WANTED)))
    return [PackedWork(0, 0, encode(ScanWork(chunk))) for chunk in _chunks(folders, size)]


def unpack_folders(packed: list[PackedWork]) -> list[FoundFolder]:
    """The folders of these work items."""
    return [
        found
        for each in packed
        for found in msgspec.msgpack.decode(each.payload, type=FoldersWork).folders
    ]


def pack_folders(found: list[FoundFolder]) -> list[PackedWork]:
    return [
        PackedWork(len(chunk), 0, encode(FoldersWork(chunk)))
        for chunk in _chunks(found, FOLDERS_PER_WORK)
    ]


Item = TypeVar("Item")


def _chunks(items: list[Item], size: int) -> list[list[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
