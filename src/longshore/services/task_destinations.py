"""Destinations of a task: where it writes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from longshore.database.query import Filterable
from longshore.database.query import Kind as ValueKind
from longshore.database.tables.tasks import task_destinations
from longshore.domain.entry import EntryKind
from longshore.services import task_ends, task_parts
from longshore.services.container_access import WRITING
from longshore.services.context import Context
from longshore.services.errors import Problems
from longshore.services.input import Input, Whole, Words
from longshore.services.locations import Place
from longshore.services.principal import Principal


def _unfit(place: Place) -> str | None:
    """A folder is written to: one that is there, or one that the run will make."""
    return None if place.kind in {None, EntryKind.FOLDER} else "it is no folder"


SIDE = task_ends.Side("folder_id", "folder_path", WRITING, _unfit)

_COLUMNS = task_destinations.c
PART = task_parts.Part(
    "task_destination",
    task_destinations,
    {
        "id": Filterable(_COLUMNS.id, ValueKind.INTEGER, nullable=False),
        "folder_id": Filterable(_COLUMNS.file_id, ValueKind.INTEGER),
        "pool_id": Filterable(_COLUMNS.pool_id, ValueKind.INTEGER),
        "tape_id": task_parts.never(_COLUMNS.id),
    },
)


class DestinationInput(Input):
    """What a client may say about a destination."""

    folder_id: Whole | None = None
    folder_path: Words | None = None
    tape_id: Whole | None = None
    tape_barcode: Words | None = None
    pool_id: Whole | None = None
    pool_name: Words | None = None


def create(
    context: Context, principal: Principal, task: str, given: DestinationInput, problems: Problems
) -> Row[Any]:
    """The new destination. Raises NotFound, Invalid."""
    owner = task_parts.require_editable(context, principal, task)
    end = task_ends.resolve(context, principal, given, SIDE, owner.local_server_path, problems)
    values = end.columns() if end else {}
    problems.raise_if_any()
    with task_parts.editing(context, principal, task) as (connection, row):
        return task_parts.add(connection, row, PART, values)


def update(
    context: Context,
    principal: Principal,
    task: str,
    identifier: str,
    given: DestinationInput,
    problems: Problems,
) -> Row[Any]:
    """The changed destination: what is given replaces the old place. Raises NotFound, Invalid."""
    owner = task_parts.require_editable(context, principal, task)
    task_parts.show(context, principal, task, PART, identifier)
    values: dict[str, Any] = {}
    if any(given.has(name) for name in SIDE.attributes):
        end = task_ends.resolve(context, principal, given, SIDE, owner.local_server_path, problems)
        values = end.columns() if end else {}
    problems.raise_if_any()
    with task_parts.editing(context, principal, task) as (connection, row):
        old = task_parts.find(connection, row, PART, identifier)
        return task_parts.change(connection, old, PART, values)
