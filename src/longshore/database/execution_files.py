"""Searching the records of an execution's files.

What is asked for decides which blocks are looked into:

    nothing, or an outcome      those of the page; the header tables count the others
    a file, or a folder         those that have its folder, and its name
    anything else               all, one after the other
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select

from longshore.database import catalogue, nodes, recorded_files, sieve
from longshore.database.connection import reading
from longshore.database.filters import Form, read_filters
from longshore.database.record_blocks import Block
from longshore.database.recorded_files import (
    FILES_AT_ONCE,
    Outcomes,
    Place,
    RecordedFile,
    files_of,
)
from longshore.database.sieve import FILTERABLES, Given, Sieve
from longshore.database.tables.catalogue import copies
from longshore.database.tables.catalogue import nodes as nodes_table
from longshore.domain import paths

FILES_DEFAULT = 1_000  # rows of a listing that names no limit
FILES_MEANT_MAXIMUM = 20  # ids of a filter that are looked up in the catalogue; more = all blocks
CHILDREN_ASKED = 1_000  # whose copies tell where a folder of the catalogue lies on other storages

_ID_FORMS = frozenset({Form.EQUAL, Form.LISTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which files of an execution are wanted."""

    execution_id: int
    outcomes: Outcomes = None
    filters: Given = ()  # besides those on the outcome
    places: Collection[Place] | None = None  # where they must be
    parent_id: int | None = None  # of their nodes

    @property
    def is_counted(self) -> bool:
        """Whether the header tables know how many there are."""
        return not self.filters and self.places is None


def search(
    connection: Connection, execution_id: int, given: Given, *, parent_id: int | None = None
) -> Search:
    """What these filters, and a folder of the catalogue, ask for."""
    on_outcome, others = sieve.split_on_outcome(given)
    places = None if parent_id is None else _places_in(connection, parent_id)
    meant = _ids_meant(others)
    if places is None and meant is not None:
        places = _places_of(connection, meant)
    return Search(
        execution_id=execution_id,
        outcomes=sieve.passing_outcomes(on_outcome),
        filters=others,
        places=places,
        parent_id=parent_id,
    )


def matching(
    engine: Engine, wanted: Search, behind: int = -1, *, files: int = FILES_AT_ONCE
) -> Iterator[tuple[int, Sequence[RecordedFile]]]:
    """(where it begins, its files that are wanted) of each block, in the order of their numbers.

    Only of blocks that begin behind the number. Each step reads blocks with about so many `files`,
    in a transaction of its own.
    """
    with ExitStack() as stack:
        let_through = stack.enter_context(sieve.opened(wanted.filters)) if wanted.filters else None
        while True:
            with reading(engine) as connection:
                blocks = recorded_files.next_blocks(
                    connection,
                    wanted.execution_id,
                    behind,
                    outcomes=wanted.outcomes,
                    places=wanted.places,
                    files=files,
                )
                found = [
                    (block.first_number, _wanted_of(connection, block, wanted, let_through))
                    for block in blocks
                ]
            if not blocks:
                return
            behind = blocks[-1].first_number
            yield from found


def find(engine: Engine, execution_id: int, file_id: int) -> RecordedFile | None:
    """The file of the execution; of several records the first."""
    with reading(engine) as connection:
        places = _places_of(connection, [file_id])
    wanted = Search(execution_id=execution_id, places=places)
    for _, files in matching(engine, wanted):
        for file in files:
            if file.file_id == file_id:
                return file
    return None


# ------------------------------------------------------------------------------- inside


def _wanted_of(
    connection: Connection, block: Block, wanted: Search, let_through: Sieve | None
) -> Sequence[RecordedFile]:
    files: Sequence[RecordedFile] = files_of(block, wanted.outcomes)
    if wanted.parent_id is not None:
        files = _children(connection, files, wanted)
    return files if let_through is None or not files else let_through.passing(files)


def _children(
    connection: Connection, files: Sequence[RecordedFile], wanted: Search
) -> list[RecordedFile]:
    """Those of the files whose nodes are in the wanted folder of the catalogue."""
    folders = {place.folder for place in wanted.places or ()}
    near = [each for each in files if each.file_id is not None and each.record.folder in folders]
    found = nodes.positions(connection, [each.file_id for each in near if each.file_id])
    return [
        each
        for each in near
        if each.file_id in found and found[each.file_id][0] == wanted.parent_id
    ]


def _ids_meant(filters: Given) -> list[int] | None:
    """The few ids that a filter asks for; None when none does."""
    for each in read_filters(FILTERABLES, filters):
        if each.shape.name != "file_id" or each.shape.negative or each.shape.or_null:
            continue
        if each.shape.form in _ID_FORMS:
            (value,) = each.values
            meant = value if isinstance(value, list) else [value]
            if len(meant) <= FILES_MEANT_MAXIMUM:
                return meant
    return None


def _places_of(connection: Connection, file_ids: Sequence[int]) -> list[Place] | None:
    """Where files of the catalogue lie, on any storage; None when it does not know them all.

    A record has its source's path. That is where its root is, or where one of its copies lies.
    """
    known = catalogue.places_of(connection, file_ids)
    if len(known) < len(file_ids):
        return None  # a tree that was removed; its files are still on record
    found = {(place.folder, place.name) for place in known.values()}
    query = select(copies.c.path).where(copies.c.file_id.in_(file_ids))
    found |= {paths.split(bytes(path)) for path in connection.execute(query).scalars()}
    return [Place(folder, name, name) for folder, name in sorted(found)]


def _places_in(connection: Connection, folder_id: int) -> list[Place]:
    """Where a folder of the catalogue lies, on any storage."""
    folders = {_path_of(connection, folder_id)}
    own = select(copies.c.path).where(copies.c.file_id == folder_id)
    folders |= {bytes(path) for path in connection.execute(own).scalars()}
    some = (
        select(nodes_table.c.id)
        .where(nodes_table.c.parent_id == folder_id)
        .order_by(nodes_table.c.name)
        .limit(CHILDREN_ASKED)
    )
    of_children = select(copies.c.path).where(copies.c.file_id.in_(some))
    for path in connection.execute(of_children).scalars():
        folders.add(paths.split(bytes(path))[0])
    return [Place(folder) for folder in sorted(folders)]


def _path_of(connection: Connection, node_id: int) -> bytes:
    """The path of an entry in its root."""
    node: Any = nodes.fetch(connection, node_id)
    return b"" if node is None else b"/".join(nodes.names_from_root(connection, node))
