"""The engine crashes at every single commit in turn, and goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from longshore.database.connection import reading
from longshore.database.node_rows import NodeState
from longshore.database.tables.catalogue import nodes
from longshore.domain.execution import IDLE, TaskStatus
from longshore.engine import controller
from longshore.pipeline.messages.plan import WorkKind
from tests.exactness import check_exact, check_records, last_execution, status_of, work_left
from tests.records import files_on_record, path_of
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left
from tests.workshop import CrashAt, Workshop, reaching

FILES = 12  # three batches
STOPPED_FILES = 24  # five: of two that a mover has, and as many after a crash, some are left over
COMMITS = ("journal.commit", "state.commit")
MOVER = (
    "mover.order",
    "mover.file",
    "mover.staged",
    "mover.before_durable",
    "mover.before_publish",
    "mover.published",
    "mover.after_publish",
    "mover.reply",
)
COMMITS_MAXIMUM = 400  # a run of so few files has fewer; more means that it never ends


def add_task(
    client: httpx.Client, folder: Path, *, files: int = FILES, action: str = "copy"
) -> tuple[Task, Path, Path]:
    """A task of its own between two new folders; its id and the folders."""
    source, destination = folder / "source", folder / "destination"
    for each in (source, destination):
        each.mkdir(parents=True)
    grow(source, files, per_folder=5)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        workflow_action=action,
    )
    return task, source, destination


def request(task: Task, action: str) -> None:
    assert task.client.put(f"/tasks/{task.id}/action/{action}").status_code == 202


def is_idle(workshop: Workshop, task: Task) -> bool:
    return task.client.get(f"/tasks/{task.id}").json()["action"] == "noop" and (
        workshop.status(task.id) in IDLE
    )


@dataclass(slots=True)
class User:
    """Runs a task, and asks for more while it copies; what a crash has eaten is asked again."""

    workshop: Workshop
    task: Task
    crash: CrashAt
    action: str = ""  # asked for when the first batch has arrived at a mover
    asked: bool = False

    def reach(self, point: str, detail: bytes) -> None:
        if point == "mover.order" and detail == b"COPY" and self.action and not self.asked:
            self.asked = True
            request(self.task, self.action)
        self.crash(point, detail)

    def is_content(self) -> bool:
        """Whether all that was asked for has happened; asks for what is missing."""
        status = self.workshop.status(self.task.id)
        if status is TaskStatus.NOT_ACTIVATED:
            self._ask("run")
            return False
        if status is TaskStatus.PAUSED:
            self._ask("resume")
        elif self.action == "stop" and self.asked:
            self._ask("stop", unless=status is TaskStatus.STOPPED_BY_USER)
        execution_id = last_execution(self.workshop.database, self.task.id)
        tidy = work_left(self.workshop.database, execution_id) == 0
        return tidy and status in IDLE and self.task.show()["action"] == "noop"

    def _ask(self, action: str, *, unless: bool = False) -> None:
        if not unless and self.task.show()["action"] == "noop":
            request(self.task, action)


def run_with_crash(workshop: Workshop, task: Task, crash: CrashAt, action: str = "") -> int:
    """Run the task to its end; the id of its execution."""
    user = User(workshop, task, crash, action)
    with reaching(user.reach):
        workshop.live_through_crashes(user.is_content)
    return last_execution(workshop.database, task.id)


def test_copy_is_exact_after_a_crash_at_any_commit(workshop: Workshop, tmp_path: Path) -> None:
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        task, source, destination = add_task(client, tmp_path / str(number))
        crash = CrashAt(COMMITS, number)
        execution_id = run_with_crash(workshop, task, crash)
        check_exact(workshop.database, execution_id, source, destination)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def test_copy_is_exact_after_a_mover_has_died_anywhere(workshop: Workshop, tmp_path: Path) -> None:
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        task, source, destination = add_task(client, tmp_path / str(number))
        crash = CrashAt(MOVER, number)
        execution_id = run_with_crash(workshop, task, crash)
        check_exact(workshop.database, execution_id, source, destination)
        if not crash.has_happened:
            assert workshop.executor.deaths == number - 1
            return
    raise AssertionError("it goes on for ever")


@pytest.mark.parametrize(
    "points", [COMMITS, ("mover.order", "mover.reply")], ids=["commit", "order"]
)
def test_move_loses_nothing_in_a_crash_at_any_commit_or_order(
    workshop: Workshop, tmp_path: Path, points: tuple[str, ...]
) -> None:
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        task, source, destination = add_task(client, tmp_path / str(number), action="move")
        before = describe(source)
        crash = CrashAt(points, number)
        execution_id = run_with_crash(workshop, task, crash)
        check_moved(workshop, execution_id, before, source, destination)
        if not crash.has_happened:
            kinds = {order.kind for order in workshop.executor.orders}
            assert {WorkKind.RELEASE, WorkKind.PRUNE} <= kinds
            return
    raise AssertionError("it goes on for ever")


def check_moved(
    workshop: Workshop,
    execution_id: int,
    before: dict[bytes, tuple[object, ...]],
    source: Path,
    destination: Path,
) -> None:
    """What was there is at the destination and nowhere else, on record once, nothing left over."""
    assert status_of(workshop.database, execution_id) is TaskStatus.DONE
    assert describe(destination) == before
    assert describe(source) == {}
    assert work_left(workshop.database, execution_id) == 0
    check_records(workshop.database, execution_id)
    recorded = {path_of(each) for each in files_on_record(workshop.database, execution_id)}
    assert recorded == {path for path, (kind, *_) in before.items() if kind != "folder"}
    in_trees = select(nodes.c.state).where(nodes.c.parent_id.is_not(None)).distinct()
    with reading(workshop.database.journal) as connection:
        assert connection.execute(in_trees).scalars().all() == [NodeState.STUB.value]


def test_stopped_copy_is_never_taken_for_a_finished_one(workshop: Workshop, tmp_path: Path) -> None:
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        folder = tmp_path / str(number)
        task, source, destination = add_task(client, folder, files=STOPPED_FILES)
        crash = CrashAt(COMMITS, number)
        execution_id = run_with_crash(workshop, task, crash, "stop")
        assert status_of(workshop.database, execution_id) is TaskStatus.STOPPED_BY_USER
        assert staged_left(destination) == []
        assert work_left(workshop.database, execution_id) == 0
        check_records(workshop.database, execution_id, complete=False)
        arrived = files_in(destination)
        assert len(arrived) < STOPPED_FILES, "it was stopped too late to prove anything"
        assert arrived.items() <= files_in(source).items()
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def test_paused_and_resumed_copy_is_exact_after_a_crash_at_any_commit(
    workshop: Workshop, tmp_path: Path
) -> None:
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        task, source, destination = add_task(client, tmp_path / str(number))
        crash = CrashAt(COMMITS, number)
        execution_id = run_with_crash(workshop, task, crash, "pause")
        check_exact(workshop.database, execution_id, source, destination)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def files_in(folder: Path) -> dict[bytes, tuple[object, ...]]:
    return {path: each for path, each in describe(folder).items() if each[0] != "folder"}


def test_copy_is_exact_when_the_database_refuses_any_commit(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "DATABASE_RETRY_SECONDS", 0.01)
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        task, source, destination = add_task(client, tmp_path / str(number))
        refusal = OperationalError("COMMIT", None, Exception("database is locked"))
        crash = CrashAt(COMMITS, number, refusal)
        execution_id = run_with_crash(workshop, task, crash)
        check_exact(workshop.database, execution_id, source, destination)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def test_copy_is_exact_when_the_answer_to_any_commit_is_lost(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "DATABASE_RETRY_SECONDS", 0.01)
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        task, source, destination = add_task(client, tmp_path / str(number))
        loss = OperationalError("COMMIT", None, Exception("server closed the connection"))
        crash = CrashAt(("journal.committed", "state.committed"), number, loss)
        execution_id = run_with_crash(workshop, task, crash)
        check_exact(workshop.database, execution_id, source, destination)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")
