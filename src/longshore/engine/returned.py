"""A work item that came back, in the transaction that takes it in: what every reply needs.

Memory follows the database. Whatever is written here returns what the run has to learn, and that is
called after the commit only: a transaction that was rolled back can simply be repeated. An item
that is not in the journal any more was taken in before, and then its reply changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from longshore.database import journal
from longshore.database.journal import Counters, NewWork, WorkItem, WorkState
from longshore.domain.record import Record
from longshore.engine.executors import Completion, DiedBefore, MoverDied
from longshore.engine.floor import Floor
from longshore.engine.folder_ids import FolderId
from longshore.engine.recording import Recorder
from longshore.engine.run import Run
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.work import PackedWork

AfterCommit = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Returned:
    """An order that came back, or whose mover died."""

    run: Run
    item: WorkItem
    completion: Completion | MoverDied | DiedBefore


@dataclass(slots=True)
class Settling:
    """One of the orders that came back, in the transaction that settles it."""

    floor: Floor
    connection: Connection
    returned: Returned
    decided: list[Record] | None = None  # the records, where they are not those of the reply

    @property
    def run(self) -> Run:
        return self.returned.run

    @property
    def item(self) -> WorkItem:
        return self.returned.item

    def recorder(self) -> Recorder:
        return Recorder(self.run.plan, self.floor.folder_ids)

    def folder_id(self) -> FolderId:
        return partial(self.floor.folder_ids.id_of, self.connection)

    def add(self, new: Sequence[NewWork]) -> list[WorkItem]:
        """Put new work of the execution into the journal."""
        return journal.add_work(self.connection, self.run.execution_id, new)

    def replace(self, rest: PackedWork | None) -> AfterCommit:
        """Leave only the rest of the item in the journal, or nothing."""
        if rest is None:
            removed = journal.remove_work(self.connection, self.item.id)
            return (lambda: self.run.removed(self.item)) if removed else self.gone
        # A mover came back from it, so the deaths before were not the fault of what is left.
        item = replace(
            self.item, files=rest.files, size=rest.size, payload=rest.payload, attempts=0
        )
        kept = journal.replace_work(self.connection, item)
        return (lambda: self.run.returned(item)) if kept else self.gone

    def gone(self) -> None:
        """Somebody has recorded this item already, so this reply changes nothing."""
        self.run.removed(self.item)

    def count(self, change: Counters, *, files: int = 0, size: int = 0) -> None:
        """Change the counters; so many files and bytes more are to be processed."""
        change = replace(change, to_process_files=files, to_process_size=size)
        journal.count(self.connection, self.run.execution_id, change)


def new_work(
    kind: WorkKind, packed: Sequence[PackedWork], state: WorkState = WorkState.READY
) -> list[NewWork]:
    """What movers have packed, as work for the journal."""
    return [
        NewWork(
            kind=kind,
            files=each.files,
            size=each.size,
            payload=each.payload,
            state=state,
            sort_key=each.sort_key or None,
        )
        for each in packed
    ]
