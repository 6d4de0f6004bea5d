"""Packing planned files into work items of a bounded size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from operator import itemgetter
from typing import TypeVar

import msgspec

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.task import ProcessingOrder, WorkflowAction
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.work import (
    ChosenFile,
    CopyGroup,
    CopyMode,
    CopyWork,
    FoldersWork,
    FoundFolder,
    PackedWork,
    PlannedFile,
    ScanFolder,
    ScanWork,
    encode,
)

FOLDERS_PER_WORK = 1000  # folders whose metadata one work item sets
SCAN_FOLDERS_PER_WORK = 64  # few enough that several movers share what one has found
SCAN_ITEMS_WANTED = 4

SORT_KEY_BYTES = 255  # of a name: what paths have in common behind that is left to chance

Key = Callable[[int, bytes, Entry], bytes]


def _by_name(source: int, folder: bytes, entry: Entry) -> bytes:
    # A folder comes with all that is in it, before a name that only begins like it.
    path = paths.join(folder, entry.name).replace(b"/", b"\0")
    return (source.to_bytes(2, "big") + path)[:SORT_KEY_BYTES]


def _by_size(_: int, __: bytes, entry: Entry) -> bytes:
    return entry.size.to_bytes(8, "big")


def _by_date(_: int, __: bytes, entry: Entry) -> bytes:
    return (entry.mtime_ns + (1 << 63)).to_bytes(9, "big")


_ORDERS: dict[ProcessingOrder, Key] = {
    ProcessingOrder.NAME: _by_name,
    ProcessingOrder.SIZE: _by_size,
    ProcessingOrder.DATE: _by_date,
}


_Planned = tuple[int, bytes, bytes, Entry, bytes, CopyMode, ChosenFile | None]
"""Source, folder, target, entry, name there, mode, what it is a copy of."""


class Packer:
    """Takes planned files one by one and yields full batches.

    Where the task asks for an order, all files of one slice are sorted, and each batch has the key
    of its first file: the journal sorts the batches of all slices.
    """

    def __init__(self, plan: ExecutionPlan) -> None:
        self._plan = plan
        self._key = _ORDERS.get(plan.order)
        self._loose: list[tuple[bytes, _Planned]] = []
        self._groups: list[CopyGroup] = []
        self._first_key = b""
        self._files = 0
        self._bytes = 0
        self._whole: CopyGroup | None = None  # what the next group is, if it gets all of its files
        self.packed: list[PackedWork] = []
        self.files = 0
        self.bytes = 0

    def add(
        self,
        source: int,
        folder: bytes,
        target: bytes,
        entry: Entry,
        name: bytes,
        mode: CopyMode,
        chosen: ChosenFile | None = None,
    ) -> None:
        """Plan one file: it becomes `name` in the target folder."""
        self.files += 1
        self.bytes += entry.size
        if self._key is None:
            self._put(b"", source, folder, target, entry, name, mode, chosen)
        else:
            key = self._key(source, folder, entry)
            self._loose.append((key, (source, folder, target, entry, name, mode, chosen)))

    def expect_whole(
        self, source: int, folder: bytes, target: bytes, files: int, piece: int
    ) -> None:
        """The next so many files are all that this piece of the folder has."""
        if self._key is None:
            self._whole = CopyGroup(source, folder, target, [], files, piece)

    def flush(self) -> None:
        """Close the batch that is being filled, and all others."""
        for key, planned in sorted(self._loose, key=itemgetter(0)):
            self._put(key, *planned)
        self._loose.clear()
        self._close()

    def _put(
        self,
        key: bytes,
        source: int,
        folder: bytes,
        target: bytes,
        entry: Entry,
        name: bytes,
        mode: CopyMode,
        chosen: ChosenFile | None,
    ) -> None:
        if entry.size > self._plan.segment_bytes:
            group = CopyGroup(source, folder, target, [_planned(0, entry, name, mode, chosen)])
            self.packed.append(PackedWork(1, entry.size, encode(CopyWork([group])), key))
            return
        if not self._files:
            self._first_key = key
        group = self._group(source, folder, target)
        group.files.append(_planned(self._files, entry, name, mode, chosen))
        self._files += 1
        self._bytes += entry.size
        if self._files >= self._plan.batch_files or self._bytes >= self._plan.batch_bytes:
            self._close()

    def _close(self) -> None:
        packed = pack_groups(self._groups)
        if packed is not None:
            self.packed.append(msgspec.structs.replace(packed, sort_key=self._first_key))
        self._groups, self._files, self._bytes = [], 0, 0

    def _group(self, source: int, folder: bytes, target: bytes) -> CopyGroup:
        whole, self._whole = self._whole, None
        if whole is not None and _is_of(whole, source, folder, target):
            self._groups.append(whole)
        elif not self._groups or not _is_of(self._groups[-1], source, folder, target):
            self._groups.append(CopyGroup(source, folder, target, []))
        return self._groups[-1]


def _planned(
    place: int, entry: Entry, name: bytes, mode: CopyMode, chosen: ChosenFile | None
) -> PlannedFile:
    if chosen is None:
        return PlannedFile(place, entry, name, mode)
    return PlannedFile(
        place,
        entry,
        name,
        mode,
        expected=chosen.expected,
        unkept=chosen.unkept,
        further=chosen.further,
    )


def _is_of(group: CopyGroup, source: int, folder: bytes, target: bytes) -> bool:
    return group.folder == folder and group.target == target and group.source == source


def pack_groups(groups: list[CopyGroup]) -> PackedWork | None:
    """The groups as one work item; None when there is no file in them."""
    kept = [group for group in groups if group.files]
    files = [planned for group in kept for planned in group.files]
    size = sum(planned.entry.size for planned in files)
    return PackedWork(len(files), size, encode(CopyWork(kept))) if files else None


def pack_anew(groups: list[CopyGroup]) -> PackedWork | None:
    """As `pack_groups`, for a new work item: places from 0 on, without those that were left out.

    Records whose places follow each other are kept together.
    """
    places = count()
    return pack_groups(
        [
            msgspec.structs.replace(
                group,
                files=[msgspec.structs.replace(each, place=next(places)) for each in group.files],
            )
            for group in groups
        ]
    )


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
