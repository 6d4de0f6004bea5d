"""The client against an HTTP server with prepared answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from longshore.client import (
    ActionFailed,
    Client,
    NoProgress,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from longshore.client.connection import ACTION_SECONDS, PAGE_ROWS
from longshore.domain.execution import TaskStatus


@dataclass
class Prepared:
    """Answers by method and path, each given in turn, the last one for ever; and the requests."""

    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def answer(self, request: str, *bodies: Any, status: int = 200) -> None:
        self.answers[request] = [(status, body) for body in bodies]

    def next_answer(self, request: str) -> tuple[int, Any]:
        bodies = self.answers[request]
        return bodies.pop(0) if len(bodies) > 1 else bodies[0]


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def prepared() -> Iterator[Prepared]:
    found = Prepared()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            split = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sent = json.loads(body) if body else {}
            request = f"{self.command} {split.path.removeprefix('/api/v2')}"
            query = {name: values[-1] for name, values in parse_qs(split.query).items()}
            found.requests.append((request, sent | query))
            status, answer = found.next_answer(request)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *_: object) -> None:
            """Tests have no use for an access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(prepared: Prepared, clock: Clock) -> Iterator[Client]:
    with Client(prepared.url, "admin", "password", monotonic=clock, sleep=clock.sleep) as connected:
        yield connected


def task(status: str, **more: Any) -> dict[str, Any]:
    return {"id": 7, "name": "archive", "status": status, "unknown": "left out"} | more


def test_a_created_thing_comes_back_with_its_id(client: Client, prepared: Prepared) -> None:
    prepared.answer("POST /nas", {"id": 3, "name": "filer", "comment": None}, status=201)
    assert client.add_nas(name="filer", host="localhost", type="nfs_v4").id == 3
    sent = {"name": "filer", "host": "localhost", "type": "nfs_v4"}
    assert prepared.requests == [("POST /nas", sent)]


def test_a_refusal_carries_the_messages_of_the_server(client: Client, prepared: Prepared) -> None:
    details = {"name": [{"error": "blank"}]}
    body = {"details": details, "messages": ["Name can't be blank", "Host is invalid"]}
    prepared.answer("POST /tasks", body, status=422)
    with pytest.raises(Refused, match="Name can't be blank; Host is invalid") as refused:
        client.add_task(name="")
    assert (refused.value.status, refused.value.details) == (422, details)


def test_a_refusal_without_a_message_names_its_status(client: Client, prepared: Prepared) -> None:
    prepared.answer("GET /tasks/7", b"<html>bad gateway</html>", status=502)
    with pytest.raises(Refused, match="the server answered with status 502"):
        client.task(7)


def test_an_answer_of_another_shape_is_an_error_that_names_the_request(
    client: Client, prepared: Prepared
) -> None:
    prepared.answer("GET /tasks/7", {"id": "seven"})
    with pytest.raises(UnexpectedAnswer, match=r"GET /api/v2/tasks/7: Expected `int`, got `str`"):
        client.task(7)


def test_a_status_that_there_is_not_is_an_error(client: Client, prepared: Prepared) -> None:
    prepared.answer("GET /tasks/7", task("nearly_done"))
    with pytest.raises(UnexpectedAnswer, match="nearly_done"):
        client.task(7)


def test_no_server_is_an_error_that_names_the_request(prepared: Prepared) -> None:
    with Client("http://127.0.0.1:1", "admin", "password") as client:
        with pytest.raises(Unreachable, match="GET /tasks/7"):
            client.task(7)


def test_run_waits_until_the_request_took_effect(client: Client, prepared: Prepared) -> None:
    prepared.answer("PUT /tasks/7/action/run", {"job_id": "j", "status": "queued"}, status=202)
    prepared.answer(
        "GET /tasks/7/action/run",
        {"job_id": "j", "status": "working", "progress": 1, "total": 2},
        {"job_id": "j", "status": "completed", "progress": 2, "total": 2},
    )
    client.run(7)
    asked = [request for request, _ in prepared.requests]
    assert asked == ["PUT /tasks/7/action/run", *["GET /tasks/7/action/run"] * 2]
    assert prepared.requests[-1][1] == {"job_id": "j"}


def test_run_says_why_it_had_no_effect(client: Client, prepared: Prepared) -> None:
    job = {"job_id": "j", "status": "failed", "reason": "the task has no source"}
    prepared.answer("PUT /tasks/7/action/run", job)
    with pytest.raises(ActionFailed, match="cannot run: the task has no source"):
        client.run(7)


def test_run_does_not_wait_for_ever(client: Client, prepared: Prepared, clock: Clock) -> None:
    job = {"job_id": "j", "status": "queued"}
    prepared.answer("PUT /tasks/7/action/run", job, status=202)
    prepared.answer("GET /tasks/7/action/run", job, status=202)
    with pytest.raises(ActionFailed, match="no effect within 60 s"):
        client.run(7)
    assert ACTION_SECONDS < clock.now < ACTION_SECONDS + 1


def test_watching_shows_each_change_once_and_ends_with_the_task(
    client: Client, prepared: Prepared
) -> None:
    states = [
        task("in_queue"),
        task("in_progress", progress=10),
        task("in_progress", progress=10),
        task("in_progress", progress=90),
        task("done", progress=100),
    ]
    prepared.answer("GET /tasks/7", *states)
    seen = [(each.status.value, each.progress) for each in client.watch(7)]
    assert seen == [("in_queue", 0), ("in_progress", 10), ("in_progress", 90), ("done", 100)]


def test_waiting_ends_with_the_last_state(client: Client, prepared: Prepared) -> None:
    prepared.answer("GET /tasks/7", task("in_progress"), task("error"))
    assert client.wait(7).status is TaskStatus.ERROR


def test_a_task_that_stands_still_is_not_waited_for_any_longer(
    client: Client, prepared: Prepared, clock: Clock
) -> None:
    prepared.answer("GET /tasks/7", task("paused"))
    with pytest.raises(NoProgress, match="task archive is paused and has not changed for 5 s"):
        client.wait(7, stall_seconds=5)
    assert 5 < clock.now < 6


def test_the_files_of_an_execution_are_read_page_by_page(
    client: Client, prepared: Prepared
) -> None:
    rows = [
        {"file_path": f"/{number}", "outcome": "copied", "size": number}
        for number in range(PAGE_ROWS + 2)
    ]
    count = len(rows)
    prepared.answer(
        "GET /task_executions/12/files",
        {"count": count, "files": rows[:PAGE_ROWS]},
        {"count": count, "files": rows[PAGE_ROWS:]},
    )
    found = list(client.execution_files("12", outcome="copied"))
    assert [each.size for each in found] == list(range(count))
    first, second = (query for _, query in prepared.requests)
    assert first == {"outcome": "copied", "limit": str(PAGE_ROWS), "offset": "0"}
    assert second == {"outcome": "copied", "limit": str(PAGE_ROWS), "offset": str(PAGE_ROWS)}


def test_a_page_that_is_exactly_full_is_followed_by_one_more_request(
    client: Client, prepared: Prepared
) -> None:
    row = {"id": 1, "name": "a", "type": "file", "size": 1, "offline": 1}
    full = {"count": PAGE_ROWS, "files": [row] * PAGE_ROWS}
    prepared.answer("GET /files/5/children", full, {"count": PAGE_ROWS, "files": []})
    assert len(list(client.catalogue_children(5))) == PAGE_ROWS
    assert len(prepared.requests) == 2


def test_a_task_that_never_ran_has_no_execution(client: Client, prepared: Prepared) -> None:
    prepared.answer("GET /tasks/7/task_executions", {"count": 0, "task_executions": []})
    assert client.last_execution(7) is None
