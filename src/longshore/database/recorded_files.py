"""Reading the records of files, block by block, in the order of their numbers.

However many there are, a step has some blocks of them in memory and ends: what comes next is asked
for by the last number, so nobody holds a transaction open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from longshore.database.path_keys import path_key
from longshore.database.record_blocks import ANY_OUTCOME, Block, file_ids_of, records_of
from longshore.database.tables.engine import record_blocks, record_folders, record_outcomes
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record

FILES_AT_ONCE = 2_000  # records of the blocks that are read in one step, about 2 MB; a block more
KEYS_AT_ONCE = 500  # blocks in one step: each big file is one of its own

_BLOCKS, _OUTCOMES, _FOLDERS = record_blocks.c, record_outcomes.c, record_folders.c

Outcomes = Collection[Outcome] | None
"""Only files of these; None = of all."""


class Place(NamedTuple):
    """Some names of a folder of a source storage, or all."""

    folder: bytes
    first: bytes | None = None
    last: bytes | None = None


class RecordedFile(msgspec.Struct, frozen=True, gc=False):
    """A record with its number, and with what is known of it besides."""

    number: int
    record: Record
    file_id: int | None  # in the catalogue, where that has it
    checksum_kind: str | None


def files_of(block: Block, outcomes: Outcomes = None) -> list[RecordedFile]:
    """The files of a block that have one of the outcomes."""
    kind, records, file_ids = block.checksum_kind, records_of(block), file_ids_of(block)
    places: Iterable[int] = range(block.files)
    if outcomes is not None:
        wanted = tuple(outcomes)  # of a few, comparing is quicker than hashing
        places = [place for place in places if records[place].outcome in wanted]
    return [
        RecordedFile(
            block.first_number + place,
            records[place],
            file_ids[place],
            kind if records[place].checksum else None,
        )
        for place in places
    ]


def files_after(
    connection: Connection,
    execution_id: int,
    number: int,
    *,
    limit: int,
    outcomes: Outcomes = None,
) -> list[RecordedFile]:
    """The next files in the order of work, from behind the number on; less than `limit` at the end.

    A page of any length begins with those of one block, so every record is decoded twice at most.
    """
    found: list[RecordedFile] = []
    behind = _begin_of(connection, execution_id, number) - 1
    while len(found) < limit:
        blocks = next_blocks(connection, execution_id, behind, outcomes=outcomes, files=limit)
        if not blocks:
            break
        behind = blocks[-1].first_number
        for block in blocks:
            found += [each for each in files_of(block, outcomes) if each.number > number]
    return found[:limit]


def next_blocks(
    connection: Connection,
    execution_id: int,
    behind: int,
    *,
    outcomes: Outcomes = None,
    places: Collection[Place] | None = None,
    files: int = FILES_AT_ONCE,
) -> list[Block]:
    """The next blocks that begin behind the number; of those that may have such files.

    As many as have about so many `files`, at least one; none at the end.
    """
    if places is not None and not places:
        return []
    chosen: list[int] = []
    expected = 0
    for first_number, count_of in _keys(connection, execution_id, behind, outcomes, places):
        chosen.append(first_number)
        expected += count_of
        if expected >= min(files, FILES_AT_ONCE):
            break
    query = (
        select(
            _BLOCKS.first_number,
            _BLOCKS.files,
            _BLOCKS.format,
            _BLOCKS.checksum_kind,
            _BLOCKS.file_ids,
            _BLOCKS.payload,
        )
        .where(_BLOCKS.execution_id == execution_id, _BLOCKS.first_number.in_(chosen))
        .order_by(_BLOCKS.first_number)
    )
    return [Block(*row) for row in connection.execute(query)] if chosen else []


def files_in(
    connection: Connection,
    execution_id: int,
    places: Collection[Place],
    outcomes: Outcomes = None,
) -> Iterator[RecordedFile]:
    """The files of these outcomes in all blocks that may have some at these places, and others."""
    behind = -1
    while blocks := next_blocks(connection, execution_id, behind, outcomes=outcomes, places=places):
        for block in blocks:
            yield from files_of(block, outcomes)
        behind = blocks[-1].first_number


def count(connection: Connection, execution_id: int, outcomes: Outcomes = None) -> int:
    """How many files of these outcomes the execution has on record."""
    query = select(func.coalesce(func.sum(_OUTCOMES.files), 0)).where(
        _OUTCOMES.execution_id == execution_id, _OUTCOMES.outcome.in_(_codes(outcomes))
    )
    return int(connection.execute(query).scalar_one())


def place_of(
    connection: Connection, execution_id: int, offset: int, outcomes: Outcomes = None
) -> tuple[int, int]:
    """(behind, skip): the file at the offset is in the next block that begins behind that number,
    after so many others of these outcomes."""
    if not offset:
        return -1, 0
    of_block = (
        select(_OUTCOMES.first_number, func.sum(_OUTCOMES.files).label("files"))
        .where(_OUTCOMES.execution_id == execution_id, _OUTCOMES.outcome.in_(_codes(outcomes)))
        .group_by(_OUTCOMES.first_number)
        .subquery()
    )
    up_to = func.sum(of_block.c.files).over(order_by=of_block.c.first_number).label("up_to")
    summed = select(of_block.c.first_number, of_block.c.files, up_to).subquery()
    query = (
        select(summed.c.first_number, summed.c.up_to - summed.c.files)
        .where(summed.c.up_to > offset)
        .order_by(summed.c.first_number)
        .limit(1)
    )
    row = connection.execute(query).first()
    return (-1, offset) if row is None else (row[0] - 1, offset - int(row[1]))


# ------------------------------------------------------------------------------- inside


def _begin_of(connection: Connection, execution_id: int, number: int) -> int:
    """Where the last block begins that does not begin behind the number."""
    query = select(func.max(_OUTCOMES.first_number)).where(
        _OUTCOMES.execution_id == execution_id,
        _OUTCOMES.outcome == ANY_OUTCOME,
        _OUTCOMES.first_number <= number,
    )
    found = connection.execute(query).scalar()
    return 0 if found is None else int(found)


def _codes(outcomes: Outcomes) -> list[int]:
    if outcomes is None or set(outcomes) == set(Outcome):
        return [ANY_OUTCOME]
    return [outcome.value for outcome in outcomes]


def _keys(
    connection: Connection,
    execution_id: int,
    behind: int,
    outcomes: Outcomes,
    places: Collection[Place] | None,
) -> list[tuple[int, int]]:
    """(first number, files of the outcomes) of the next blocks.

    One outcome after the other, each in the order of its index: what is among the first of all is
    among the first of each.
    """
    found: dict[int, int] = {}
    for code in _codes(outcomes):
        query = select(_OUTCOMES.first_number, _OUTCOMES.files).where(
            _OUTCOMES.execution_id == execution_id,
            _OUTCOMES.outcome == code,
            _OUTCOMES.first_number > behind,
        )
        if places is not None:
            inside = select(_FOLDERS.first_number).where(_has_place(execution_id, places))
            query = query.where(_OUTCOMES.first_number.in_(inside))
        for first_number, files in connection.execute(
            query.order_by(_OUTCOMES.first_number).limit(KEYS_AT_ONCE)
        ):
            found[first_number] = found.get(first_number, 0) + files
    return sorted(found.items())[:KEYS_AT_ONCE]


def _has_place(execution_id: int, places: Collection[Place]) -> ColumnElement[bool]:
    """The rows of the folders of these places, but for those whose names lie elsewhere."""
    clauses: list[ColumnElement[bool]] = []
    for place in places:
        clauses.append(_FOLDERS.folder_key == path_key(place.folder))
        if place.first is not None:
            clauses[-1] = and_(
                clauses[-1], _FOLDERS.first_name <= place.last, _FOLDERS.last_name >= place.first
            )
    return and_(_FOLDERS.execution_id == execution_id, or_(*clauses))
