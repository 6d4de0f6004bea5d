"""Reading the catalogue's folders page by page: folders first, then by name.

A page is taken from two ranges, each in the order of an index: the folders (ix_nodes_folders),
then everything else (the unique index over parent and name). So a page costs what it shows, not
what the folder holds; only skipping to a far offset walks along an index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, literal_column, select

from longshore.database.query import (
    INTEGER_MAXIMUM,
    Filterable,
    Filterables,
    Kind,
    among,
    conditions,
)
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.entry import EntryKind

ROWS_AT_ONCE = 1_000  # entries that are in memory together, whatever the limit
FOLDERS_SKIPPED_MAXIMUM = 10_000  # folders among which a far offset is still looked up by index
GUESSES_MAXIMUM = 20  # of a far offset's name; more are needed only where folders crowd around it

# Written into the statement, because a partial index serves only conditions it can see.
_IS_FOLDER = nodes.c.kind == literal_column(str(EntryKind.FOLDER.value))
_IS_NO_FOLDER = nodes.c.kind != literal_column(str(EntryKind.FOLDER.value))


def _seconds(nanoseconds: ColumnElement[Any]) -> ColumnElement[Any]:
    """Whole seconds, rounded down also before 1970: dates are shown and compared by the second."""
    billion: ColumnElement[Any] = literal_column("1000000000")
    rest = (nanoseconds % billion + billion) % billion
    return (nanoseconds - rest).op("/", precedence=8)(billion)  # binds tighter than the minus


FILTERS: Filterables = {
    "file_id": Filterable(nodes.c.id, Kind.INTEGER, nullable=False),
    "name": Filterable(nodes.c.name, Kind.BYTES, nullable=False),
    "type": Filterable(case((_IS_FOLDER, "folder"), else_="file"), nullable=False),
    "permission": Filterable(nodes.c.mode, Kind.PERMISSION, nullable=False),
    "size": Filterable(nodes.c.size, Kind.INTEGER, nullable=False),
    "change_date": Filterable(_seconds(nodes.c.ctime_ns), Kind.SECONDS, nullable=False),
    "modification_date": Filterable(_seconds(nodes.c.mtime_ns), Kind.SECONDS, nullable=False),
    "access_date": Filterable(_seconds(nodes.c.atime_ns), Kind.SECONDS, nullable=False),
    "gid": Filterable(nodes.c.gid, Kind.INTEGER, nullable=False),
    "uid": Filterable(nodes.c.uid, Kind.INTEGER, nullable=False),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Just after one entry, in the order of a listing."""

    is_folder: bool
    name: bytes


@dataclass(frozen=True, slots=True)
class Children:
    """The entries of one folder that pass the filters."""

    parent_id: int
    filters: tuple[tuple[str, str], ...]

    def counts(self, connection: Connection) -> tuple[int, int]:
        """(all entries, folders among them)"""
        return (
            self._count(connection, *self._conditions()),
            self._count(connection, _IS_FOLDER, *self._conditions()),
        )

    def rows(
        self, connection: Connection, *, folders: int, total: int, offset: int, limit: int | None
    ) -> Iterator[Row[Any]]:
        """The entries from the offset on, read in pieces of ROWS_AT_ONCE."""
        left = total if limit is None else limit
        if offset < folders:
            for row in self._range(connection, _IS_FOLDER, min(left, folders - offset), offset):
                left -= 1
                yield row
        if left <= 0 or total <= folders:
            return
        skipped = max(0, offset - folders)
        first = self._far_name(connection, skipped, folders) if skipped else None
        if first is None:
            yield from self._range(connection, _IS_NO_FOLDER, left, skipped)
        else:
            yield from self._range(connection, _IS_NO_FOLDER, left, 0, nodes.c.name >= first)

    def rows_after(
        self, connection: Connection, place: Place, limit: int | None
    ) -> Iterator[Row[Any]]:
        """The entries after that place, whatever came or went before it."""
        left = INTEGER_MAXIMUM if limit is None else limit
        begin = nodes.c.name > place.name
        if not place.is_folder:
            yield from self._range(connection, _IS_NO_FOLDER, left, 0, begin)
            return
        for row in self._range(connection, _IS_FOLDER, left, 0, begin):
            left -= 1
            yield row
        yield from self._range(connection, _IS_NO_FOLDER, left, 0)

    def _range(
        self,
        connection: Connection,
        kind: ColumnElement[bool],
        limit: int,
        offset: int,
        begin: ColumnElement[bool] | None = None,
    ) -> Iterator[Row[Any]]:
        while limit > 0:
            query = (
                select(nodes)
                .where(*self._conditions(), kind, *([] if begin is None else [begin]))
                .order_by(nodes.c.name)
                .limit(min(limit, ROWS_AT_ONCE))
                .offset(offset)
            )
            rows = connection.execute(query).all()
            yield from rows
            if len(rows) < min(limit, ROWS_AT_ONCE):
                return
            limit, offset, begin = limit - len(rows), 0, nodes.c.name > rows[-1].name

    def _far_name(self, connection: Connection, skipped: int, folders: int) -> bytes | None:
        """The name of the entry after `skipped` non-folders, found in the indexes alone.

        None where that is not possible: skipping then reads every entry on the way. Each round
        takes the name at a place among all entries and moves the place on by the folders before
        it, until it has counted all of them.
        """
        if self.filters or folders > FOLDERS_SKIPPED_MAXIMUM:
            return None
        before = 0
        for _ in range(GUESSES_MAXIMUM):
            name = self._name_at(connection, skipped + before)
            if name is None:
                return None
            counted = self._count(connection, _IS_FOLDER, *self._conditions(), nodes.c.name <= name)
            if counted == before:
                return name
            before = counted
        return None

    def _name_at(self, connection: Connection, place: int) -> bytes | None:
        query = select(nodes.c.name).where(nodes.c.parent_id == self.parent_id)
        found = connection.execute(query.order_by(nodes.c.name).limit(1).offset(place)).scalar()
        return None if found is None else bytes(found)

    def _count(self, connection: Connection, *clauses: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(nodes).where(*clauses)
        return int(connection.execute(query).scalar_one())

    def _conditions(self) -> list[ColumnElement[bool]]:
        parent = nodes.c.parent_id == self.parent_id
        return [parent, conditions(FILTERS, self.filters)] if self.filters else [parent]


def roots(
    connection: Connection, root_ids: Collection[int], filters: tuple[tuple[str, str], ...]
) -> list[Row[Any]]:
    """The roots with these ids that pass the filters, by name."""
    query = select(nodes).where(among(nodes.c.id, sorted(root_ids)), conditions(FILTERS, filters))
    return list(connection.execute(query.order_by(nodes.c.name)))


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a file."""

    file_id: int
    storage_kind: int
    storage_id: int
    path: bytes
    size: int
    checksum_kind: str | None
    checksum: bytes | None
    xxh3_128: bytes | None
    live: bool
    execution_id: int
    written_ns: int


def copies_of(connection: Connection, file_id: int) -> list[Copy]:
    """Every copy of one file that was ever recorded, live ones first."""
    columns = copies.c
    query = (
        select(*[columns[name] for name in Copy.__dataclass_fields__])
        .where(columns.file_id == file_id)
        .order_by(columns.live.desc(), columns.storage_kind, columns.storage_id, columns.path)
    )
    return [Copy(**row) for row in connection.execute(query).mappings()]


def live_places(
    connection: Connection, file_ids: Collection[int]
) -> Iterator[tuple[int, int, int]]:
    """(file, kind of storage, storage) of every live copy of these files."""
    columns = copies.c
    query = select(columns.file_id, columns.storage_kind, columns.storage_id).where(
        among(columns.file_id, sorted(file_ids)), columns.live
    )
    for row in connection.execute(query):
        yield row.file_id, row.storage_kind, row.storage_id
