from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from longshore.database import catalogue
from longshore.database.connection import writing
from longshore.database.tables.tasks import execution_log, task_executions, tasks
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.outcome import Outcome
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.conftest import OTHER_USER, ClientOf
from tests.api.test_sdk_tasks import EXECUTION_ID, execution_row, recorded
from tests.records import add_records

API = "/api/v2"
OWNER = {"owner_id": 1001}  # the user of the fixture


@pytest.fixture
def executed(user: TestClient, context: Context) -> int:
    """The id of a folder of the catalogue whose file was copied by a task's last execution."""
    assert user.post(f"{API}/tasks", json={"name": "nightly"}).status_code == 201
    entries = [
        Entry(b"2024", EntryKind.FOLDER, 0, 0o40755, 1, 2, 3, 4, 5),
        Entry(b"a.txt", EntryKind.FILE, 7, 0o100640, 1000, 100, 10**18, 10**18, 10**18),
    ]
    with writing(context.database.journal) as connection:
        root = catalogue.create_root(connection, "projects")
        file_id = catalogue.ensure(connection, root, entries)
        folder_id = catalogue.find(connection, root, [b"2024"])
        times = {"atime_ns": 10**18, "ctime_ns": 10**18}
        known = {"mode": 0o100640, "uid": 1000, "gid": 100, **times}
        files = [
            recorded(1, b"2024/a.txt", file_id=file_id, entry=known),
            recorded(2, b"gone/b.txt", file_id=None, outcome=Outcome.FAILED),
        ]
        add_records(connection, EXECUTION_ID, files)
    older = {"id": EXECUTION_ID - 1, "status": "finished_with_warnings"}
    newer = {"id": EXECUTION_ID + 1, "status": "error"}
    with writing(context.database.state) as connection:
        executions = [execution_row(1, **OWNER, **more) for more in ({}, older, newer)]
        connection.execute(insert(task_executions), executions)
        connection.execute(
            insert(execution_log),
            [
                {"execution_id": EXECUTION_ID, "date": n, "level": level, "text": f"line {n}"}
                for n, level in enumerate(("info", "warning", "info"))
            ],
        )
        connection.execute(update(tasks).values(execution_id=EXECUTION_ID))
    assert folder_id is not None
    return folder_id


def get(client: TestClient, path: str) -> Any:
    answer = client.get(f"{API}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_executions_are_listed_alone_and_by_task(user: TestClient, executed: int) -> None:
    for path in ("/task_executions", "/tasks/nightly/task_executions"):
        listed = get(user, f"{path}?sort_by=id:desc")
        assert [each["id"] for each in listed["task_executions"]] == [
            str(EXECUTION_ID + 1), str(EXECUTION_ID), str(EXECUTION_ID - 1),
        ]  # fmt: skip
        assert get(user, f"{path}?status=!=error&bandwidth=>=100")["count"] == 2
        last = get(user, f"{path}?complete_list=False")
        assert [each["id"] for each in last["task_executions"]] == [str(EXECUTION_ID)]


def test_executions_of_others_are_not_found_but_by_administrators(
    client_of: ClientOf, admin: TestClient, executed: int
) -> None:
    other = client_of(OTHER_USER)
    assert get(other, "/task_executions?all=true")["count"] == 0
    for path in ("", "/files", "/log"):
        answer = other.get(f"{API}/task_executions/{EXECUTION_ID}{path}")
        assert answer.json()["details"] == {"task_execution": [{"error": "not_found"}]}
    assert get(admin, "/task_executions")["count"] == 0
    assert get(admin, "/task_executions?all=true")["count"] == 3
    assert get(admin, f"/task_executions/{EXECUTION_ID}")["name"] == "nightly"


def test_executions_outlive_their_task(user: TestClient, executed: int) -> None:
    assert user.delete(f"{API}/tasks/nightly").status_code == 204
    assert get(user, f"/task_executions/{EXECUTION_ID}")["task_id"] == 1
    assert get(user, f"/task_executions/{EXECUTION_ID}/files")["count"] == 2


@pytest.mark.parametrize(
    "path",
    [
        f"/task_executions/{EXECUTION_ID}",
        "/tasks/nightly",
        f"/tasks/nightly/task_executions/{EXECUTION_ID}",
    ],
)
def test_files_are_shown_below_every_path_to_an_execution(
    user: TestClient, executed: int, path: str
) -> None:
    listed = get(user, f"{path}/files")
    assert listed["count"] == 2
    copied, failed = listed["files"]
    assert copied == {
        "id": copied["id"], "name": "a.txt", "parent": executed,
        "primary_id": copied["primary_id"], "type": "file", "permission": 100640, "size": 7,
        "change_date": "2001-09-09T01:46:40Z", "modification_date": "2020-09-13T12:26:40Z",
        "access_date": "2001-09-09T01:46:40Z", "uid": 1000, "gid": 100,
        "file_path": "/2024/a.txt", "number": 1, "outcome": "copied", "checksum_type": "md5",
        "checksum": "0102", "target_path": "/folder/a.txt", "error": None, "attempts": 1,
        "finished": "2023-11-14T22:13:21Z",
    }  # fmt: skip
    assert (failed["id"], failed["name"], failed["permission"]) == (None, "b.txt", None)
    one = get(user, f"{path}/files/{copied['id']}")
    assert one == copied
    assert get(user, f"{path}/files/{executed}/children")["files"] == [copied]
    assert get(user, f"{path}/files/{copied['id']}/tapes") == {"count": 0, "tapes": []}
    for missing in (f"{executed}", "999", "x", "9" * 30):
        answer = user.get(f"{API}{path}/files/{missing}")
        assert answer.json()["details"] == {"file": [{"error": "not_found"}]}
    assert user.get(f"{API}{path}/files/999/children").status_code == 404


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("outcome=failed", [2]), ("outcome=><copied|failed", [1, 2]), ("outcome=!=failed", [1]),
        ("name=a.txt", [1]), ("name=~A.%25", [1]), ("permission=100640", [1]),
        ("permission=!=100640", [2]), ("permission=~100%25", [1]), ("uid=1000&gid=100", [1]),
        ("uid=", [2]), ("size=>6", [1, 2]), ("type=file", [1, 2]), ("type=folder", []),
        ("modification_date=<2021-01-01", [1, 2]), ("change_date=2001-09-09T01:46:40Z", [1]),
        ("limit=1&offset=1", [2]), ("limit=0", []), ("outcome=unknown", []),
        ("sort_by=number:desc", [1, 2]),
    ],
)  # fmt: skip
def test_files_are_filtered_and_keep_the_order_of_the_work(
    user: TestClient, executed: int, query: str, numbers: list[int]
) -> None:
    listed = get(user, f"/task_executions/{EXECUTION_ID}/files?{query}")
    assert [each["number"] for each in listed["files"]] == numbers


def test_a_task_that_never_ran_has_no_files(user: TestClient) -> None:
    user.post(f"{API}/tasks", json={"name": "new"})
    assert get(user, "/tasks/new/files") == {"count": 0, "files": []}
    assert user.get(f"{API}/tasks/new/files/1").status_code == 404


def test_the_log_is_read_in_pages(user: TestClient, executed: int) -> None:
    listed = get(user, f"/task_executions/{EXECUTION_ID}/log?level=info&limit=1&offset=1")
    assert listed["count"] == 2
    assert [(each["text"], each["date"]) for each in listed["log"]] == [
        ("line 2", "1970-01-01T00:00:02Z")
    ]
