"""Which sources of a move may go: those whose copies are on record at every destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from longshore.database import recorded_files
from longshore.database.journal import NewWork, WorkState
from longshore.database.recorded_files import Place
from longshore.domain.outcome import WRITTEN, Outcome
from longshore.domain.record import PLACES_PER_WORK, Record
from longshore.domain.storage import StorageReference
from longshore.domain.task import WorkflowAction
from longshore.engine.returned import new_work
from longshore.pipeline import release
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.work import ReleaseGroup

HOLDING = WRITTEN | {Outcome.IDENTICAL}
"""Outcomes after which the destination holds the content of the source."""

FOLDERS_AT_ONCE = 100  # looked for in one query; SQLite takes a thousand conditions


class _File(NamedTuple):
    """A state of a source file. One that has changed in between is another file."""

    storage: StorageReference
    part: tuple[int, int]  # which bytes of it
    folder: bytes
    name: bytes
    size: int
    mtime_ns: int


def releases(
    connection: Connection, plan: ExecutionPlan, work_id: int, records: Sequence[Record]
) -> list[NewWork]:
    """The removal of the sources that are now recorded everywhere, if this is a move."""
    if plan.action is not WorkflowAction.MOVE:
        return []
    # Names of one file go last: until then the scan and the copy see that there are several.
    alone = [record for record in records if record.entry.links <= 1]
    shared = [record for record in records if record.entry.links > 1]
    return [
        *_release_of(connection, plan, work_id, alone, WorkState.READY),
        *_release_of(connection, plan, work_id, shared, WorkState.HELD),
    ]


def _release_of(
    connection: Connection,
    plan: ExecutionPlan,
    work_id: int,
    records: Sequence[Record],
    state: WorkState,
) -> list[NewWork]:
    if not records:
        return []
    packed = release.pack(held_everywhere(connection, plan, work_id, records))
    return new_work(WorkKind.RELEASE, [packed] if packed else [], state)


def held_everywhere(
    connection: Connection, plan: ExecutionPlan, work_id: int, records: Sequence[Record]
) -> list[ReleaseGroup]:
    """The files of these records that every destination holds, grouped by folder.

    The records are in the database already, all those of a reply. With several destinations the
    one that comes last finds the others on record, so each source is released exactly once.
    """
    holding = [record for record in records if record.outcome in HOLDING]
    if len(plan.destinations) > 1:
        holding = _completing(connection, plan, work_id, holding)
    groups: list[ReleaseGroup] = []
    for record in holding:
        last = groups[-1] if groups else None
        if last is None or (last.source, last.folder) != (record.source, record.folder):
            last = ReleaseGroup(record.source, record.folder, [])
            groups.append(last)
        last.entries.append(record.entry)
    return groups


def _completing(
    connection: Connection, plan: ExecutionPlan, work_id: int, holding: Sequence[Record]
) -> list[Record]:
    """Those of the records with which their files came to the last of the destinations."""
    files = {_file(plan, record) for record in holding}
    own = {work_id * PLACES_PER_WORK + record.place for record in holding}
    held = _held_before(connection, plan, files, own)
    every = len(plan.destinations)
    completing = []
    for record in holding:
        at = held.setdefault(_file(plan, record), {})
        destination = plan.sources[record.source].destination
        if destination not in at:
            at[destination] = record.entry.ctime_ns
            if len(at) == every:
                completing.append(_as_first_read(record, at))
    return completing


def _as_first_read(record: Record, at: Mapping[int, int]) -> Record:
    """The record as the first destination got the file: whatever came later is a change to it."""
    entry = msgspec.structs.replace(record.entry, ctime_ns=min(at.values()))
    return msgspec.structs.replace(record, entry=entry)


def _held_before(
    connection: Connection, plan: ExecutionPlan, files: set[_File], own: set[int]
) -> dict[_File, dict[int, int]]:
    """The destinations that hold the files by other records than those with these numbers.

    With each the time of change that the file had there.
    """
    held: dict[_File, dict[int, int]] = {}
    names: dict[bytes, list[bytes]] = {}
    for file in files:
        names.setdefault(file.folder, []).append(file.name)
    places = [Place(folder, min(inside), max(inside)) for folder, inside in names.items()]
    for start in range(0, len(places), FOLDERS_AT_ONCE):
        for each in recorded_files.files_in(
            connection, plan.execution_id, places[start : start + FOLDERS_AT_ONCE], HOLDING
        ):
            file = _file(plan, each.record)
            if file in files and each.number not in own:
                destination = plan.sources[each.record.source].destination
                held.setdefault(file, {})[destination] = each.record.entry.ctime_ns
    return held


def _file(plan: ExecutionPlan, record: Record) -> _File:
    source, entry = plan.sources[record.source], record.entry
    return _File(
        source.storage.reference,
        (source.range_first, source.range_last),
        record.folder,
        entry.name,
        entry.size,
        entry.mtime_ns,
    )
