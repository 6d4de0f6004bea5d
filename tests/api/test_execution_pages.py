"""Pages of an execution's files: every filter, count and offset, over blocks of any size."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from longshore.database import catalogue
from longshore.database.connection import writing
from longshore.database.path_keys import path_key
from longshore.database.record_blocks import BLOCK_FILES_MAXIMUM
from longshore.database.tables.catalogue import copies
from longshore.database.tables.tasks import task_executions, tasks
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.outcome import Outcome
from longshore.domain.record import PLACES_PER_WORK
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.test_sdk_tasks import EXECUTION_ID, execution_row
from tests.records import add_records, record

API = "/api/v2"
FILES = BLOCK_FILES_MAXIMUM + 200
FOLDERS = 5
OUTCOMES = [Outcome.COPIED, Outcome.IDENTICAL, Outcome.FAILED]


def path(number: int) -> bytes:
    return b"folder%d/f%04d" % (number % FOLDERS, number)


@pytest.fixture
def ids(user: TestClient, context: Context) -> dict[bytes, int]:
    """The ids of the catalogue's entries by their paths; each file is on record twice."""
    user.post(f"{API}/tasks", json={"name": "nightly"}).raise_for_status()
    with writing(context.database.state) as connection:
        connection.execute(insert(task_executions), [execution_row(1, owner_id=1001)])
        connection.execute(update(tasks).values(execution_id=EXECUTION_ID))
    found = {}
    with writing(context.database.journal) as connection:
        root = catalogue.create_root(connection, "projects")
        for number in range(FOLDERS):
            folder = Entry(b"folder%d" % number, EntryKind.FOLDER, 0, 0o40755, 0, 0, 0, 0, 0)
            found[folder.name] = catalogue.ensure(connection, root, [folder])
            inside = [entry(each) for each in range(FILES) if each % FOLDERS == number]
            put = catalogue.put(connection, root, found[folder.name], inside)
            found |= {folder.name + b"/" + name: node_id for name, node_id in put.items()}
        first = [
            (PLACES_PER_WORK + number, recorded(number, path(number)), found[path(number)])
            for number in range(FILES)
        ]
        # The archived files of one folder come back: their paths are those of the archive.
        second = [
            (
                2 * PLACES_PER_WORK + number,
                recorded(number, b"archive/" + path(number)),
                found[path(number)],
            )
            for number in range(0, FILES, FOLDERS)
        ]
        add_records(connection, EXECUTION_ID, first + second)
        connection.execute(insert(copies), [copy_row(number, found) for number in range(FILES)])
    return found


def entry(number: int) -> Entry:
    return Entry(
        b"f%04d" % number, EntryKind.FILE, number, 0o100600 + number % 8, number % 3, 100,
        number * 10**9, number * 10**9, number * 10**9,
    )  # fmt: skip


def recorded(number: int, at: bytes) -> Any:
    known = {each: getattr(entry(number), each) for each in (
        "size", "mode", "uid", "gid", "mtime_ns", "atime_ns", "ctime_ns",
    )}  # fmt: skip
    return record(number, at, entry=known, outcome=OUTCOMES[number % 3])


def copy_row(number: int, found: dict[bytes, int]) -> dict[str, object]:
    archived = b"archive/" + path(number)
    return {
        "file_id": found[path(number)], "storage_kind": 2, "storage_id": 1, "path": archived,
        "path_key": path_key(archived), "size": number, "mtime_ns": 0, "live": True,
        "execution_id": 1, "written_ns": 1,
    }  # fmt: skip


def get(client: TestClient, query: str, below: str = "") -> tuple[int, list[int]]:
    answer = client.get(f"{API}/tasks/nightly/files{below}?{query}")
    assert answer.status_code == 200, answer.text
    listed = answer.json()
    return listed["count"], [each["number"] for each in listed["files"]]


def numbers(wanted: Any, *, first: bool = True, second: bool = True) -> list[int]:
    found = [PLACES_PER_WORK + n for n in range(FILES) if first and wanted(n)]
    return found + [
        2 * PLACES_PER_WORK + n for n in range(0, FILES, FOLDERS) if second and wanted(n)
    ]


FILTERS = {
    "": lambda n: True,
    "outcome=failed": lambda n: n % 3 == 2,
    "outcome=!=failed": lambda n: n % 3 != 2,
    "outcome=nothing": lambda n: False,
    "outcome=><copied|failed&outcome=!=copied": lambda n: n % 3 == 2,
    "size=>1000": lambda n: n > 1000,
    "size=>500&size=<=900": lambda n: 500 < n <= 900,
    "name=f0017": lambda n: n == 17,
    "name=~F00%25": lambda n: n < 100,
    "name=!~f0%25": lambda n: n >= 1000,
    "permission=100603": lambda n: n % 8 == 3,
    "uid=2&outcome=failed": lambda n: n % 3 == 2,
    "uid=2&outcome=copied": lambda n: False,
    "gid=!=100": lambda n: False,
    "modification_date=1970-01-01T00:05:00Z": lambda n: n == 300,
    "change_date=<1970-01-01T00:00:09Z&access_date=>1970-01-01T00:00:03Z": lambda n: 3 < n < 9,
    "type=folder": lambda n: False,
}


WINDOWS = [(0, 5), (3, 1), (1190, 60), (900, 0), (0, 5000)]  # (offset, limit)


def test_pages_are_parts_of_the_whole(user: TestClient, ids: dict[bytes, int]) -> None:
    for query, wanted_of in FILTERS.items():
        wanted = numbers(wanted_of)
        for offset, limit in WINDOWS:
            found = get(user, f"{query}&offset={offset}&limit={limit}")
            assert found == (len(wanted), wanted[offset : offset + limit]), (query, offset)


def test_a_file_is_found_by_its_id_wherever_it_was_read(
    user: TestClient, ids: dict[bytes, int]
) -> None:
    near, far = ids[path(11)], ids[path(10)]
    assert get(user, f"file_id={near}") == (1, [PLACES_PER_WORK + 11])
    both = [PLACES_PER_WORK + 10, 2 * PLACES_PER_WORK + 10]
    assert get(user, f"file_id={far}") == (2, both)
    assert get(user, f"file_id=><{near}|{far}&limit=2") == (3, [*both[:1], PLACES_PER_WORK + 11])
    assert get(user, f"file_id={far}&outcome=copied") == (0, [])
    assert get(user, f"file_id={far}&size=10&offset=1") == (2, both[1:])
    assert get(user, "file_id=999999999") == (0, [])
    assert get(user, "file_id=") == (0, [])
    assert get(user, f"file_id=!={far}")[0] == len(numbers(lambda n: n != 10))
    shown = user.get(f"{API}/tasks/nightly/files/{far}").json()
    assert (shown["number"], shown["id"]) == (PLACES_PER_WORK + 10, far)


def test_files_of_a_folder_are_found_wherever_they_were_read(
    user: TestClient, ids: dict[bytes, int]
) -> None:
    for folder in (0, 3):
        wanted = numbers(lambda n, folder=folder: n % FOLDERS == folder, second=folder == 0)
        below = f"/{ids[b'folder%d' % folder]}/children"
        assert get(user, "", below) == (len(wanted), wanted)
        assert get(user, "limit=7&offset=100", below) == (len(wanted), wanted[100:107])
        failed = [number for number in wanted if number % PLACES_PER_WORK % 3 == 2]
        assert get(user, "outcome=failed", below) == (len(failed), failed)
        large = [number for number in wanted if number % PLACES_PER_WORK > 600]
        assert get(user, "size=>600", below) == (len(large), large)


def test_a_file_whose_tree_was_removed_stays_on_record(
    user: TestClient, context: Context, ids: dict[bytes, int]
) -> None:
    with writing(context.database.journal) as connection:
        gone = ids[path(4)]
        connection.exec_driver_sql(f"DELETE FROM nodes WHERE id = {gone}")
    assert get(user, f"file_id={gone}") == (1, [PLACES_PER_WORK + 4])
    shown = user.get(f"{API}/tasks/nightly/files/{gone}").json()
    assert (shown["id"], shown["parent"], shown["name"]) == (gone, None, "f0004")
