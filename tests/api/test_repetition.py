"""Requests that are sent again under an Idempotency-Key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from longshore.api.app import create_app
from longshore.database import answers
from longshore.database.connection import open_database, reading, writing
from longshore.database.migrate import migrate
from longshore.database.tables.tasks import tasks
from longshore.database.tables.users import answers as rows
from longshore.services.context import Context
from longshore.services.repetition import KEY_CHARACTERS_MAXIMUM
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, OTHER_USER, USER, ClientOf, add_users, context_over
from tests.contract.database.conftest import new_postgresql_database

TASKS = "/api/v2/tasks"
BODY = {"name": "nightly"}
REQUESTS = 8


def post(client: TestClient, path: str, body: Any, key: str = "one") -> Any:
    return client.post(path, json=body, headers={"Idempotency-Key": key})


def is_repeated(answer: Any) -> bool:
    return bool(answer.headers.get("Idempotency-Replayed") == "true")


def number_of_tasks(context: Context) -> int:
    with reading(context.database.state) as connection:
        return int(connection.execute(select(func.count()).select_from(tasks)).scalar_one())


def test_the_same_request_is_answered_as_before_and_done_once(
    user: TestClient, context: Context
) -> None:
    first = post(user, TASKS, BODY)
    user.put(f"{TASKS}/nightly", json={"comment": "changed meanwhile"})
    second = post(user, TASKS, BODY)
    assert first.status_code == second.status_code == 201
    assert second.content == first.content
    for header in ("ETag", "Content-Type"):
        assert second.headers[header] == first.headers[header]
    assert (is_repeated(first), is_repeated(second)) == (False, True)
    assert number_of_tasks(context) == 1


def test_a_key_with_and_without_quotes_is_the_same(user: TestClient) -> None:
    assert not is_repeated(post(user, TASKS, BODY, '"one"'))
    assert is_repeated(post(user, TASKS, BODY, "one"))


def test_another_body_under_the_same_key_is_refused(user: TestClient, context: Context) -> None:
    post(user, TASKS, BODY)
    answer = post(user, TASKS, {"name": "weekly"})
    assert answer.status_code == 422
    assert answer.json() == {
        "details": {"idempotency_key": [{"error": "taken", "value": "one"}]},
        "messages": ["Idempotency key has already been taken: it came with another body before"],
    }
    assert number_of_tasks(context) == 1


def test_keys_belong_to_a_user_and_a_path(client_of: ClientOf, context: Context) -> None:
    for login in (USER, OTHER_USER):
        assert not is_repeated(post(client_of(login), TASKS, BODY))
    assert not is_repeated(post(client_of(USER), f"{TASKS}/nightly/clone", None))
    assert number_of_tasks(context) == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/task_options", {"type": "file_checksum", "value": "md5"}),
        ("/task_metadata", {"key": "a", "value": "b"}),
        ("/task_callbacks", {"type": "filter", "script": "def run(req):\n    return True\n"}),
        ("/task_schedule", {"rrule": "RRULE:FREQ=DAILY"}),
        ("/clone", None),
    ],
)
def test_parts_of_tasks_are_made_once(user: TestClient, path: str, body: Any) -> None:
    user.post(TASKS, json=BODY)
    first, second = (post(user, f"{TASKS}/nightly{path}", body) for _ in range(2))
    assert first.status_code == 201, first.text
    assert (second.status_code, second.content) == (201, first.content)
    assert is_repeated(second)


def test_a_refused_request_leaves_its_key_free(user: TestClient) -> None:
    assert post(user, TASKS, {"name": ""}).status_code == 422
    answer = post(user, TASKS, BODY)
    assert answer.status_code == 201
    assert not is_repeated(answer)


@pytest.mark.parametrize("key", ["", '""', "x" * (KEY_CHARACTERS_MAXIMUM + 1), "a\tb", "é"])
def test_a_key_that_is_none_is_a_bad_request(user: TestClient, key: str) -> None:
    answer = user.post(TASKS, json=BODY, headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 400
    assert user.get(TASKS).json()["count"] == 0


def test_a_key_is_free_again_after_a_day(context: Context) -> None:
    now = [1_700_000_000.0]
    client = TestClient(create_app(replace(context, clock=lambda: now[0])))
    client.auth = USER
    post(client, TASKS, BODY)
    now[0] += answers.LIFETIME_SECONDS - 1
    assert is_repeated(post(client, TASKS, BODY))
    now[0] += 1
    assert not is_repeated(post(client, TASKS, {"name": "weekly"}))
    assert number_of_tasks(context) == 2


def test_old_answers_are_removed_as_new_ones_come(user: TestClient, context: Context) -> None:
    for number in range(30):
        post(user, TASKS, BODY, f"key {number}")
    with writing(context.database.state) as connection:
        connection.execute(update(rows).values(creation_date=0))
    for number in range(2):
        post(user, TASKS, BODY, f"later {number}")
    with reading(context.database.state) as connection:
        assert connection.execute(select(func.count()).select_from(rows)).scalar_one() == 2


def test_the_table_holds_only_the_newest(
    user: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ANSWERS_MAXIMUM", 3)
    for number in range(6):
        post(user, TASKS, BODY, f"key {number}")
    with reading(context.database.state) as connection:
        assert connection.execute(select(func.count()).select_from(rows)).scalar_one() == 3


def test_a_new_api_key_is_not_kept_to_be_shown_again(user: TestClient, context: Context) -> None:
    for _ in range(2):
        answer = post(user, "/api/v2/users/me/api_keys", {"name": "script"})
        assert not is_repeated(answer)
    with reading(context.database.state) as connection:
        assert connection.execute(select(func.count()).select_from(rows)).scalar_one() == 0


@pytest.fixture(params=["sqlite", "postgresql"])
def either_context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Context]:
    (tmp_path / "data").mkdir()
    url = None
    if request.param == "postgresql":
        url = new_postgresql_database(request.getfixturevalue("postgresql_server"))
    database = open_database(url, tmp_path / "data")
    migrate(database)
    add_users(database)
    yield context_over(database, tmp_path)
    database.dispose()


def test_of_several_at_the_same_time_one_is_carried_out(either_context: Context) -> None:
    together = threading.Barrier(REQUESTS)
    app = create_app(either_context)

    def ask(_: int) -> Any:
        client = TestClient(app)
        client.auth = ADMINISTRATOR
        together.wait(30)
        return post(client, TASKS, BODY)

    with ThreadPoolExecutor(REQUESTS) as pool:
        found = list(pool.map(ask, range(REQUESTS)))
    assert {answer.status_code for answer in found} == {201}
    assert len({answer.content for answer in found}) == 1
    assert sorted(is_repeated(answer) for answer in found) == [False] + [True] * (REQUESTS - 1)
    assert number_of_tasks(either_context) == 1


def test_what_was_made_and_its_answer_are_kept_together_or_not_at_all(
    either_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("the disk is full")

    client = TestClient(create_app(either_context), raise_server_exceptions=False)
    client.auth = USER
    with monkeypatch.context() as patched:
        patched.setattr(answers, "finish", broken)
        assert post(client, TASKS, BODY).status_code == 500
    assert number_of_tasks(either_context) == 0
    assert not is_repeated(post(client, TASKS, BODY))
    assert number_of_tasks(either_context) == 1
