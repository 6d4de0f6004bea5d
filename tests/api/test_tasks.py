from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import insert, update

from longshore.api.rendering import PIECE_ROWS
from longshore.database.connection import writing
from longshore.database.tables.tasks import jobs, tasks
from longshore.domain.execution import RUNNING, TaskStatus
from longshore.domain.task import MATRIX, WorkflowAction, WorkflowType
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.conftest import OTHER_USER, USER, ClientOf

TASKS = "/api/v2/tasks"
EDITABLE_WHILE_RUNNING = {"name": "new", "comment": "new", "priority": 9, "activate": 0}
FROZEN_WHILE_RUNNING = {
    "workflow_type": "maintenance", "workflow_action": "speedtest", "source_type": "container",
    "destination_type": "container", "conflict_resolution": "ignore", "delete": 1,
    "local_server_path": "/mnt",
}  # fmt: skip


def create(client: TestClient, name: str, **more: object) -> Any:
    answer = client.post(TASKS, json={"name": name} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def names(client: TestClient, query: str) -> list[str]:
    answer = client.get(f"{TASKS}?{query}")
    assert answer.status_code == 200, answer.text
    return [task["name"] for task in answer.json()["tasks"]]


def set_columns(context: Context, task_id: int, **columns: object) -> None:
    """What the controller does to a task."""
    with writing(context.database.state) as connection:
        connection.execute(update(tasks).where(tasks.c.id == task_id).values(**columns))


def test_a_task_is_created_shown_changed_and_removed(user: TestClient) -> None:
    task = create(user, "nightly")
    assert (task["priority"], task["activate"], task["delete"]) == (5, 1, 0)
    assert (task["status"], task["action"], task["progress"]) == ("not_activated", "noop", 0)
    assert (task["creation_username"], task["modification_username"]) == (USER[0], USER[0])
    assert time.strptime(task["creation_date"], "%Y-%m-%dT%H:%M:%SZ")
    assert user.get(f"{TASKS}/{task['id']}").json() == task
    changed = user.put(f"{TASKS}/nightly", json={"priority": 9, "status": "done", "id": 77})
    assert changed.status_code == 200, changed.text
    assert changed.json() | {"modification_date": ""} == task | {
        "priority": 9, "modification_date": "",
    }  # fmt: skip
    assert user.get(TASKS).json()["count"] == 1
    assert user.delete(f"{TASKS}/{task['id']}").status_code == 204
    assert user.get(f"{TASKS}/{task['id']}").json() == {
        "details": {"task": [{"error": "not_found"}]},
        "messages": ["Task not found"],
    }


def test_null_clears_and_absence_leaves(user: TestClient) -> None:
    create(user, "x", comment="words", priority=9, conflict_resolution="ignore", activate="FALSE")
    path = f"{TASKS}/x"
    unchanged = user.put(path, json={}).json()
    assert (unchanged["comment"], unchanged["priority"], unchanged["activate"]) == ("words", 9, 0)
    cleared = user.put(
        path,
        json={"comment": None, "priority": None, "conflict_resolution": None, "activate": None},
    ).json()
    assert (cleared["comment"], cleared["priority"], cleared["activate"]) == (None, 5, 1)
    assert cleared["conflict_resolution"] is None
    assert user.put(path, json={"name": None}).status_code == 422
    assert user.put(path, json={"name": "  "}).json()["details"] == {"name": [{"error": "blank"}]}


@pytest.mark.parametrize(
    "name", ["my task/1", "a%2Fb", "ä ö", "😀", "50%", "a?b=c&d", "..", "+", "[x]", "{task_id}"]
)
def test_a_task_is_addressed_by_a_name_of_any_characters(user: TestClient, name: str) -> None:
    task = create(user, name)
    path = f"{TASKS}/{quote(name, safe='')}"
    if name == "..":
        path = f"{TASKS}/%2E%2E"
    assert user.get(path).json()["id"] == task["id"]
    assert user.put(f"{path}/action/run").status_code == 202


def test_digits_mean_an_id_first_and_the_oldest_of_one_name(user: TestClient) -> None:
    first, second = create(user, "2"), create(user, "twin")
    third = create(user, "twin")
    assert user.get(f"{TASKS}/2").json()["id"] == second["id"]
    assert user.get(f"{TASKS}/twin").json()["id"] == second["id"]
    user.delete(f"{TASKS}/{second['id']}")
    assert user.get(f"{TASKS}/2").json()["id"] == first["id"]
    assert user.get(f"{TASKS}/twin").json()["id"] == third["id"]
    for missing in ("9" * 30, "%FF", "%00", "none"):
        assert user.get(f"{TASKS}/{missing}").status_code == 404


def test_tasks_of_others_are_not_found_but_by_administrators(
    client_of: ClientOf, user: TestClient, admin: TestClient
) -> None:
    task = create(user, "private")
    other = client_of(OTHER_USER)
    path = f"{TASKS}/{task['id']}"
    assert [other.get(path).status_code, other.delete(path).status_code] == [404, 404]
    assert other.put(path, json={"name": "taken"}).status_code == 404
    assert other.put(f"{path}/action/run").status_code == 404
    assert other.get(f"{path}/task_options").status_code == 404
    assert names(other, "all=true") == []
    assert names(admin, "") == []
    assert names(admin, "all=True") == ["private"]
    changed = admin.put(path, json={"comment": "seen"}).json()
    assert (changed["creation_username"], changed["modification_username"]) == (USER[0], "admin")


@pytest.mark.parametrize("status", sorted(RUNNING))
def test_a_running_task_keeps_what_its_execution_depends_on(
    user: TestClient, context: Context, status: TaskStatus
) -> None:
    task = create(user, "busy")
    set_columns(context, task["id"], status=status.value)
    path = f"{TASKS}/{task['id']}"
    assert user.put(path, json=EDITABLE_WHILE_RUNNING).status_code == 200
    refused = user.put(path, json=FROZEN_WHILE_RUNNING | EDITABLE_WHILE_RUNNING)
    assert refused.status_code == 422
    assert {
        name: problems[0]["error"] for name, problems in refused.json()["details"].items()
    } == dict.fromkeys(FROZEN_WHILE_RUNNING, "frozen")
    assert user.put(path, json=user.get(path).json()).status_code == 200
    for answer in (
        user.delete(path),
        user.post(f"{path}/task_metadata", json={"key": "a", "value": "b"}),
        user.post(f"{path}/task_callbacks", json={"type": "filter", "script": "x"}),
        user.post(f"{path}/task_sources", json={"pool_id": 1}),
    ):
        assert answer.status_code == 422
        assert answer.json()["details"] == {"base": [{"error": "frozen"}]}


@pytest.mark.parametrize("action", sorted(WorkflowAction))
def test_types_and_actions_go_together_as_the_matrix_says(
    user: TestClient, action: WorkflowAction
) -> None:
    for kind in WorkflowType:
        body = {"name": "x", "workflow_type": kind.value, "workflow_action": action.value}
        answer = user.post(TASKS, json=body)
        assert (answer.status_code == 201) is (kind in MATRIX[action])
        if answer.status_code != 201:
            assert answer.json()["details"] == {
                "workflow_action": [{"error": "invalid", "value": action.value}]
            }


def test_a_new_end_is_checked_against_the_stored_workflow(user: TestClient) -> None:
    create(user, "x", workflow_type="offline_archive", workflow_action="copy")
    path = f"{TASKS}/x"
    assert user.put(path, json={"source_type": "container"}).status_code == 200
    wrong = user.put(path, json={"destination_type": "container"})
    assert wrong.json()["details"] == {
        "destination_type": [{"error": "invalid", "value": "container"}]
    }


def test_a_change_may_depend_on_the_state_that_was_seen(user: TestClient) -> None:
    create(user, "x")
    path = f"{TASKS}/x"
    seen = user.get(path).headers["etag"]
    first = user.put(path, json={"priority": 9}, headers={"If-Match": f'"other", {seen}'})
    assert first.status_code == 200
    late = user.put(path, json={"priority": 1}, headers={"If-Match": seen})
    assert late.status_code == 412
    assert late.json()["details"] == {"base": [{"error": "precondition_failed"}]}
    assert user.get(path).json()["priority"] == 9
    again = user.put(path, json={"priority": 2}, headers={"If-Match": first.headers["etag"]})
    assert again.status_code == 200


def test_a_change_of_a_part_is_a_change_of_the_task(user: TestClient, context: Context) -> None:
    task = create(user, "x")
    set_columns(context, task["id"], modification_date=5, modification_username="nobody")
    user.post(f"{TASKS}/x/task_metadata", json={"key": "a", "value": "b"})
    changed = user.get(f"{TASKS}/x").json()
    assert changed["modification_username"] == USER[0]
    assert changed["modification_date"] > "2020"


# ------------------------------------------------------------------------------- listings


def test_pages_have_a_count_a_limit_an_offset_and_an_order(user: TestClient) -> None:
    for number in range(5):
        create(user, f"t{number}", priority=1 + number % 2)
    answer = user.get(f"{TASKS}?limit=2&offset=1&sort_by=name:desc").json()
    assert (answer["count"], [task["name"] for task in answer["tasks"]]) == (5, ["t3", "t2"])
    assert user.get(f"{TASKS}?limit=0").json() == {"count": 5, "tasks": []}
    assert names(user, "limit=9&offset=99") == []
    for order in ("priority:desc|name:desc", "priority:desc,name:desc",
                  "priority:desc&sort_by=name:desc", "none|priority:DESC|name:desc,"):  # fmt: skip
        assert names(user, f"sort_by={order}") == ["t3", "t1", "t4", "t2", "t0"]


def test_filters_hold_together_and_unknown_ones_are_ignored(user: TestClient) -> None:
    for number in range(6):
        create(user, f"t{number}", priority=1 + number, comment="even" if number % 2 else None)
    assert names(user, "priority=%3E2&priority=%3C%3D5&colour=red") == ["t2", "t3", "t4"]
    assert names(user, "comment=&priority=%3C4") == ["t0", "t2"]
    assert names(user, "comment=!%3Deven") == ["t0", "t2", "t4"]
    assert names(user, "name=%3E%3Ct1%7Ct5%7Cx") == ["t1", "t5"]
    assert names(user, "name=~T_&id=!%3E%3C1|2|3") == ["t3", "t4", "t5"]
    assert names(user, "id=none") == []
    assert len(names(user, "id=!%3Dnone")) == 6
    assert names(user, "activate=False") == []
    assert names(user, "source_tape_barcode=A1") == []
    assert len(names(user, "destination_tape_id=!=1&source_pool_name=!=x")) == 6


def test_a_count_is_the_number_of_rows_for_every_filter(user: TestClient, context: Context) -> None:
    statuses = [status.value for status in TaskStatus]
    for number in range(30):
        task = create(user, f"t{number}", priority=1 + number % 10, activate=number % 2)
        set_columns(context, task["id"], status=statuses[number % len(statuses)])
    for name in ("t1", "t7", "t20"):
        user.delete(f"{TASKS}/{name}")
    for query in (
        "", "status=done", "status=!=done", "status=><done|error&priority=>3", "activate=0",
        "conflict_resolution=", "workflow_type=~%", "name=~t1%&status=!~d%", "priority=<=2",
        "creation_date=>2020-01-01&status=done", "status=x",
    ):  # fmt: skip
        for order in ("", "name", "status:desc|priority"):
            answer = user.get(f"{TASKS}?{query}&sort_by={order}").json()
            assert answer["count"] == len(answer["tasks"]), query


@pytest.mark.parametrize(
    "value",
    ["'; DROP TABLE tasks; --", "%00", "%FF", "%", "%25%25", "_", "\\", "😀", "a" * 60_000,
     "~" + "%25a" * 10_000, "%3E%3C" + "1|" * 25_000, "=" * 1000],
)  # fmt: skip
def test_hostile_values_of_filters_are_data(user: TestClient, value: str) -> None:
    create(user, "x")
    for name in ("name", "id", "status", "creation_date", "source_pool_name", "sort_by"):
        answer = user.get(f"{TASKS}?{name}={value}".replace(" ", "%20").replace("\\", "%5C"))
        assert answer.status_code == 200, answer.text[:200]
    assert user.get(TASKS).json()["count"] == 1


def test_too_many_parameters_are_a_bad_request(user: TestClient) -> None:
    assert user.get(f"{TASKS}?{'&'.join(['id=1'] * 2_000)}").status_code == 400


def test_a_list_without_limit_has_all_rows_however_many(user: TestClient, context: Context) -> None:
    template = {
        "owner_id": 1001, "priority": 5, "action": "noop", "activate": 1, "creation_date": 0,
        "creation_username": "ulla", "modification_date": 0, "modification_username": "ulla",
        "status": "done", "progress": 0, "processed_size": 0, "to_process_size": 0, "delete": 0,
    }  # fmt: skip
    total = 3 * PIECE_ROWS + 7
    with writing(context.database.state) as connection:
        connection.execute(insert(tasks), [template | {"name": f"t{n}"} for n in range(total)])
    answer = user.get(f"{TASKS}?sort_by=id:desc")
    body = json.loads(answer.content)
    assert body["count"] == len(body["tasks"]) == total
    assert body["tasks"][0]["name"] == f"t{total - 1}"


# ---------------------------------------------------------------------------------- jobs


def test_a_job_is_asked_for_by_its_task_action_and_user_only(
    user: TestClient, admin: TestClient
) -> None:
    task, other = create(user, "x"), create(user, "y")
    path = f"{TASKS}/{task['id']}/action"
    job = user.put(f"{path}/run").json()
    assert job == {"job_id": job["job_id"], "status": "queued"}
    assert uuid.UUID(job["job_id"]).version == 4
    asked = f"job_id={job['job_id']}"
    assert user.get(f"{path}/run?{asked}").json() == job
    assert user.get(f"{path}/run?{asked}").status_code == 202
    for path_of_another in (
        f"{path}/stop?{asked}", f"{TASKS}/{other['id']}/action/run?{asked}",
        f"{path}/run?job_id=unknown", f"{path}/run?job_id=%00", f"{path}/run?job_id=%FF",
    ):  # fmt: skip
        answer = user.get(path_of_another)
        assert answer.json()["details"] == {"job": [{"error": "not_found"}]}
    assert admin.get(f"{path}/run?{asked}").status_code == 404
    blank = user.get(f"{path}/run")
    assert (blank.status_code, blank.json()["details"]) == (422, {"job_id": [{"error": "blank"}]})


@pytest.mark.parametrize(
    ("columns", "status", "shown"),
    [
        ({"status": "working", "progress": 1, "total": 2}, 202, {"progress": 1, "total": 2}),
        ({"status": "completed", "progress": 2, "total": 2}, 200, {"progress": 2, "total": 2}),
        ({"status": "failed", "reason": "no source"}, 200, {"reason": "no source"}),
    ],
)
def test_a_job_shows_how_far_it_has_come(
    user: TestClient,
    context: Context,
    columns: dict[str, Any],
    status: int,
    shown: dict[str, Any],
) -> None:
    create(user, "x")
    job_id = user.put(f"{TASKS}/x/action/run").json()["job_id"]
    with writing(context.database.state) as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(**columns))
    answer = user.get(f"{TASKS}/x/action/run?job_id={job_id}")
    assert answer.status_code == status
    assert answer.json() == {"job_id": job_id, "status": columns["status"]} | shown


def test_a_job_is_forgotten_after_a_day(user: TestClient, context: Context) -> None:
    create(user, "x")
    job_id = user.put(f"{TASKS}/x/action/run").json()["job_id"]
    yesterday = int((time.time() - 86_401) * 1_000_000_000)
    with writing(context.database.state) as connection:
        connection.execute(update(jobs).values(creation_ns=yesterday))
    assert user.get(f"{TASKS}/x/action/run?job_id={job_id}").status_code == 404
