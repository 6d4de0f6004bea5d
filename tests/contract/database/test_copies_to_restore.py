"""What the catalogue tells of copies that may be restored, on both databases."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from longshore.database import catalogue, copy_rows, known_copies
from longshore.database.connection import Database, writing
from longshore.domain.copy_choice import StoredCopy
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageKind, StorageReference

SHARE = StorageReference(StorageKind.NAS_SHARE, 70)
BUCKET = StorageReference(StorageKind.CLOUD_BUCKET, 70)
CACHE = StorageReference(StorageKind.CONTAINER, 70)
EXECUTION = 5


def put(connection: Connection, storage: StorageReference, copies: dict[int, bytes]) -> None:
    size = len(copies)
    columns: dict[str, Sequence[object]] = {
        "file_id": list(copies),
        "path": list(copies.values()),
        "size": [3] * size,
        "mtime_ns": [1] * size,
        "xxh3_128": [b"x" * 16] * size,
        "written_ns": [4] * size,
        "lost": [b"lost"] * size,
    }
    copy_rows.put_copies_in(connection, storage, columns, EXECUTION, verified=True)


def entry(name: bytes, kind: EntryKind = EntryKind.FILE) -> Entry:
    return Entry(name, kind, 3, 0o100644, 0, 0, 1, 2, 3)


def tree(connection: Connection) -> tuple[int, int, int]:
    """The ids of a folder and of two files in it."""
    root = catalogue.create_root(connection, "root")
    folder = catalogue.put(connection, root, root, [entry(b"a", EntryKind.FOLDER)])[b"a"]
    ids = catalogue.put(connection, root, folder, [entry(b"x"), entry(b"y")])
    return folder, ids[b"x"], ids[b"y"]


def test_files_are_found_by_the_places_of_their_live_copies(database: Database) -> None:
    with writing(database.journal) as connection:
        folder, x, y = tree(connection)
        put(connection, SHARE, {folder: b"a", x: b"a/x", y: b"a0/y"})
        put(connection, BUCKET, {y: b"\xff/y"})

        def found(*places: tuple[StorageReference, bytes], last: int = y) -> list[int]:
            return known_copies.files_with_copies(connection, folder, last, places)

        assert found((SHARE, b"")) == [x, y]
        assert found((SHARE, b""), last=x) == [x]
        assert found((SHARE, b"a")) == [x]
        assert found((SHARE, b"a/x")) == [x]
        assert found((SHARE, b"a/"), (BUCKET, b"\xff")) == [y]
        assert found((BUCKET, b"a")) == []
        assert known_copies.last_file_with_copies(connection) == y
        copy_rows.end_copies_at(connection, SHARE, [b"a/x"])
        assert found((SHARE, b"")) == [y]


def test_copies_come_file_by_file_without_those_in_caches(database: Database) -> None:
    with writing(database.journal) as connection:
        _, x, y = tree(connection)
        put(connection, BUCKET, {y: b"y", x: b"x"})
        put(connection, SHARE, {y: b"y"})
        put(connection, CACHE, {x: b"x"})
        found = list(known_copies.each_copy_of(connection, [y, x]))
    assert [file_id for file_id, _ in found] == [x, y, y]
    assert found[0][1] == StoredCopy(
        storage=BUCKET,
        path=b"x",
        size=3,
        mtime_ns=1,
        execution_id=EXECUTION,
        written_ns=4,
        xxh3_128=b"x" * 16,
        unkept=b"lost",
    )
    assert {copy.storage for _, copy in found[1:]} == {SHARE, BUCKET}
