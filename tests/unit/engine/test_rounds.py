"""The controller looks at what is asked for when called, when a run ends, and now and then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from longshore.database import runs
from longshore.domain.execution import TaskStatus
from longshore.engine import controller
from tests.unit.engine.test_crashes import add_task, request
from tests.workshop import Workshop, reaching


def test_a_request_whose_call_got_lost_is_carried_out(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(controller, "IDLE_SECONDS", 0.02)
    task, _, _ = add_task(workshop.client(), workshop.folder / "one")
    commits = 0
    asked = False

    def count(point: str, _: bytes) -> None:
        nonlocal commits
        commits += point == "state.committed"

    def until() -> bool:
        nonlocal asked
        if commits < 3:  # the first look is not over
            return False
        if not asked:
            listener, workshop.listener = workshop.listener, None  # nobody hears the call
            request(task, "run")
            workshop.listener, asked = listener, True
        return workshop.status(task.id) is TaskStatus.DONE

    with reaching(count):
        workshop.live(until)


def test_a_controller_without_work_only_asks_whether_there_is_some(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(controller, "IDLE_SECONDS", 0.01)
    looks_without_commit = 0
    ask = runs.is_anything_wanted

    def look(connection: Connection, now: int) -> bool:
        nonlocal looks_without_commit
        looks_without_commit += 1
        return ask(connection, now)

    def reach(point: str, _: bytes) -> None:
        nonlocal looks_without_commit
        if point == "state.commit":
            looks_without_commit = 0  # housekeeping after the start may take several rounds

    monkeypatch.setattr(runs, "is_anything_wanted", look)
    with reaching(reach):
        workshop.live(lambda: looks_without_commit >= 5)


def test_replies_alone_carry_a_run_to_its_end_and_the_next_one_out_of_the_queue(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "LOOK_SECONDS", 3600.0)
    workshop.config = replace(workshop.config, active_tasks_maximum=1)
    client = workshop.client()
    tasks = [add_task(client, workshop.folder / name)[0] for name in ("one", "two", "three")]
    for task in tasks:
        request(task, "run")
    workshop.live(lambda: all(workshop.status(task.id) is TaskStatus.DONE for task in tasks))
