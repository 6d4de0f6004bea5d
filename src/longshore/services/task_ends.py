"""What sources and destinations of a task have in common: how a client may name a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from longshore.database import pools as pool_rows
from longshore.database.connection import reading
from longshore.database.pools import Pool
from longshore.domain.entry import EntryKind
from longshore.domain.paths import InvalidPath
from longshore.services.container_access import is_allowed
from longshore.services.context import Context
from longshore.services.errors import BASE, Kind, Problems
from longshore.services.input import INTEGER_MAXIMUM, Input
from longshore.services.locations import (
    Place,
    place_in_pool,
    place_of_file,
    place_of_path,
    without_prefix,
)
from longshore.services.principal import Principal


@dataclass(frozen=True, slots=True)
class End:
    """A place, and whether the client named its pool itself."""

    place: Place
    given_pool: bool

    @property
    def is_file(self) -> bool:
        return self.place.kind is EntryKind.FILE

    def columns(self) -> dict[str, Any]:
        """The columns of task_sources and task_destinations."""
        place = self.place
        whole = not place.path
        return {
            "pool_id": place.pool.id if place.pool else None,
            "container_id": place.container.id if place.container else None,
            "path": place.path,
            "file_id": None if whole and (self.given_pool or place.container) else place.file_id,
            "given_pool": self.given_pool,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """The attributes under which one side of a task gives its place, and what is needed there.

    `unfit` says why a place cannot be on this side; None if it can.
    """

    file_id: str
    file_path: str
    needed: frozenset[str]
    unfit: Callable[[Place], str | None]

    @property
    def attributes(self) -> tuple[str, ...]:
        return (self.file_id, self.file_path, "tape_id", "tape_barcode", "pool_id", "pool_name")

    def used(self, values: Mapping[str, Any]) -> str:
        """The attribute that names the place in what a client gave."""
        return self.file_path if values.get(self.file_path) is not None else self.file_id


def resolve(
    context: Context,
    principal: Principal,
    given: Input,
    side: Side,
    prefix: str | None,
    problems: Problems,
) -> End | None:
    """The place that the client means; None when it does not mean one."""
    values = given.given()
    before = len(problems)
    for unknown in ("tape_id", "tape_barcode", "import_file_id", "import_file_path"):
        # There are no tapes and nothing to import yet, so none of these can be known.
        if values.get(unknown) is not None:
            problems.add(unknown, Kind.INVALID, value=values[unknown])
    pool = _pool(context, values, problems)
    place = _place(context, values, side, pool, prefix, problems)
    if place is not None:
        _check_right(context, principal, place, values, side, problems)
    if len(problems) > before:
        return None
    if place is not None:
        _check_fit(place, values, side, problems)
        return End(place, given_pool=pool is not None)
    if pool is not None:
        return End(Place(pool=pool), given_pool=True)
    if not problems:
        problems.add(BASE, Kind.BLANK, note="a file, folder, tape or pool is needed")
    return None


def _check_fit(place: Place, values: Mapping[str, Any], side: Side, problems: Problems) -> None:
    reason = side.unfit(place)
    if reason is not None:
        attribute = side.used(values)
        problems.add(attribute, Kind.INVALID, value=values[attribute], note=reason)


def _check_right(
    context: Context,
    principal: Principal,
    place: Place,
    values: dict[str, Any],
    side: Side,
    problems: Problems,
) -> None:
    """A container takes part only in tasks of users who have the right to it."""
    if place.container is None:
        return
    with reading(context.database.state) as connection:
        allowed = is_allowed(connection, context, principal, place.container, side.needed)
    if not allowed:
        attribute = side.used(values)
        note = f"you have no right to the container {place.container.name}"
        problems.add(attribute, Kind.INVALID, value=values[attribute], note=note)


def _pool(context: Context, values: dict[str, Any], problems: Problems) -> Pool | None:
    pool_id, pool_name = values.get("pool_id"), values.get("pool_name")
    with reading(context.database.state) as connection:
        by_id = _known(connection, pool_rows.fetch, "pool_id", pool_id, problems)
        by_name = _known(connection, pool_rows.fetch_named, "pool_name", pool_name, problems)
    if by_id is not None and by_name is not None and by_id.id != by_name.id:
        problems.add("pool_name", Kind.INVALID, value=pool_name, note="it is not that pool's name")
    return by_id or by_name


def _known(
    connection: Connection,
    fetch: Callable[[Connection, Any], Pool | None],
    attribute: str,
    value: Any,
    problems: Problems,
) -> Pool | None:
    if value is None:
        return None
    found = fetch(connection, value)
    if found is None:
        problems.add(attribute, Kind.INVALID, value=value, note="there is no such pool")
    return found


def _place(
    context: Context,
    values: dict[str, Any],
    side: Side,
    pool: Pool | None,
    prefix: str | None,
    problems: Problems,
) -> Place | None:
    by_id = _place_by_id(context, values.get(side.file_id), side.file_id, problems)
    text = values.get(side.file_path)
    by_path = None
    if text is not None:
        by_path = _place_by_path(
            context, without_prefix(text, prefix), side.file_path, pool, problems
        )
    if by_id is not None and by_path is not None and by_id.file_id != by_path.file_id:
        problems.add(side.file_path, Kind.INVALID, value=text, note="it is not that file's path")
    if by_id is not None and pool is not None and (by_id.pool is None or by_id.pool.id != pool.id):
        problems.add(side.file_id, Kind.INVALID, value=by_id.file_id, note="it is not in that pool")
    return by_id or by_path


def _place_by_id(
    context: Context, file_id: int | None, attribute: str, problems: Problems
) -> Place | None:
    if file_id is None:
        return None
    place = place_of_file(context, file_id) if 0 < file_id <= INTEGER_MAXIMUM else None
    if place is None:
        problems.add(attribute, Kind.INVALID, value=file_id, note="there is no such file")
    return place


def _place_by_path(
    context: Context, text: str, attribute: str, pool: Pool | None, problems: Problems
) -> Place | None:
    try:
        place = place_of_path(context, text) if pool is None else place_in_pool(context, pool, text)
    except InvalidPath as error:
        problems.add(attribute, Kind.INVALID, value=text, note=str(error))
        return None
    if place is None:
        note = "it begins with the name of no container or primary pool"
        problems.add(attribute, Kind.INVALID, value=text, note=note)
    return place
