"""Tasks: finding, listing and changing them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, false, func, insert, select, update

from longshore.database.query import (
    Filterable,
    Filterables,
    Kind,
    Page,
    Related,
    computed,
    conditions,
    find_id,
    unindexed,
)
from longshore.database.tables import (
    pools,
    task_counts,
    task_destinations,
    task_sources,
    tasks,
)
from longshore.database.task_counts import DIMENSIONS

COLUMNS = tasks.c


def _having(table: Any, inner: ColumnElement[bool]) -> ColumnElement[bool]:
    return COLUMNS.id.in_(select(table.c.task_id).where(inner))


def _of_pool(table: Any) -> Callable[[ColumnElement[bool]], ColumnElement[bool]]:
    return lambda inner: _having(table, inner)


def _of_named_pool(table: Any) -> Callable[[ColumnElement[bool]], ColumnElement[bool]]:
    def wrap(inner: ColumnElement[bool]) -> ColumnElement[bool]:
        return _having(table, table.c.pool_id.in_(select(pools.c.id).where(inner)))

    return wrap


def _no_task(_: ColumnElement[bool]) -> ColumnElement[bool]:
    """No source or destination is a tape yet."""
    return false()


def _ends(side: str, table: Any) -> dict[str, Filterable | Related]:
    return {
        f"{side}_pool_id": Related(Filterable(table.c.pool_id, Kind.INTEGER), _of_pool(table)),
        f"{side}_pool_name": Related(
            Filterable(pools.c.name, nullable=False), _of_named_pool(table)
        ),
        f"{side}_tape_id": Related(Filterable(COLUMNS.id, Kind.INTEGER), _no_task),
        f"{side}_tape_barcode": Related(Filterable(COLUMNS.name), _no_task),
    }


def _required(name: str, kind: Kind = Kind.TEXT) -> Filterable:
    return Filterable(COLUMNS[name], kind, nullable=False)


FILTERABLES: Filterables = {
    "id": _required("id", Kind.INTEGER),
    "name": _required("name"),
    "comment": Filterable(COLUMNS.comment),
    "workflow_type": Filterable(COLUMNS.workflow_type),
    "workflow_action": Filterable(COLUMNS.workflow_action),
    "source_type": Filterable(COLUMNS.source_type),
    "destination_type": Filterable(COLUMNS.destination_type),
    "priority": _required("priority", Kind.INTEGER),
    "conflict_resolution": Filterable(COLUMNS.conflict_resolution),
    "action": _required("action"),
    "activate": _required("activate", Kind.SWITCH),
    "creation_date": _required("creation_date", Kind.SECONDS),
    "creation_username": _required("creation_username"),
    "modification_date": _required("modification_date", Kind.SECONDS),
    "modification_username": _required("modification_username"),
    "job_started": Filterable(COLUMNS.job_started, Kind.SECONDS),
    "job_finished": Filterable(COLUMNS.job_finished, Kind.SECONDS),
    "status": _required("status"),
    "processed_size": _required("processed_size", Kind.INTEGER),
    "to_process_size": _required("to_process_size", Kind.INTEGER),
    **_ends("source", task_sources),
    **_ends("destination", task_destinations),
}
"""Everything a listing of tasks may be filtered by, under its public name."""

_COUNTED: Filterables = {
    name: replace(filterable, expression=task_counts.c[name])
    for name, filterable in FILTERABLES.items()
    if name in DIMENSIONS and isinstance(filterable, Filterable)
}

_RANGES_FIRST = unindexed(FILTERABLES, DIMENSIONS)
"""Where a date, size or name is filtered by, its index leaves fewer rows than a status does."""

PAGE_ASSUMED = 1_000_000  # rows of a listing without limit

TOTAL_SECONDS = 30.0  # a number of tasks only decides how they are looked for; it may be old
TOTALS_MAXIMUM = 1_000  # users whose number of tasks is remembered; the oldest goes first


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What a page is filtered and sorted by, and whether its ids are found before its rows.

    Ids first is right where many rows are looked at for few: indexes alone may do for them.
    """

    filterables: Filterables
    sortables: Filterables
    identity: ColumnElement[Any]
    ids_first: bool = False


class Totals:
    """How many tasks each user had a moment ago. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[int | None, tuple[int, float]] = OrderedDict()
        self._lock = Lock()

    def of(self, owner_id: int | None, now: float, count: Callable[[], int]) -> int:
        """The user's number of tasks (None = everybody's), counted where it is not known."""
        with self._lock:
            number, until = self._known.get(owner_id, (0, now))
        if now < until:
            return number
        number = count()
        with self._lock:
            self._known[owner_id] = number, now + TOTAL_SECONDS
            self._known.move_to_end(owner_id)
            if len(self._known) > TOTALS_MAXIMUM:
                self._known.popitem(last=False)
        return number


SORTABLES: Filterables = {
    **FILTERABLES,
    "progress": _required("progress", Kind.INTEGER),
    "delete": _required("delete", Kind.SWITCH),
    "local_server_path": Filterable(COLUMNS.local_server_path),
}

_UNINDEXED_FILTERABLES = unindexed(FILTERABLES)
_COMPUTED_SORTABLES = computed(SORTABLES)


def _is_counted(page: Page) -> bool:
    return all(name in _COUNTED or name not in FILTERABLES for name, _ in page.filters)


def _summed(owner_id: int | None) -> Select[Any]:
    statement = select(func.coalesce(func.sum(task_counts.c.number), 0))
    return statement if owner_id is None else statement.where(task_counts.c.owner_id == owner_id)


def of_owner(owner_id: int | None) -> Select[Any]:
    """The tasks of one user, or of everybody."""
    statement = select(tasks)
    return statement if owner_id is None else statement.where(COLUMNS.owner_id == owner_id)


def counter(owner_id: int | None, page: Page) -> Callable[[Connection], int]:
    """Counts the tasks that match; without looking at them where few-valued columns suffice."""
    if _is_counted(page):
        statement = _summed(owner_id).where(conditions(_COUNTED, page.filters))
    else:
        found = of_owner(owner_id).where(conditions(_RANGES_FIRST, page.filters))
        statement = found.with_only_columns(func.count(), maintain_column_froms=True)
    return lambda connection: int(connection.execute(statement).scalar_one())


def arrangement(
    owner_id: int | None, page: Page, total: Callable[[Connection], int]
) -> Callable[[Connection, int], Arrangement]:
    """How to find a page of the matches: by the filters' indexes, or along the order's.

    Along the order, a page is full after about limit * tasks / matches rows; by the filters, all
    matches are looked at. Whichever is less is taken. `total` is the number of the tasks.
    """

    def arrange(connection: Connection, matches: int) -> Arrangement:
        if not page.filters:
            return Arrangement(FILTERABLES, SORTABLES, COLUMNS.id)
        wanted = page.offset + (PAGE_ASSUMED if page.limit is None else page.limit)
        if matches * matches > wanted * total(connection):
            return Arrangement(_UNINDEXED_FILTERABLES, SORTABLES, COLUMNS.id)
        by_filters = FILTERABLES if _is_counted(page) else _RANGES_FIRST
        identity = _COMPUTED_SORTABLES["id"].expression
        return Arrangement(by_filters, _COMPUTED_SORTABLES, identity, ids_first=True)

    return arrange


def number_of(connection: Connection, owner_id: int | None) -> int:
    """How many tasks the user has; None = everybody."""
    return int(connection.execute(_summed(owner_id)).scalar_one())


def find(connection: Connection, identifier: str, owner_id: int | None) -> Row[Any] | None:
    """The task with the id or name, among those of the owner (None = of everybody)."""
    task_id = find_id(
        connection,
        of_owner(owner_id),
        identifier=identifier,
        identity=COLUMNS.id,
        names=[COLUMNS.name],
    )
    return None if task_id is None else fetch(connection, task_id)


def fetch(connection: Connection, task_id: int) -> Row[Any] | None:
    """The task with the id."""
    return connection.execute(select(tasks).where(COLUMNS.id == task_id)).one_or_none()


def create(connection: Connection, values: dict[str, Any]) -> int:
    """The id of a new task with these columns; the others start empty."""
    started = {"action": "noop", "progress": 0, "processed_size": 0, "to_process_size": 0}
    statement = insert(tasks).values(**started, **values).returning(COLUMNS.id)
    return int(connection.execute(statement).scalar_one())


def change(connection: Connection, task_id: int, values: dict[str, Any]) -> None:
    """Set columns of the task."""
    connection.execute(update(tasks).where(COLUMNS.id == task_id).values(**values))


def remove(connection: Connection, task_id: int) -> None:
    """Delete the task with everything attached to it; its executions stay."""
    connection.execute(tasks.delete().where(COLUMNS.id == task_id))
