from __future__ import annotations

from tests.api.client import TestClient

TASKS = "/api/v2/tasks"


def test_a_task_is_created_shown_changed_and_removed(user: TestClient) -> None:
    created = user.post(TASKS, json={"name": "nightly"})
    assert created.status_code == 201, created.text
    task = created.json()
    assert task["priority"] == 5
    assert user.get(f"{TASKS}/{task['id']}").json() == task
    changed = user.put(f"{TASKS}/nightly", json={"priority": 9, "status": "done"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["priority"] == 9
    assert changed.json()["status"] == "not_activated"
    assert user.get(TASKS).json()["count"] == 1
    assert user.delete(f"{TASKS}/{task['id']}").status_code == 204
    assert user.get(f"{TASKS}/{task['id']}").json() == {
        "details": {"task": [{"error": "not_found"}]},
        "messages": ["Task not found"],
    }
