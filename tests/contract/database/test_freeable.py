"""Files that wait to leave a cache come back in the order of their last access."""

from __future__ import annotations

from random import Random

from longshore.database import catalogue, copy_rows, freeable, known_copies
from longshore.database.connection import Database, writing
from longshore.database.freeable import FreeableFile
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageKind, StorageReference

EXECUTION = 7
STORAGE = StorageReference(StorageKind.NAS_SHARE, 3)


def files(count: int) -> list[FreeableFile]:
    """Files in order, of which each two have the same time; times before 1970 come first."""
    return [
        FreeableFile(
            atime_ns=number // 2 - 50, number=number, file_id=number, payload=b"%d" % number
        )
        for number in range(count)
    ]


def test_files_come_in_order_page_by_page_and_each_once(database: Database) -> None:
    wanted = files(230)
    shuffled = Random(3).sample(wanted, len(wanted))
    with writing(database.journal) as connection:
        for first in range(0, len(shuffled), 60):
            freeable.put(connection, EXECUTION, shuffled[first : first + 60])
        freeable.put(connection, EXECUTION + 1, wanted[:5])
        freeable.put(connection, EXECUTION, [])
    found = []
    while True:
        with writing(database.journal) as connection:
            page = freeable.take(connection, EXECUTION, limit=49)
        found += page
        if len(page) < 49:
            break
    assert found == wanted
    with writing(database.journal) as connection:
        assert freeable.take(connection, EXECUTION, limit=1) == []
        freeable.forget(connection, EXECUTION + 1)
        assert freeable.take(connection, EXECUTION + 1, limit=1) == []


def test_a_copy_is_verified_as_long_as_it_is_the_same(database: Database) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        entry = Entry(b"a", EntryKind.FILE, 5, 0o100644, 0, 0, 1, 1, 1)
        file_id = catalogue.put(connection, root, root, [entry])[b"a"]

        def columns(**values: object) -> dict[str, list[object]]:
            of_copy: dict[str, object] = {
                "file_id": file_id, "path": b"there", "size": 5, "mtime_ns": 1,
                "xxh3_128": b"x" * 16, "written_ns": 8,
            }  # fmt: skip
            return {name: [value] for name, value in (of_copy | values).items()}

        def is_verified() -> bool | None:
            found = known_copies.archived_on(connection, [file_id], [STORAGE])
            return found[file_id][0].verified

        copy_rows.put_copies_in(connection, STORAGE, columns(), EXECUTION, verified=False)
        assert is_verified() is False
        copy_rows.note_checked(connection, STORAGE, [b"there"], sound=True)
        assert is_verified() is True
        copy_rows.put_found_copies_in(connection, STORAGE, columns(xxh3_128=None), EXECUTION)
        assert is_verified() is True, "the same size and time"
        copy_rows.put_found_copies_in(connection, STORAGE, columns(mtime_ns=2), EXECUTION)
        assert is_verified() is True, "the same content"
        other = columns(mtime_ns=3, xxh3_128=b"y" * 16)
        copy_rows.put_found_copies_in(connection, STORAGE, other, EXECUTION)
        assert is_verified() is False
        copy_rows.put_copies_in(connection, STORAGE, columns(), EXECUTION, verified=True)
        assert is_verified() is True
        copy_rows.note_checked(connection, STORAGE, [b"there"], sound=False)
        assert is_verified() is False
