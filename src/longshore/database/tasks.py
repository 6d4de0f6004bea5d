"""Tasks: finding, listing and changing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, false, insert, select, update

from longshore.database.query import Filterable, Filterables, Kind, Related, find_id
from longshore.database.tables.storages import pools
from longshore.database.tables.tasks import task_destinations, task_sources, tasks

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

SORTABLES: Filterables = {
    **FILTERABLES,
    "progress": _required("progress", Kind.INTEGER),
    "delete": _required("delete", Kind.SWITCH),
    "local_server_path": Filterable(COLUMNS.local_server_path),
}


def of_owner(owner_id: int | None) -> Select[Any]:
    """The tasks of one user, or of everybody."""
    statement = select(tasks)
    return statement if owner_id is None else statement.where(COLUMNS.owner_id == owner_id)


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
