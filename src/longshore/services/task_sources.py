"""Sources of a task: which files it reads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from longshore.database.query import Filterable
from longshore.database.query import Kind as ValueKind
from longshore.database.tables.tasks import task_sources
from longshore.services import task_ends, task_parts
from longshore.services.container_access import READING
from longshore.services.context import Context
from longshore.services.errors import Kind, Problems
from longshore.services.input import Input, Whole, Words
from longshore.services.locations import Place
from longshore.services.principal import Principal

RANGE_LENGTH = 2


def _unfit(place: Place) -> str | None:
    """What is read has to be there."""
    return place.reason if place.kind is None else None


SIDE = task_ends.Side("file_id", "file_path", READING, _unfit)
_PLACE_FIELDS = (*SIDE.attributes, "import_file_id", "import_file_path")

_COLUMNS = task_sources.c
PART = task_parts.Part(
    "task_source",
    task_sources,
    {
        "id": Filterable(_COLUMNS.id, ValueKind.INTEGER, nullable=False),
        "file_id": Filterable(_COLUMNS.file_id, ValueKind.INTEGER),
        "pool_id": Filterable(_COLUMNS.pool_id, ValueKind.INTEGER),
        "tape_id": task_parts.never(_COLUMNS.id),
        "import_file_id": task_parts.never(_COLUMNS.id),
    },
)


class SourceInput(Input):
    """What a client may say about a source."""

    file_id: Whole | None = None
    file_path: Words | None = None
    import_file_id: Whole | None = None
    import_file_path: Words | None = None
    tape_id: Whole | None = None
    tape_barcode: Words | None = None
    pool_id: Whole | None = None
    pool_name: Words | None = None
    range: list[Whole] | None = None


def create(
    context: Context, principal: Principal, task: str, given: SourceInput, problems: Problems
) -> Row[Any]:
    """The new source. Raises NotFound, Invalid."""
    owner = task_parts.require_editable(context, principal, task)
    end = task_ends.resolve(context, principal, given, SIDE, owner.local_server_path, problems)
    values = end.columns() if end else {}
    values |= _range(given, problems, is_file=end is not None and end.is_file)
    problems.raise_if_any()
    with task_parts.editing(context, principal, task) as (connection, row):
        return task_parts.add(connection, row, PART, values)


def update(
    context: Context,
    principal: Principal,
    task: str,
    identifier: str,
    given: SourceInput,
    problems: Problems,
) -> Row[Any]:
    """The changed source: a place that is given replaces the old one. Raises NotFound, Invalid."""
    owner = task_parts.require_editable(context, principal, task)
    old = task_parts.show(context, principal, task, PART, identifier)
    values: dict[str, Any] = {}
    is_file = bool(old.path)
    if any(given.has(name) for name in _PLACE_FIELDS):
        end = task_ends.resolve(context, principal, given, SIDE, owner.local_server_path, problems)
        values = end.columns() if end else {}
        values |= {"range_first": None, "range_last": None}
        is_file = end.is_file if end else is_file
    if given.has("range"):
        values |= _range(given, problems, is_file=is_file)
    problems.raise_if_any()
    with task_parts.editing(context, principal, task) as (connection, row):
        current = task_parts.find(connection, row, PART, identifier)
        return task_parts.change(connection, current, PART, values)


def _range(given: SourceInput, problems: Problems, *, is_file: bool) -> dict[str, int | None]:
    """The columns of the byte range; a range belongs to one file."""
    bounds = given.range
    if bounds is None:
        return {"range_first": None, "range_last": None}
    if len(bounds) < RANGE_LENGTH:
        problems.add("range", Kind.TOO_SHORT, count=RANGE_LENGTH)
    elif len(bounds) > RANGE_LENGTH:
        problems.add("range", Kind.TOO_LONG, count=RANGE_LENGTH)
    elif not is_file or not 0 <= bounds[0] < bounds[1]:
        problems.add("range", Kind.INVALID, value=bounds)
    else:
        return {"range_first": bounds[0], "range_last": bounds[1]}
    return {}
