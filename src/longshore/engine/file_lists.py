"""Taking the files of an earlier execution instead of walking the sources.

The controller turns its records page by page into scan work, one name each: what the movers find
under these names goes the same way as everything else they find.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from longshore.database import journal, recorded_files
from longshore.database.journal import NewWork
from longshore.domain import paths
from longshore.domain.outcome import Outcome
from longshore.engine.floor import Floor
from longshore.engine.run import Run
from longshore.pipeline.messages import ExecutionPlan, ListWork, ScanFolder, WorkKind, encode
from longshore.pipeline.packing import pack_scan

PAGE_RECORDS = 1000  # records turned into work in one transaction: a few milliseconds
TAKEN = frozenset(Outcome) - {Outcome.REFUSED}
SCAN_BACKLOG = 16  # scan items that wait before another page is taken


def first_work() -> NewWork:
    return NewWork(kind=WorkKind.LIST, files=0, size=0, payload=encode(ListWork()))


def advance(floor: Floor, run: Run) -> None:
    """Turn one more page into work, if there is little of it left."""
    if not run.queues[WorkKind.LIST].count or run.queues[WorkKind.SCAN].count >= SCAN_BACKLOG:
        return
    with floor.journal() as connection:
        (item,) = journal.ready_work(
            connection, run.execution_id, WorkKind.LIST, limit=1, without=()
        )
        after = msgspec.msgpack.decode(item.payload, type=ListWork).after
        page = _page(connection, run.plan.listed_execution, after)
        folders = [each for _, path in page for each in _scan_of(run.plan, path)]
        new = [
            NewWork(kind=WorkKind.SCAN, files=0, size=0, payload=each.payload)
            for each in pack_scan(folders)
        ]
        if len(page) == PAGE_RECORDS:
            rest = encode(ListWork(page[-1][0]))
            new.append(NewWork(kind=WorkKind.LIST, files=0, size=0, payload=rest))
        journal.remove_work(connection, item.id)
        added = journal.add_work(connection, run.execution_id, new)
    run.removed(item)
    run.added(added)


def _page(connection: Connection, execution_id: int, after: int) -> list[tuple[int, bytes]]:
    """(number, path) of the next files that were not left out by a callback."""
    files = recorded_files.files_after(
        connection, execution_id, after, limit=PAGE_RECORDS, outcomes=TAKEN
    )
    return [(each.number, paths.join(each.record.folder, each.record.entry.name)) for each in files]


def _scan_of(plan: ExecutionPlan, path: bytes) -> list[ScanFolder]:
    """The file as scan work for every source that it lies in; it keeps its place below it."""
    folder, name = paths.split(path)
    found = []
    for index, source in enumerate(plan.sources):
        above, _ = paths.split(source.path)
        inside = not source.path or path == source.path or path.startswith(source.path + b"/")
        if inside and not (plan.original_place and source.destination):
            below = folder[len(above) :].lstrip(b"/")
            target = paths.join(source.target, below)
            found.append(ScanFolder(index, folder, target, only=name))
    return found
