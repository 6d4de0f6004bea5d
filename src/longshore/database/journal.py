"""The journal: work items and counters of executions.

A work item leaves the journal in the transaction that records its outcome, so what is in the
journal is exactly what is not finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from longshore.database import identifiers
from longshore.database.tables.engine import counters, work

WORK_IDS = "work"


class WorkState(IntEnum):
    READY = 1
    HELD = 2  # waits until everything before it is finished
    WAITING = 3  # waits for other items that belong to it


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWork:
    """A work item to be put into the journal. Sizes are bytes."""

    kind: int
    files: int
    size: int
    payload: bytes
    state: WorkState = WorkState.READY
    attempts: int = 0
    parent_id: int | None = None  # the item that it belongs to
    sort_key: bytes | None = None  # its place in the order that the task asks for


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    id: int
    execution_id: int
    kind: int
    state: WorkState
    attempts: int  # movers that died on it
    files: int
    size: int
    payload: bytes
    parent_id: int | None = None
    sort_key: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """The sums over an execution's files, or a change of them."""

    to_process_files: int = 0
    to_process_size: int = 0
    processed_files: int = 0
    processed_size: int = 0
    finalized_files: int = 0
    failed_files: int = 0
    refused_files: int = 0
    warnings: int = 0


_FIELDS = tuple(Counters.__slots__)


def add_work(connection: Connection, execution_id: int, items: Sequence[NewWork]) -> list[WorkItem]:
    """Put items into the journal; they come back with ids that were never used before."""
    if not items:
        return []
    first = identifiers.reserve(connection, WORK_IDS, len(items))
    added = [
        WorkItem(
            id=first + index,
            execution_id=execution_id,
            kind=item.kind,
            state=item.state,
            attempts=item.attempts,
            files=item.files,
            size=item.size,
            payload=item.payload,
            parent_id=item.parent_id,
            sort_key=item.sort_key,
        )
        for index, item in enumerate(items)
    ]
    connection.execute(insert(work), [_row(item) for item in added])
    return added


def _row(item: WorkItem) -> dict[str, object]:
    return {
        "id": item.id,
        "execution_id": item.execution_id,
        "kind": item.kind,
        "state": item.state.value,
        "attempts": item.attempts,
        "files": item.files,
        "bytes": item.size,
        "payload": item.payload,
        "parent_id": item.parent_id,
        "sort_key": item.sort_key,
    }


def remove_work(connection: Connection, work_id: int) -> bool:
    """Take an item out; False when it is not there any more, because its outcome is recorded."""
    return connection.execute(_REMOVE, {"of_item": work_id}).rowcount == 1


_REMOVE = delete(work).where(work.c.id == bindparam("of_item"))


def replace_work(connection: Connection, item: WorkItem) -> bool:
    """Write the item as it is now; False when it is not in the journal any more."""
    values = {name: value for name, value in _row(item).items() if name != "id"}
    changed = connection.execute(update(work).where(work.c.id == item.id).values(values))
    return changed.rowcount == 1


def read_work(connection: Connection, work_id: int) -> WorkItem | None:
    """The item as the journal has it; None when it is not there any more."""
    row = connection.execute(select(work).where(work.c.id == work_id)).one_or_none()
    return _item(row) if row is not None else None


def parts_left(connection: Connection, parent_id: int) -> int:
    """How many items belong to this one."""
    query = select(func.count()).where(work.c.parent_id == parent_id)
    return connection.execute(query).scalar_one()


def remove_parts(connection: Connection, parent_id: int, *, but: Iterable[int]) -> list[int]:
    """Take out what belongs to the item, except the given ones; the ids of what was there."""
    chosen = (work.c.parent_id == parent_id, work.c.id.not_in(list(but)))
    found = list(connection.execute(select(work.c.id).where(*chosen)).scalars())
    connection.execute(delete(work).where(*chosen))
    return found


def remove_all_work(connection: Connection, execution_id: int, kinds: Iterable[int]) -> None:
    connection.execute(
        delete(work).where(work.c.execution_id == execution_id, work.c.kind.in_(list(kinds)))
    )


def change_kind(connection: Connection, execution_id: int, kind: int, new_kind: int) -> None:
    connection.execute(
        update(work)
        .where(work.c.execution_id == execution_id, work.c.kind == kind)
        .values(kind=new_kind, state=WorkState.READY.value)
    )


def remove_work_but(
    connection: Connection, execution_id: int, kind: int, kept: Iterable[int]
) -> None:
    """Take out all items of a kind except the given ones."""
    connection.execute(
        delete(work).where(
            work.c.execution_id == execution_id, work.c.kind == kind, work.c.id.not_in(list(kept))
        )
    )


def release_held(connection: Connection, execution_id: int, kind: int) -> int:
    """Make the held items of a kind ready; their number."""
    released = connection.execute(
        update(work)
        .where(
            work.c.execution_id == execution_id,
            work.c.kind == kind,
            work.c.state == WorkState.HELD.value,
        )
        .values(state=WorkState.READY.value)
    )
    return released.rowcount


def ready_work(
    connection: Connection,
    execution_id: int,
    kind: int,
    *,
    limit: int,
    without: Iterable[int],
    newest_first: bool = False,
    by_key: bool = False,
) -> list[WorkItem]:
    """The oldest (or newest) ready items of a kind, those in `without` left out.

    With `by_key` those with the smallest keys; items without one are left out.
    """
    query = (
        select(work)
        .where(
            work.c.execution_id == execution_id,
            work.c.state == WorkState.READY.value,
            work.c.kind == kind,
            work.c.id.not_in(list(without)),
        )
        .order_by(work.c.id.desc() if newest_first else work.c.id)
        .limit(limit)
    )
    if by_key:
        query = query.where(work.c.sort_key.is_not(None)).order_by(None)
        query = query.order_by(work.c.sort_key, work.c.id)
    return [_item(row) for row in connection.execute(query)]


def work_counts(connection: Connection, execution_id: int) -> dict[tuple[int, WorkState], int]:
    """How many items there are of each kind and state."""
    query = (
        select(work.c.kind, work.c.state, func.count())
        .where(work.c.execution_id == execution_id)
        .group_by(work.c.kind, work.c.state)
    )
    return {(kind, WorkState(state)): count for kind, state, count in connection.execute(query)}


def executions_with_work(connection: Connection) -> list[int]:
    return list(connection.execute(select(work.c.execution_id).distinct()).scalars())


def _item(row: Row[tuple[object, ...]]) -> WorkItem:
    return WorkItem(
        id=row.id,
        execution_id=row.execution_id,
        kind=row.kind,
        state=WorkState(row.state),
        attempts=row.attempts,
        files=row.files,
        size=row.bytes,
        payload=bytes(row.payload),
        parent_id=row.parent_id,
        sort_key=None if row.sort_key is None else bytes(row.sort_key),
    )


# ------------------------------------------------------------------------------- counters


def start_counting(connection: Connection, execution_id: int) -> bool:
    """Make the execution's counters; False when it has them already."""
    if read_counters(connection, execution_id) is not None:
        return False
    connection.execute(
        insert(counters).values(execution_id=execution_id, **dict.fromkeys(_FIELDS, 0))
    )
    return True


def count(connection: Connection, execution_id: int, change: Counters) -> None:
    """Add the change to the execution's counters."""
    added = {f"added_{name}": getattr(change, name) for name in _FIELDS}
    if any(added.values()):
        connection.execute(_COUNT, {"of_execution": execution_id, **added})


_COUNT = (
    update(counters)
    .where(counters.c.execution_id == bindparam("of_execution"))
    .values({name: counters.c[name] + bindparam(f"added_{name}") for name in _FIELDS})
)
"""Built once: building it anew took longer than carrying it out, with every reply."""


def read_counters(connection: Connection, execution_id: int) -> Counters | None:
    query = select(*(counters.c[name] for name in _FIELDS)).where(
        counters.c.execution_id == execution_id
    )
    row = connection.execute(query).one_or_none()
    return Counters(**row._mapping) if row is not None else None
