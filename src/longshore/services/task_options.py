"""Options of a task: each type with values of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row

from longshore.database import executions, tasks
from longshore.database.query import read_integer
from longshore.database.tables.tasks import task_options
from longshore.domain.checksum import ChecksumKind
from longshore.domain.paths import NAME_BYTES_MAXIMUM
from longshore.domain.task import WORKERS_MAXIMUM, OptionType
from longshore.services import task_parts
from longshore.services.context import Context
from longshore.services.errors import Kind, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal
from longshore.services.tasks import check_bounds

VALUE_CHARACTERS_MAXIMUM = 65_535
WORD_CHARACTERS_MAXIMUM = 255  # of a drive or extractor
PERCENT_MAXIMUM = 100
PROCESSING_ORDERS = ("none", "name", "size", "date", "tape")

PART = task_parts.part("task_option", task_options, ("type", "value"))

_SEVERAL_ALLOWED = frozenset({OptionType.BARCODES})


class OptionInput(Input):
    """What a client may say about an option."""

    type: Annotated[OptionType, Field(strict=False)] | None = None
    value: Words | None = None


def create(
    context: Context, principal: Principal, task: str, given: OptionInput, problems: Problems
) -> Row[Any]:
    """The new option. Raises NotFound, Invalid."""
    with task_parts.editing(context, principal, task) as (connection, row):
        return _saved(connection, principal, row, None, given, problems)


def update(
    context: Context,
    principal: Principal,
    task: str,
    identifier: str,
    given: OptionInput,
    problems: Problems,
) -> Row[Any]:
    """The changed option. Raises NotFound, Invalid."""
    with task_parts.editing(context, principal, task) as (connection, row):
        old = task_parts.find(connection, row, PART, identifier)
        return _saved(connection, principal, row, old, given, problems)


def _saved(
    connection: Connection,
    principal: Principal,
    task: Row[Any],
    old: Row[Any] | None,
    given: OptionInput,
    problems: Problems,
) -> Row[Any]:
    """The option as it is after the change; type and value are checked together."""
    kind = given.type if old is None or given.has("type") else OptionType(old.type)
    value = given.value if old is None or given.has("value") else old.value
    for name, one in (("type", kind), ("value", value)):
        if one is None and name not in problems:
            problems.add(name, Kind.BLANK)
    if kind is not None:
        _check_single(connection, task, kind, old, problems)
        if value is not None:
            _check_value(connection, principal, kind, value, problems)
    problems.raise_if_any()
    values = {"type": kind, "value": value}
    if old is None:
        return task_parts.add(connection, task, PART, values)
    return task_parts.change(connection, old, PART, values)


def _check_single(
    connection: Connection,
    task: Row[Any],
    kind: OptionType,
    old: Row[Any] | None,
    problems: Problems,
) -> None:
    if kind in _SEVERAL_ALLOWED:
        return
    besides = None if old is None else old.id
    if task_parts.others_with(connection, task, PART, besides=besides, type=kind.value):
        problems.add("type", Kind.TAKEN, value=kind.value)


def _check_value(
    connection: Connection, principal: Principal, kind: OptionType, value: str, problems: Problems
) -> None:
    if len(value) > VALUE_CHARACTERS_MAXIMUM:
        problems.add("value", Kind.TOO_LONG, count=VALUE_CHARACTERS_MAXIMUM)
    elif kind in _BOUNDS:
        _check_number(kind, value, problems)
    elif kind is OptionType.EXECUTION_TASK_ID:
        if not _is_execution(connection, principal, value):
            problems.add("value", Kind.INVALID, value=value)
    elif kind is OptionType.TASK_ID:
        if not _is_task(connection, principal, value):
            problems.add("value", Kind.INVALID, value=value)
    elif not _FITS.get(kind, _is_switch)(value):
        problems.add("value", Kind.INVALID, value=value)


def _check_number(kind: OptionType, value: str, problems: Problems) -> None:
    number = read_integer(value)
    if number is None:
        problems.add("value", Kind.INVALID, value=value)
    else:
        check_bounds("value", number, *_BOUNDS[kind], problems)


_PERCENT = (0, PERCENT_MAXIMUM)
_BOUNDS = {
    OptionType.PARALLEL_PROCESSING: (1, WORKERS_MAXIMUM),
    OptionType.REHYDRATION_USAGE_THRESHOLD: _PERCENT,
    OptionType.REHYDRATION_DELETED_FILES_THRESHOLD: _PERCENT,
    OptionType.LEARNING_THRESHOLD: _PERCENT,
}


def _is_switch(value: str) -> bool:
    return value in {"0", "1"}


def _is_checksum(value: str) -> bool:
    return value in set(ChecksumKind)


def _is_order(value: str) -> bool:
    return value in PROCESSING_ORDERS


def _is_name(value: str) -> bool:
    """A name that a file can bear in every storage."""
    if value in {"", ".", ".."} or "/" in value:
        return False
    return len(value.encode()) <= NAME_BYTES_MAXIMUM


def _is_word(value: str) -> bool:
    return bool(value.strip()) and len(value) <= WORD_CHARACTERS_MAXIMUM


def _are_barcodes(value: str) -> bool:
    barcodes = [each.strip() for each in re.split(r"[,|]", value)]
    return all(0 < len(each) <= WORD_CHARACTERS_MAXIMUM for each in barcodes)


_FITS: dict[OptionType, Callable[[str], bool]] = {
    OptionType.FILE_CHECKSUM: _is_checksum,
    OptionType.PROCESSING_ORDER: _is_order,
    OptionType.RENAME_TO: _is_name,
    OptionType.SELECTED_DRIVE: _is_word,
    OptionType.LEARNING_TYPE: _is_word,
    OptionType.BARCODES: _are_barcodes,
}


def _is_execution(connection: Connection, principal: Principal, value: str) -> bool:
    owner_id = None if principal.administrator else principal.user_id
    return executions.find(connection, value, owner_id=owner_id) is not None


def _is_task(connection: Connection, principal: Principal, value: str) -> bool:
    owner_id = None if principal.administrator else principal.user_id
    return read_integer(value) is not None and (tasks.find(connection, value, owner_id) is not None)
