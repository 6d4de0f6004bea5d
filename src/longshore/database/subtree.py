"""Reading many files of the catalogue one after the other, in transactions of one page each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, Row, func, or_, select

from longshore.database.connection import reading
from longshore.database.node_rows import NodeState
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageReference

PAGE_ROWS = 1_000  # read at once: a short transaction, and about 300 KB
COPIES_WINDOW_FILES = 20_000  # ids looked at in one transaction: copies are not in storage order
FOLDERS_PENDING_MAXIMUM = 100_000  # folders that wait, about 20 MB; further ones are left out

Found = tuple[bytes, Entry]
"""A folder's path in its storage, and an entry in it."""


def below(
    engine: Engine, folder_id: int, path: bytes, *, tell: Callable[[str], None]
) -> Iterator[Found]:
    """Everything below a folder of the catalogue that is still where it was, folders included."""
    pending = [(folder_id, path)]
    while pending:
        listed_id, listed = pending.pop()
        for row in _children(engine, listed_id):
            entry = entry_of(row)
            if entry.kind is EntryKind.FOLDER:
                if len(pending) < FOLDERS_PENDING_MAXIMUM:
                    pending.append((row.id, paths.join(listed, entry.name)))
                else:
                    tell(f"{paths.to_text(listed)} has more folders than are looked at")
            yield listed, entry


def copies_on(
    engine: Engine, storages: Sequence[StorageReference], path: bytes
) -> Iterator[Found | None]:
    """The files with a live copy at the path of a storage or below it; None between two pages."""
    inside = path + b"/" if path else b""
    with reading(engine) as connection:
        last = connection.execute(select(func.max(copies.c.file_id))).scalar() or 0
    on_storage = or_(
        *[
            (copies.c.storage_kind == each.kind.value) & (copies.c.storage_id == each.id)
            for each in storages
        ]
    )
    for first in range(0, int(last) + 1, COPIES_WINDOW_FILES):
        query = (
            select(copies.c.path.label("copy_path"), nodes)
            .join(nodes, nodes.c.id == copies.c.file_id)
            .where(
                copies.c.file_id.between(first, first + COPIES_WINDOW_FILES - 1),
                copies.c.live,
                on_storage,
            )
            .order_by(copies.c.file_id, copies.c.path)
        )
        yield None
        with reading(engine) as connection:
            rows = connection.execute(query).all()
        for row in rows:
            found = bytes(row.copy_path)
            if found == path or found.startswith(inside):
                folder, name = paths.split(found)
                yield folder, entry_of(row, name=name)


def entry_of(row: Row[Any], *, name: bytes | None = None) -> Entry:
    """The node as the entry that it once was."""
    return Entry(
        name=bytes(row.name) if name is None else name,
        kind=EntryKind(row.kind),
        size=row.size,
        mode=row.mode,
        uid=row.uid,
        gid=row.gid,
        mtime_ns=row.mtime_ns,
        atime_ns=row.atime_ns,
        ctime_ns=row.ctime_ns,
    )


def _children(engine: Engine, parent_id: int) -> Iterator[Row[Any]]:
    after = b""
    while True:
        query = (
            select(nodes)
            .where(
                nodes.c.parent_id == parent_id,
                nodes.c.name > after,
                nodes.c.state == NodeState.LIVE.value,
            )
            .order_by(nodes.c.name)
            .limit(PAGE_ROWS)
        )
        with reading(engine) as connection:
            rows = connection.execute(query).all()
        yield from rows
        if len(rows) < PAGE_ROWS:
            return
        after = bytes(rows[-1].name)
