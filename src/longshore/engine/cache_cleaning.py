"""Freeing caches: what is archived and verified, and long at rest, the oldest access first.

    scan ──> may it go? ──> [freeable files, sorted by the database] ──> may it still go? ──> erase

Nobody knows the oldest one before everything is found, so all that may go waits in the journal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue, freeable, journal, known_copies, runs
from longshore.database.connection import Database, looking
from longshore.database.freeable import FreeableFile
from longshore.database.journal import Counters, NewWork
from longshore.database.known_copies import Archived
from longshore.domain.entry import Entry
from longshore.domain.record import PLACES_PER_WORK
from longshore.domain.storage import StorageReference
from longshore.engine.floor import Floor
from longshore.engine.folder_ids import FolderId
from longshore.engine.run import Run, Wish
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind, was_to_read_back
from longshore.pipeline.messages.work import CopyGroup, CopyWork, PackedWork, encode
from longshore.pipeline.packing import pack_anew

ERASE_BACKLOG = 8  # batches that wait before the next files are taken: what is decided late is true

_work_decoder = msgspec.msgpack.Decoder(CopyWork)
_group_decoder = msgspec.msgpack.Decoder(CopyGroup)


@dataclass(slots=True)
class Archives:
    """The storages whose copies count. What lies on primary storage may change or go any time."""

    database: Database
    storages: Collection[StorageReference] = field(init=False)
    _read_back: dict[int, bool] = field(default_factory=dict)  # by execution

    def __post_init__(self) -> None:
        with looking(self.database.state) as state:
            self.storages = runs.secondary_storages(state)

    def safe(self, entry: Entry, copies: Sequence[Archived]) -> bool:
        """Whether one of the copies is verified and holds this state of the file."""
        return any(
            (copy.size, copy.mtime_ns) == (entry.size, entry.mtime_ns) and self._is_verified(copy)
            for copy in copies
        )

    def _is_verified(self, copy: Archived) -> bool:
        """Of copies that do not say themselves the plan of their execution has to be known."""
        if copy.verified is not None:
            return copy.verified
        known = self._read_back.get(copy.execution_id)
        if known is None:
            with looking(self.database.state) as state:
                row = runs.execution(state, copy.execution_id)
            known = row is not None and was_to_read_back(row.plan)
            self._read_back[copy.execution_id] = known
        return known


@dataclass(frozen=True, slots=True)
class Found:
    """Files that may leave the cache, and the bytes that they have together."""

    files: list[FreeableFile] = field(default_factory=list)
    size: int = 0


def eligible(
    connection: Connection,
    plan: ExecutionPlan,
    batches: Sequence[PackedWork],
    *,
    work_id: int,
    folder_id: FolderId,
    archives: Archives,
    changed_before_ns: int,
) -> Found:
    """Those of the files that a scan has found which may go."""
    files: list[FreeableFile] = []
    size = 0
    for packed in batches:
        for group in _work_decoder.decode(packed.payload).groups:
            ids = _file_ids(connection, plan, group, folder_id)
            copies = known_copies.archived_on(connection, list(ids.values()), archives.storages)
            for planned in group.files:
                entry = planned.entry
                file_id = ids.get(entry.name, 0)
                if max(entry.mtime_ns, entry.ctime_ns) >= changed_before_ns:
                    continue
                if not archives.safe(entry, copies.get(file_id, ())):
                    continue
                size += entry.size
                alone = msgspec.structs.replace(group, files=[planned])
                files.append(
                    FreeableFile(
                        atime_ns=entry.atime_ns,
                        number=work_id * PLACES_PER_WORK + len(files),
                        file_id=file_id,
                        payload=encode(alone),
                    )
                )
    return Found(files, size)


def advance(floor: Floor, run: Run) -> None:
    """Turn the files with the oldest access into batches, once all are found."""
    while _may_take(run):
        _take(floor, run)


def _may_take(run: Run) -> bool:
    """Whether a page of files is wanted now."""
    queues = run.queues
    return (
        bool(queues[WorkKind.FREE].count)
        and run.wish is Wish.GO_ON
        and not queues[WorkKind.SCAN].count
        and not queues[WorkKind.LIST].count
        and queues[WorkKind.ERASE].count < ERASE_BACKLOG
    )


def _take(floor: Floor, run: Run) -> None:
    archives = Archives(floor.database)
    limit = run.plan.batch_files
    with floor.journal() as connection:
        page = freeable.take(connection, run.execution_id, limit=limit)
        groups = [_group_decoder.decode(each.payload) for each in page]
        copies = known_copies.archived_on(
            connection, [each.file_id for each in page], archives.storages
        )
        kept = _still_safe(page, groups, archives, copies)
        journal.count(connection, run.execution_id, _no_more(groups, kept))
        packed = pack_anew(_joined(kept))
        new = [] if packed is None else [packed]
        added = journal.add_work(
            connection,
            run.execution_id,
            [
                NewWork(kind=WorkKind.ERASE, files=each.files, size=each.size, payload=each.payload)
                for each in new
            ],
        )
        ended = []
        if len(page) < limit:
            ended = journal.ready_work(
                connection,
                run.execution_id,
                WorkKind.FREE,
                limit=run.queues[WorkKind.FREE].count,
                without=(),
            )
            journal.remove_all_work(connection, run.execution_id, [WorkKind.FREE])
    for item in ended:
        run.removed(item)
    run.added(added)


def _still_safe(
    page: Sequence[FreeableFile],
    groups: Sequence[CopyGroup],
    archives: Archives,
    copies: Mapping[int, Sequence[Archived]],
) -> list[CopyGroup]:
    """The groups of those files whose copies are there yet: finding all may have taken hours."""
    return [
        group
        for file, group in zip(page, groups, strict=True)
        if archives.safe(group.files[0].entry, copies.get(file.file_id, ()))
    ]


def _no_more(groups: Sequence[CopyGroup], kept: Sequence[CopyGroup]) -> Counters:
    """Files that were counted when they were found, and are left alone now."""
    size = sum(group.files[0].entry.size for group in groups)
    size -= sum(group.files[0].entry.size for group in kept)
    return Counters(to_process_files=len(kept) - len(groups), to_process_size=-size)


def _joined(groups: Sequence[CopyGroup]) -> list[CopyGroup]:
    """The same files in the same order, where neighbours of one folder are a group."""
    return [
        msgspec.structs.replace(first, files=[first.files[0], *(each.files[0] for each in others)])
        for _, same in groupby(groups, key=lambda group: (group.source, group.folder))
        for first, *others in [list(same)]
    ]


def _file_ids(
    connection: Connection, plan: ExecutionPlan, group: CopyGroup, folder_id: FolderId
) -> dict[bytes, int]:
    """The catalogue's ids of files between the group's first and last name."""
    root_id = plan.sources[group.source].root_id
    if root_id is None:
        return {}
    names = sorted(planned.entry.name for planned in group.files)
    return catalogue.children_between(
        connection, folder_id(root_id, group.folder), names[0], names[-1]
    )
