"""Files that are asked for by name, page by page: work that the controller does itself.

    a list     the files of an earlier execution, taken instead of walking the sources
    a sweep    when a restore has walked its sources: the files that the catalogue has there and
               that were not found

Each page becomes scan work, one name each: what the movers find under these names goes the same
way as everything else they find.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from longshore.database import files_in_hand, journal, known_copies, recorded_files
from longshore.database.journal import NewWork, WorkItem, WorkState
from longshore.database.recorded_files import RecordedFile
from longshore.domain import paths
from longshore.domain.outcome import Outcome
from longshore.domain.task import WorkflowAction
from longshore.engine.by_name import ByName
from longshore.engine.choosing import Choosing, is_inside
from longshore.engine.floor import Floor
from longshore.engine.run import Run, Wish
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.work import ListWork, ScanFolder, encode
from longshore.pipeline.packing import pack_scan

PAGE_RECORDS = 1000  # records turned into work in one transaction: a few milliseconds
TAKEN = frozenset(Outcome) - {Outcome.REFUSED}
SCAN_BACKLOG = 16  # scan items that wait before another page is taken
SWEPT_PAGES = 16  # of the catalogue, looked at in one transaction: some ten milliseconds


def first_work() -> NewWork:
    """The begin of a list."""
    return NewWork(kind=WorkKind.LIST, files=0, size=0, payload=encode(ListWork()))


def sweep() -> NewWork:
    """The begin of a sweep, which waits until everything else is found and copied."""
    payload = encode(ListWork(page=0))
    return NewWork(kind=WorkKind.LIST, files=0, size=0, payload=payload, state=WorkState.HELD)


def may_advance(run: Run) -> bool:
    """Whether there is another page, and so little scan work that it may be turned into some."""
    waits = run.queues[WorkKind.LIST].count and run.wish is Wish.GO_ON
    return bool(waits) and run.queues[WorkKind.SCAN].count < SCAN_BACKLOG


def advance(floor: Floor, run: Run) -> None:
    """Turn one more page into work, if there is little of it left."""
    if not may_advance(run):
        return
    with floor.journal() as connection:
        (item,) = journal.ready_work(
            connection, run.execution_id, WorkKind.LIST, limit=1, without=()
        )
        work = msgspec.msgpack.decode(item.payload, type=ListWork)
        if work.page is not None:
            folders, rest = _swept(connection, run.plan, work.page)
        else:
            folders, rest = _listed(connection, run.plan, work.after)
        added = _replace(connection, run, item, folders, rest)
    run.removed(item)
    run.added(added)


def _replace(
    connection: Connection,
    run: Run,
    item: WorkItem,
    folders: list[ScanFolder],
    rest: ListWork | None,
) -> list[WorkItem]:
    new = [
        NewWork(kind=WorkKind.SCAN, files=0, size=0, payload=each.payload)
        for each in pack_scan(folders)
    ]
    if rest is not None:
        new.append(NewWork(kind=WorkKind.LIST, files=0, size=0, payload=encode(rest)))
    journal.remove_work(connection, item.id)
    return journal.add_work(connection, run.execution_id, new)


# ------------------------------------------------------------------------------- a sweep


def _swept(
    connection: Connection, plan: ExecutionPlan, page: int
) -> tuple[list[ScanFolder], ListWork | None]:
    """The next pages of the catalogue, up to the first one with something to ask for."""
    by_name = ByName(Choosing(connection, plan))
    last = files_in_hand.page_of(known_copies.last_file_with_copies(connection))
    folders: list[ScanFolder] = []
    end = min(page + SWEPT_PAGES - 1, last)
    while page <= end and not folders:
        folders = by_name.scans_of_page(page)
        page += 1
    return folders, ListWork(page=page) if page <= last else None


# ------------------------------------------------------------------------------- a list


def _listed(
    connection: Connection, plan: ExecutionPlan, after: int
) -> tuple[list[ScanFolder], ListWork | None]:
    page = recorded_files.files_after(
        connection, plan.listed_execution, after, limit=PAGE_RECORDS, outcomes=TAKEN
    )
    if plan.action is WorkflowAction.RESTORE:
        folders = _restored(connection, plan, page)
    else:
        folders = [each for file in page for each in _scan_of(plan, _path_of(file))]
    return folders, ListWork(page[-1].number) if len(page) == PAGE_RECORDS else None


def _restored(
    connection: Connection, plan: ExecutionPlan, page: Sequence[RecordedFile]
) -> list[ScanFolder]:
    """The best copy of each file; one that the catalogue has no copy of is looked for by its path.

    A record of a failure has no file. It is known by the path that failed.
    """
    choosing = Choosing(connection, plan)
    lost = [_path_of(file) for file in page if file.file_id is None]
    by_path: dict[bytes, int] = {}
    for source in plan.sources[: choosing.sources_each]:
        by_path |= known_copies.files_at(connection, source.storage.reference, lost)
    ids = {file.number: file.file_id or by_path.get(_path_of(file)) for file in page}
    wanted = {file_id for file_id in ids.values() if file_id is not None}
    choices = choosing.of_files(wanted)
    folders = ByName(choosing).scans_of(choices)
    for file in page:
        if ids[file.number] not in choices:
            folders += _scan_of(plan, _path_of(file))
    return folders


def _path_of(file: RecordedFile) -> bytes:
    return paths.join(file.record.folder, file.record.entry.name)


def _scan_of(plan: ExecutionPlan, path: bytes) -> list[ScanFolder]:
    """The file as scan work for every source that it lies in; it keeps its place below it."""
    folder, name = paths.split(path)
    found = []
    for index, source in enumerate(plan.sources):
        above, _ = paths.split(source.path)
        if is_inside(path, source.path) and not (plan.original_place and source.destination):
            below = folder[len(above) :].lstrip(b"/")
            target = paths.join(source.target, below)
            found.append(ScanFolder(index, folder, target, only=name))
    return found
