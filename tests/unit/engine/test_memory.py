"""Executions stay in the queue while the machine's memory is full, unless nothing else runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from longshore.domain.execution import TaskStatus
from longshore.engine import controller, waiting
from longshore.engine.memory import memory_use_percent
from tests.story import Task
from tests.unit.engine.test_crashes import add_task, request
from tests.workshop import Workshop

Fill = Callable[[int], None]


@pytest.fixture
def fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Sets how many percent of its memory the controller finds in use; 81 to begin with."""
    meminfo = tmp_path / "meminfo"

    def to(percent: int) -> None:
        left = 100 - percent
        meminfo.write_text(f"MemTotal: 1000 kB\nMemFree: 0 kB\nMemAvailable: {left * 10} kB\n")

    to(81)
    monkeypatch.setattr(controller, "memory_use_percent", partial(memory_use_percent, meminfo))
    monkeypatch.setattr(controller, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(controller, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.0)
    return to


@pytest.fixture
def tasks(workshop: Workshop) -> list[Task]:
    """Two tasks that have been asked to run."""
    client = workshop.client()
    made = [add_task(client, workshop.folder / name)[0] for name in ("one", "two")]
    for task in made:
        request(task, "run")
    return made


def explained(task: Task) -> dict[str, object]:
    """What the reasons say, by their codes."""
    reasons = task.client.get(f"/tasks/{task.id}/explain").json()["reasons"]
    return {reason["code"]: reason.get("limit_percent") for reason in reasons}


def test_a_second_task_waits_for_memory_and_says_so(
    workshop: Workshop, fill: Fill, tasks: list[Task]
) -> None:
    _, second = tasks
    workshop.executor.count = 0  # the first one stays active, without a mover

    def is_refused() -> bool:
        return explained(second).get("memory_limit") == 80

    workshop.live(is_refused)
    assert workshop.status(second.id) is TaskStatus.IN_QUEUE


def test_a_task_starts_as_soon_as_memory_is_down_to_the_limit(
    workshop: Workshop, fill: Fill, tasks: list[Task]
) -> None:
    _, second = tasks
    workshop.executor.count = 0
    was_refused = False

    def has_started() -> bool:
        nonlocal was_refused
        if not was_refused and "memory_limit" in explained(second):
            was_refused = True
            fill(80)
        return workshop.status(second.id) is TaskStatus.CALCULATING

    workshop.live(has_started)
    assert was_refused


def test_tasks_run_one_after_the_other_while_memory_stays_full(
    workshop: Workshop, fill: Fill, tasks: list[Task]
) -> None:
    active = {TaskStatus.CALCULATING, TaskStatus.IN_PROGRESS}
    most = 0

    def is_over() -> bool:
        nonlocal most
        statuses = [workshop.status(task.id) for task in tasks]
        most = max(most, sum(status in active for status in statuses))
        return all(status is TaskStatus.DONE for status in statuses)

    workshop.live(is_over)
    assert most <= 1


def test_memory_that_nobody_tells_of_counts_as_free(tmp_path: Path) -> None:
    assert memory_use_percent(tmp_path / "missing") == 0.0
