"""A walk through everything about tasks with PostgreSQL underneath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, insert, update

from longshore.api.app import create_app
from longshore.database.connection import Database, writing
from longshore.database.migrate import migrate
from longshore.database.tables.tasks import execution_log, task_executions, tasks
from longshore.domain.outcome import Outcome
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, add_users, context_over
from tests.api.test_sdk_tasks import EXECUTION_ID, execution_row, recorded
from tests.contract.database.conftest import new_postgresql_database
from tests.records import add_records

API = "/api/v2"
POOL_SECONDS = 2  # a request that waits for a connection here waits for itself


@pytest.fixture
def context(postgresql_server: str, tmp_path: Path) -> Iterator[Context]:
    """Over a pool of one connection, so that no request may hold one and want another.

    Where requests do, as many of them at once as the pool has connections wait for each other.
    """
    (tmp_path / "data").mkdir()
    url = new_postgresql_database(postgresql_server)
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=POOL_SECONDS)
    database = Database(state=engine, journal=engine)
    migrate(database)
    add_users(database)
    yield context_over(database, tmp_path)
    database.dispose()


@pytest.fixture(params=["", "with keys"])
def client(request: pytest.FixtureRequest, context: Context) -> TestClient:
    """A client that may send every new thing with an Idempotency-Key of its own."""
    made = TestClient(create_app(context), base_url="http://longshore")
    made.auth = ADMINISTRATOR
    if request.param:
        made.event_hooks = {"request": [_add_key]}
    return made


def _add_key(request: httpx.Request) -> None:
    request.headers["Idempotency-Key"] = uuid4().hex


def made(client: TestClient, path: str, body: Mapping[str, object]) -> Any:
    answer = client.post(f"{API}{path}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_tasks_and_their_parts(client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "2024").mkdir(parents=True)
    nas = made(client, "/nas", {"name": "filer", "host": "127.0.0.1", "type": "nfs_v4"})
    share = {"name": "photos", "path": "/photos", "options": f"mount_point={folder}"}
    share_id = made(client, f"/nas/{nas['id']}/nas_shares", share)["id"]
    pool = {"name": "photos", "type": "primary", "content": "nas", "nas_share_ids": [share_id]}
    made(client, "/pools", pool)
    for name in ("nightly", "Éclair/1", "été"):
        body = {"name": name, "workflow_type": "offline_archive", "workflow_action": "copy"}
        made(client, "/tasks", body)
    path = "/tasks/nightly"
    source = made(client, f"{path}/task_sources", {"file_path": "/photos/2024"})
    assert source["file"]["name"] == "2024"
    made(client, f"{path}/task_destinations", {"folder_path": "/photos/new"})
    made(client, f"{path}/task_options", {"type": "file_checksum", "value": "md5"})
    made(client, f"{path}/task_metadata", {"key": "a", "value": "b"})
    made(client, "/containers", {"name": "archive"})
    assert client.delete(f"{API}/tasks/{made(client, f'{path}/clone', {})['id']}").is_success
    changed = client.put(f"{API}{path}", json={"priority": 9, "comment": None})
    assert changed.json()["priority"] == 9
    for query, expected in (
        ("name=~É%25", ["Éclair/1", "été"]),
        ("sort_by=name:desc", ["été", "Éclair/1", "nightly"]),
        ("sort_by=job_started|priority:desc|name", ["nightly", "Éclair/1", "été"]),
        ("source_pool_name=photos&status=not_activated", ["nightly"]),
        ("creation_date=>2020-01-01&priority=<9&sort_by=id:desc", ["été", "Éclair/1"]),
        ("comment=&workflow_action=><copy|move&priority=9", ["nightly"]),
        ("name=%00", []),
        ("id=99999999999999999999", []),
        ("priority=9223372036854775807", []),
        ("priority=><9|9999999999", ["nightly"]),
        ("priority=<9999999999&activate=!=9999999999&name=nightly", ["nightly"]),
        (f"priority=><9|{'|'.join(str(2**40 + n) for n in range(201))}", ["nightly"]),
        ("limit=9999999999&name=nightly", ["nightly"]),
    ):
        answer = client.get(f"{API}/tasks?{query}").json()
        assert [task["name"] for task in answer["tasks"]] == expected, query
        assert answer["count"] == len(expected)
    job = client.put(f"{API}/tasks/%C3%89clair%2F1/action/run").json()
    asked = client.get(f"{API}/tasks/2/action/run?job_id={job['job_id']}")
    assert asked.json() == job
    assert client.delete(f"{API}{path}").status_code == 204


def test_executions_and_their_files(client: TestClient, context: Context) -> None:
    made(client, "/tasks", {"name": "nightly"})
    line = {"execution_id": EXECUTION_ID, "date": 5, "level": "info", "text": "began"}
    with writing(context.database.state) as connection:
        connection.execute(insert(task_executions), [execution_row(1)])
        connection.execute(insert(execution_log), [line])
        connection.execute(update(tasks).values(execution_id=EXECUTION_ID))
    with writing(context.database.journal) as connection:
        failed = recorded(3, outcome=Outcome.FAILED)
        files = [recorded(1), recorded(2, b"b\xff", file_id=None), failed]
        add_records(connection, EXECUTION_ID, files)
    for query, expected in (
        ("", [1, 2, 3]),
        ("outcome=failed", [3]),
        ("outcome=!=failed&size=7", [1, 2]),
        ("outcome=~%25ED", [1, 2, 3]),
        ("name=~A.t%25", [1, 3]),
        ("modification_date=2020-09-13T12:26:40Z&limit=1", [1]),
        ("file_id=", [2]),
        ("permission=100644", []),
        ("type=folder", []),
    ):
        answer = client.get(f"{API}/tasks/1/files?{query}").json()
        assert [file["number"] for file in answer["files"]] == expected, query
    for query in (
        "creation_date=>2020-01-01",
        "bandwidth=100&estimation_time=",
        "sort_by=log_time",
    ):
        assert client.get(f"{API}/task_executions?{query}").json()["count"] == 1, query
    log = client.get(f"{API}/task_executions/{EXECUTION_ID}/log").json()
    assert [each["text"] for each in log["log"]] == ["began"]
