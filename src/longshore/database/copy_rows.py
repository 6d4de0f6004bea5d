"""Writing the catalogue's copies: made, found, ended, and checked.

A copy is known by its file and its place: writing it again writes over it. One that ends stays on
record as dead.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, update

from longshore.database import bulk
from longshore.database.copy_places import lie_at
from longshore.database.path_keys import path_keys
from longshore.database.tables.catalogue import copies
from longshore.domain.storage import StorageReference


def put_copies(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Make copies, or write over what was known of the same file at the same place."""
    if rows:
        bulk.insert(connection, copies, _columns(rows), conflict=_WRITE_OVER)


def put_copies_in(
    connection: Connection,
    storage: StorageReference,
    columns: bulk.Columns,
    execution_id: int,
    *,
    verified: bool,
) -> None:
    """As put_copies, of one storage and execution: the other columns, but for path_key."""
    fixed = _fixed(storage, execution_id, verified=verified)
    bulk.insert(connection, copies, _with_keys(columns), fixed=fixed, conflict=_WRITE_OVER)


def put_found_copies_in(
    connection: Connection, storage: StorageReference, columns: bulk.Columns, execution_id: int
) -> None:
    """As put_found_copies, of one storage and execution: the other columns, but for path_key."""
    fixed = _fixed(storage, execution_id, verified=False)
    bulk.insert(connection, copies, _with_keys(columns), fixed=fixed, conflict=_WRITE_FOUND)


def put_found_copies(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Make copies that were found, not written: what is known of the same state of them stays."""
    if rows:
        bulk.insert(connection, copies, _columns(rows), conflict=_WRITE_FOUND)


def _columns(rows: Sequence[dict[str, object]]) -> dict[str, list[object]]:
    """The rows as columns; of several of one place the last one counts."""
    kept = {
        (row["file_id"], row["storage_kind"], row["storage_id"], row["path"]): row for row in rows
    }.values()
    return {name: [row[name] for row in kept] for name in rows[0]}


def _fixed(storage: StorageReference, execution_id: int, *, verified: bool) -> dict[str, int]:
    return {
        "storage_kind": storage.kind.value,
        "storage_id": storage.id,
        "execution_id": execution_id,
        "live": True,
        "verified": verified,
    }


def _with_keys(columns: bulk.Columns) -> bulk.Columns:
    return {**columns, "path_key": path_keys(columns["path"])}


_KNOWN = ("checksum_kind", "checksum", "xxh3_128")
_ON_COPY = "ON CONFLICT (file_id, storage_kind, storage_id, path) DO UPDATE SET"
_REWRITTEN = ("size", "mtime_ns", *_KNOWN, "live", "execution_id", "written_ns", "lost", "verified")
_WRITE_OVER = f"{_ON_COPY} {', '.join(f'{name} = excluded.{name}' for name in _REWRITTEN)}"

_SAME = "copies.size = excluded.size AND copies.mtime_ns = excluded.mtime_ns"
_AS_FOUND = ", ".join(
    f"{name} = CASE WHEN {_SAME} THEN copies.{name} ELSE excluded.{name} END" for name in _KNOWN
)
_WRITE_FOUND = (
    f"{_ON_COPY} {_AS_FOUND}, size = excluded.size, mtime_ns = excluded.mtime_ns, live = TRUE, "
    f"verified = CASE WHEN {_SAME} OR copies.xxh3_128 = excluded.xxh3_128 "
    "THEN copies.verified ELSE FALSE END "
    f"WHERE NOT (copies.live AND {_SAME})"
)
"""Nothing is written where the copy is known as it was found. What is known of another state of it
is not true any more: then only what has come with this one is."""


def end_other_copies(
    connection: Connection, storage: StorageReference, path: bytes, file_id: int | None
) -> None:
    """The place now holds another file's content: copies of other files there are dead."""
    connection.execute(
        update(copies)
        .where(lie_at(storage, [path]), copies.c.file_id != (file_id or 0))
        .values(live=False)
    )


def end_copies_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> None:
    """Nothing lies at these paths of the storage any more."""
    if paths:
        connection.execute(update(copies).where(lie_at(storage, paths)).values(live=False))


def note_checked(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes], *, sound: bool
) -> None:
    """The live copies at these paths were read, and are what is on record, or are not."""
    if paths:
        connection.execute(
            update(copies).where(lie_at(storage, paths), copies.c.live).values(verified=sound)
        )
