"""Limits that change while tasks run, slots of storages, and explanations of both."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import Server, serving, wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe

KIBI = 1024
FILES, FILE_BYTES = 300, 64 * KIBI
FAST, SLOW = 4_000 * KIBI, 400 * KIBI  # bytes per second


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from serving(
        tmp_path_factory.mktemp("server") / "data",
        LONGSHORE_SLICE_SECONDS="0.25",
        LONGSHORE_BATCH_FILES_MAXIMUM="20",
        LONGSHORE_MOVERS="2",
        LONGSHORE_ACTIVE_TASKS_MAXIMUM="2",
    )


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def pools(client: httpx.Client, source: Path, destination: Path) -> tuple[int, int]:
    content = os.urandom(FILE_BYTES)
    for number in range(FILES):
        (source / f"f{number:03}").write_bytes(content)
    return (
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
    )


def limit(client: httpx.Client, path: str, **limits: int | None) -> None:
    answer = client.put(f"{path}/limits", json=limits)
    assert answer.status_code == 200, answer.text


def explained(task: Task) -> dict[str, dict[str, Any]]:
    """The reasons by their codes."""
    answer = task.client.get(f"/tasks/{task.id}/explain")
    assert answer.status_code == 200, answer.text
    return {reason["code"]: reason for reason in answer.json()["reasons"]}


def wait_for_bytes(server: Server, task: Task, more: int) -> tuple[int, float]:
    """Wait until so many more bytes are on record; how many they are, and in how many seconds."""
    execution_id = int(task.execution()["id"])
    query = "SELECT processed_size FROM counters WHERE execution_id = ?"
    with closing(sqlite3.connect(server.data_dir / "journal.sqlite", timeout=30)) as journal:

        def size() -> int:
            (found,) = journal.execute(query, (execution_id,)).fetchone() or (0,)
            return int(found)

        first, begun = size(), time.monotonic()
        wait_until(lambda: size() >= first + more, f"{more} bytes of task {task.id}")
        return size() - first, time.monotonic() - begun


def test_a_limit_that_changes_acts_on_a_running_task(
    server: Server, client: httpx.Client, pools: tuple[int, int], source: Path, destination: Path
) -> None:
    task = add_copy_task(client, *pools)
    path = f"/tasks/{task.id}"
    limit(client, path, bandwidth=FAST)
    task.act("run")
    wait_for_bytes(server, task, 10 * FILE_BYTES)

    limit(client, path, bandwidth=SLOW)
    wait_for_bytes(server, task, 2 * FILE_BYTES)  # whatever was under way before the change
    reason = wait_until(
        lambda: (
            (found := explained(task).get("bandwidth_limit"))
            and found["bytes_per_second"] == SLOW
            and found
        ),
        "an explanation with the new limit",
    )
    assert (reason["limit_of"], task.show()["status"]) == ("task", "in_progress")
    moved, seconds = wait_for_bytes(server, task, 14 * FILE_BYTES)
    assert moved / seconds < 2 * SLOW  # two movers at full speed are a hundred times as fast

    limit(client, path, bandwidth=None)
    begun, left = time.monotonic(), task.show()["to_process_size"] - task.show()["processed_size"]
    assert task.wait()["status"] == "done"
    assert left / (time.monotonic() - begun) > 2 * SLOW
    assert describe(destination) == describe(source)


def test_slots_and_the_queue_are_explained(client: httpx.Client, pools: tuple[int, int]) -> None:
    (share,) = client.get(f"/pools/{pools[1]}/nas_shares").json()["nas_shares"]
    limit(client, f"/nas_shares/{share['id']}", slots=1)
    tasks = [add_copy_task(client, *pools, name=f"t{n}") for n in range(4)]
    for task in tasks:
        limit(client, f"/tasks/{task.id}", bandwidth=100 * KIBI)
        client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    tasks[3].wait("in_queue")
    active, third, fourth = tasks[:2], tasks[2], tasks[3]

    taken = wait_until(
        lambda: next(filter(None, (explained(each).get("slots_taken") for each in active)), None),
        "a task without a slot",
    )
    assert (taken["slots"], taken["storage"]["id"]) == (1, share["id"])
    assert set(taken["task_ids"]) <= {task.id for task in active}
    full = wait_until(lambda: explained(third).get("active_tasks_limit"), "a full server")
    assert full["limit"] == 2
    assert "tasks_ahead" not in explained(third)
    assert explained(fourth)["tasks_ahead"]["task_ids"] == [third.id]

    third.act("pause")
    assert explained(third)["paused"]["user"] == "admin"
    assert "tasks_ahead" not in explained(fourth)
    for task in tasks:
        task.act("stop")
    assert explained(third)["stopped"]["user"] == "admin"
