"""Pause, resume, stop: what they leave behind, and what they refuse."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.servers import Server, serving, wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 3000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that reports often, so that a request always finds it in the middle of a task."""
    yield from serving(
        tmp_path_factory.mktemp("server") / "data",
        LONGSHORE_SLICE_SECONDS="0.05",
        LONGSHORE_BATCH_FILES_MAXIMUM="20",
        LONGSHORE_MOVERS="2",
    )


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def task(client: httpx.Client, source: Path, destination: Path) -> Task:
    grow(source, FILES)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
    )
    task.limit(FILES * 400)  # some seconds, so that requests find it in the middle of its work
    return task


def wait_for_some(server: Server, task: Task, files: int = 100) -> None:
    """Wait until some files of the task's execution are on record, but not yet all."""
    query = "SELECT processed_files FROM counters WHERE execution_id = ?"
    execution_id = int(task.execution()["id"])

    def enough() -> bool:
        with closing(sqlite3.connect(server.data_dir / "journal.sqlite", timeout=30)) as journal:
            (count,) = journal.execute(query, (execution_id,)).fetchone() or (0,)
        assert count < FILES
        return bool(count >= files)

    wait_until(enough, f"{files} files")


def test_a_paused_task_keeps_its_files_and_goes_on(
    server: Server, task: Task, source: Path, destination: Path
) -> None:
    task.act("run")
    wait_for_some(server, task)
    task.act("pause")
    paused = task.show()
    assert (paused["status"], paused["action"]) == ("paused", "noop")
    done = task.execution()["processed_files"]
    assert 100 <= done < FILES
    before = {path: path.stat().st_ino for path in destination.rglob("*.dat")}
    assert staged_left(destination) == []
    task.act("resume")
    assert task.wait()["status"] == "done"
    assert describe(destination) == describe(source)
    assert {path: path.stat().st_ino for path in before} == before  # nothing was written twice
    assert len(task.files()) == FILES


def test_a_paused_task_stays_paused_over_a_restart(
    server: Server, task: Task, source: Path, destination: Path
) -> None:
    task.act("run")
    wait_for_some(server, task)
    task.act("pause")
    assert server.stop() == 0
    server.start()
    with server.client() as client:
        again = Task(client, task.id)
        assert again.show()["status"] == "paused"
        again.act("resume")
        assert again.wait()["status"] == "done"
        assert len(again.files()) == FILES
    assert describe(destination) == describe(source)


def test_a_stopped_task_leaves_whole_files_only_and_can_run_again(
    server: Server, task: Task, source: Path, destination: Path
) -> None:
    task.act("run")
    wait_for_some(server, task)
    task.act("stop")
    assert task.show()["status"] == "stopped_by_user"
    assert staged_left(destination) == []
    whole, found = describe(source), describe(destination)
    files = {path: what for path, what in found.items() if what[0] == "file"}
    assert 0 < len(files) < FILES
    assert all(whole[path] == what for path, what in files.items())
    stopped = task.execution()
    assert stopped["processed_files"] == len(task.files()) < FILES
    task.act("run")
    assert task.wait()["status"] == "done"
    outcomes = [record["outcome"] for record in task.files()]
    assert len(outcomes) == FILES
    assert outcomes.count("identical") >= stopped["processed_files"]
    assert describe(destination) == whole


def test_a_paused_task_can_be_stopped(server: Server, task: Task, destination: Path) -> None:
    task.act("run")
    wait_for_some(server, task)
    task.act("pause")
    task.act("stop")
    assert task.show()["status"] == "stopped_by_user"
    assert staged_left(destination) == []


@pytest.mark.parametrize("action", ["pause", "stop", "resume"])
def test_what_the_status_does_not_allow_fails_and_changes_nothing(task: Task, action: str) -> None:
    before = task.show()
    assert task.request(action)["status"] == "failed"
    assert task.show() == before


def test_a_running_task_is_never_run_a_second_time(server: Server, task: Task) -> None:
    task.act("run")
    wait_for_some(server, task, 20)
    assert task.request("run")["status"] == "failed"
    assert task.wait()["status"] == "done"
    executions = task.client.get(f"/tasks/{task.id}/task_executions").json()
    assert executions["count"] == 1


def test_a_running_task_is_frozen(server: Server, task: Task) -> None:
    task.act("run")
    wait_for_some(server, task, 20)
    refused = task.client.delete(f"/tasks/{task.id}")
    assert (refused.status_code, refused.json()["details"]["base"][0]["error"]) == (422, "frozen")
    changed = task.client.put(f"/tasks/{task.id}", json={"workflow_action": "move"})
    assert changed.json()["details"]["workflow_action"][0]["error"] == "frozen"
    assert task.client.put(f"/tasks/{task.id}", json={"priority": 9}).status_code == 200
    assert task.wait()["status"] == "done"


def test_priorities_order_the_queue_and_equal_ones_keep_their_order(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow(source, 200)
    asked = {"first": 5, "earlier": 5, "low": 1, "later": 5, "high": 10}
    for server in serving(tmp_path / "one", LONGSHORE_ACTIVE_TASKS_MAXIMUM="1"):
        with server.client() as client:
            live = add_share_pool(client, "live", "primary", source)
            archive = add_share_pool(client, "archive", "offline_archive", destination)
            tasks = [
                add_copy_task(client, live, archive, name=name, priority=priority)
                for name, priority in asked.items()
            ]
            first, *others = tasks
            first.limit(10_000)  # it takes longer than all the others need to be in the queue
            first.act("run")
            first.wait("calculating", "in_progress")
            for task in others:
                task.act("run")
            first.limit(None)
            ended = [task.wait() for task in tasks]
            assert {task["status"] for task in ended} == {"done"}
            executions = client.get("/task_executions").json()["task_executions"]
        log = server.log.read_text()
        order = sorted(executions, key=lambda each: log.index(f'{each["id"]}, "status": "calcul'))
        names = [each["name"] for each in order]
        assert names == ["first", "high", "earlier", "later", "low"]
