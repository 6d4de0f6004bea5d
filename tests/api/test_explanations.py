"""Why a task waits or did not start, over the api. What a controller adds is written by hand."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from longshore.database import runs, waits
from longshore.database.connection import Database, writing
from longshore.database.tables.engine import leases
from longshore.database.tables.tasks import task_executions, tasks
from longshore.domain.waiting import Reason, ReasonCode, concerning
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.conftest import OTHER_USER, ClientOf

PREFIX = "/api/v2"
LONG_AGO = 1_600_000_000


@pytest.fixture(autouse=True)
def controller(context: Context) -> None:
    """A controller that holds the lease, and does nothing."""
    row = {"name": "controller", "epoch": 1, "holder": "h", "expires_at": context.clock() + 3600}
    with writing(context.database.journal) as connection:
        connection.execute(insert(leases).values(row))


def add_task(client: TestClient, **fields: object) -> int:
    answer = client.post(f"{PREFIX}/tasks", json={"name": "t", **fields})
    return int(answer.json()["id"])


def explain(client: TestClient, task_id: int) -> tuple[str, dict[str, dict[str, Any]]]:
    """The summary, and the reasons by their codes."""
    answer = client.get(f"{PREFIX}/tasks/{task_id}/explain")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["summary"], {reason["code"]: reason for reason in body["reasons"]}


def refusals(client: TestClient, task_id: int) -> list[str]:
    body = client.get(f"{PREFIX}/tasks/{task_id}/explain").json()
    found = [each["text"] for each in body["reasons"] if each["code"] == "run_refused"]
    return [text.removeprefix("a run would be refused: ") for text in found]


def put_in_queue(
    database: Database, task_id: int, owner_id: int, *, priority: int = 5, status: str = "in_queue"
) -> int:
    """An execution of the task as the controller would have made it."""
    execution_id = 1_000_000 + task_id
    numbers = (
        "to_process_size", "processed_size", "to_process_files", "processed_files",
        "finalized_files", "failed_files",
    )  # fmt: skip
    row = dict.fromkeys(numbers, 0) | {
        "id": execution_id,
        "task_id": task_id,
        "owner_id": owner_id,
        "name": "t",
        "priority": priority,
        "status": status,
        "log_time": LONG_AGO,
        "active_seconds": 0,
        "plan": b"",
    }
    with writing(database.state) as connection:
        connection.execute(insert(task_executions).values(row))
        connection.execute(
            update(tasks)
            .where(tasks.c.id == task_id)
            .values(status=status, execution_id=execution_id)
        )
    return execution_id


def end(database: Database, task_id: int, status: str, reason: str | None) -> None:
    with writing(database.state) as connection:
        connection.execute(update(task_executions).values(status=status, reason=reason))
        connection.execute(update(tasks).where(tasks.c.id == task_id).values(status=status))


def finish_request(
    database: Database, client: TestClient, task_id: int, action: str, reason: str | None = None
) -> None:
    """Ask for the action, and let it be carried out or fail."""
    job_id = client.put(f"{PREFIX}/tasks/{task_id}/action/{action}").json()["job_id"]
    with writing(database.state) as connection:
        runs.finish_job(connection, job_id, task_id, reason=reason)


def test_a_new_task_was_never_run_has_no_schedule_and_lacks_things(user: TestClient) -> None:
    task_id = add_task(user)
    summary, reasons = explain(user, task_id)
    assert list(reasons) == ["never_run", "no_schedule", "run_refused"]
    assert summary == (
        "The task does not run: it was never run; it has no schedule, so it only runs on request; "
        "a run would be refused: the task has no workflow type or no workflow action yet."
    )


def test_what_a_run_would_be_refused_for_comes_all_at_once(user: TestClient) -> None:
    fields = {"workflow_type": "offline_archive", "workflow_action": "copy", "activate": 0}
    task_id = add_task(user, **fields)
    user.post(
        f"{PREFIX}/tasks/{task_id}/task_options", json={"type": "task_template", "value": "1"}
    )
    assert refusals(user, task_id) == [
        "the task is not activated",
        "the task is a template: it can be copied, not run",
        "the task has no source",
        "the task has no destination",
    ]
    assert "not_activated" in explain(user, task_id)[1]


def test_an_action_without_destination_does_not_ask_for_one(user: TestClient) -> None:
    task_id = add_task(user, workflow_type="offline_archive", workflow_action="erase")
    assert refusals(user, task_id) == ["the task has no source"]


def test_a_schedule_says_when_the_task_runs_next(user: TestClient) -> None:
    task_id = add_task(user)
    rule = "DTSTART:20990101T120000Z\nRRULE:FREQ=DAILY"
    made = user.post(f"{PREFIX}/tasks/{task_id}/task_schedule", json={"rrule": rule})
    assert made.status_code == 201, made.text
    reasons = explain(user, task_id)[1]
    assert reasons["scheduled"]["next"] == "2099-01-01T12:00:00Z"
    assert "no_schedule" not in reasons


def test_a_failed_request_says_why_until_another_one_succeeds(
    user: TestClient, database: Database
) -> None:
    task_id = add_task(user)
    finish_request(database, user, task_id, "run", "the task has no source")
    reason = explain(user, task_id)[1]["request_failed"]
    assert (reason["action"], reason["reason"]) == ("run", "the task has no source")
    assert reason["user"] == "ulla"
    finish_request(database, user, task_id, "run")
    assert "request_failed" not in explain(user, task_id)[1]


def test_a_request_that_nobody_has_carried_out_is_named(user: TestClient) -> None:
    task_id = add_task(user)
    user.put(f"{PREFIX}/tasks/{task_id}/action/run")
    assert explain(user, task_id)[1]["request_pending"]["action"] == "run"


def test_without_a_controller_nothing_goes_on(user: TestClient, database: Database) -> None:
    task_id = add_task(user)
    with writing(database.journal) as connection:
        connection.execute(update(leases).values(expires_at=LONG_AGO))
    assert "no_controller" not in explain(user, task_id)[1]
    user.put(f"{PREFIX}/tasks/{task_id}/action/run")
    assert "no_controller" in explain(user, task_id)[1]


def test_a_waiting_task_names_those_ahead_and_what_fills_the_server(
    admin: TestClient, database: Database
) -> None:
    priorities = {add_task(admin): priority for priority in (5, 9, 1, 5, 5)}
    for task_id, priority in priorities.items():
        put_in_queue(database, task_id, 1000, priority=priority)
    first, high, low, waiting, later = priorities
    full = Reason(ReasonCode.ACTIVE_TASKS_LIMIT, "20 tasks are active", {"limit": 20})
    with writing(database.state) as connection:
        waits.put(connection, waits.QUEUE, [full])
    summary, reasons = explain(admin, waiting)
    assert summary.startswith("The task waits in the queue: 20 tasks are active; 2 tasks of higher")
    assert reasons["tasks_ahead"]["task_ids"] == [high, first]
    assert reasons["tasks_ahead"]["task_count"] == 2
    assert f"(tasks {high} and {first})" in reasons["tasks_ahead"]["text"]
    assert reasons["active_tasks_limit"]["limit"] == 20
    assert explain(admin, low)[1]["tasks_ahead"]["task_ids"] == [high, first, waiting, later]
    assert "tasks_ahead" not in explain(admin, high)[1]


def test_other_peoples_tasks_are_counted_but_not_named(
    user: TestClient, client_of: ClientOf, database: Database
) -> None:
    foreign, own = add_task(client_of(OTHER_USER)), add_task(user)
    put_in_queue(database, foreign, 1002)
    put_in_queue(database, own, 1001)
    reason = explain(user, own)[1]["tasks_ahead"]
    assert (reason["task_count"], reason["task_ids"]) == (1, [])
    assert str(foreign) not in reason["text"].split()
    assert client_of(OTHER_USER).get(f"{PREFIX}/tasks/{own}/explain").status_code == 404


def test_a_running_task_tells_what_the_controller_has_seen(
    admin: TestClient, database: Database
) -> None:
    task_id = add_task(admin)
    execution_id = put_in_queue(database, task_id, 1000, status="in_progress")
    assert explain(admin, task_id) == ("The task runs.", {})
    taken = Reason(
        ReasonCode.SLOTS_TAKEN, "the only slot is taken", {"slots": 1, **concerning([7])}
    )
    with writing(database.state) as connection:
        waits.put(connection, execution_id, [taken])
    summary, reasons = explain(admin, task_id)
    assert summary == "The task runs: the only slot is taken (task 7)."
    assert reasons["slots_taken"]["slots"] == 1


def test_a_paused_task_says_who_paused_it(user: TestClient, database: Database) -> None:
    task_id = add_task(user)
    put_in_queue(database, task_id, 1001, status="paused")
    finish_request(database, user, task_id, "pause")
    summary, reasons = explain(user, task_id)
    assert reasons["paused"]["user"] == "ulla"
    assert summary.startswith("The task is paused: ulla paused it at 2")


@pytest.mark.parametrize(
    ("status", "reason", "code", "expected"),
    [
        ("stopped_by_system", "source: it is gone", "stopped", "it is gone; resume continues it"),
        ("error", "3 files failed", "ended", "3 files failed"),
        ("finished_with_warnings", "1 files failed", "ended", "1 files failed"),
        ("stopped_by_user", None, "stopped", "somebody stopped it"),
    ],
)
def test_an_ended_task_says_why_it_ended(
    user: TestClient,
    database: Database,
    status: str,
    reason: str | None,
    code: str,
    expected: str,
) -> None:
    task_id = add_task(user)
    put_in_queue(database, task_id, 1001)
    end(database, task_id, status, reason)
    reasons = explain(user, task_id)[1]
    assert expected in reasons[code]["text"]
    assert reasons[code]["since"] == "2020-09-13T12:26:40Z"
    assert "never_run" not in reasons
