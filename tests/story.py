"""The everyday story over plain HTTP: declare storages, make a task, run it, wait, look."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers import wait_for_end, wait_until

FINAL = {
    "done",
    "finished_with_warnings",
    "error",
    "stopped_by_user",
    "stopped_by_system",
}


def created(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def add_share_pool(client: httpx.Client, name: str, kind: str, folder: Path) -> int:
    """The id of a new pool with one NAS share on the folder; its name begins with `name`."""
    name = f"{name}-{uuid.uuid4().hex[:8]}"
    nas = created(client.post("/nas", json={"name": name, "host": "localhost", "type": "nfs_v4"}))
    share = created(
        client.post(
            f"/nas/{nas['id']}/nas_shares",
            json={"name": name, "path": "/export", "options": f"mount_point={folder}"},
        )
    )
    pool = created(
        client.post(
            "/pools",
            json={"name": name, "type": kind, "content": "nas", "nas_share_ids": [share["id"]]},
        )
    )
    return int(pool["id"])


@dataclass(frozen=True, slots=True)
class Task:
    """A task on a server, driven over HTTP."""

    client: httpx.Client
    id: int

    def show(self) -> dict[str, Any]:
        answer = self.client.get(f"/tasks/{self.id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def request(self, action: str) -> dict[str, Any]:
        """Ask for an action and wait until it took effect or failed; the job."""
        path = f"/tasks/{self.id}/action/{action}"
        answer = self.client.put(path)
        assert answer.status_code == 202, answer.text
        job_id = answer.json()["job_id"]

        def finished() -> dict[str, Any] | None:
            job = self.client.get(path, params={"job_id": job_id}).json()
            return job if job["status"] in {"completed", "failed"} else None

        job: dict[str, Any] = wait_until(finished, f"{action} of task {self.id}")
        return job

    def act(self, action: str) -> None:
        job = self.request(action)
        assert job["status"] == "completed", job

    def limit(self, bytes_per_second: int | None) -> None:
        """Let the task's content pass no faster; None lifts the limit."""
        path = f"/tasks/{self.id}/limits"
        self.client.put(path, json={"bandwidth": bytes_per_second}).raise_for_status()

    def wait(self, *statuses: str, seconds: float = 120.0) -> dict[str, Any]:
        """Wait until the task has one of these statuses; by default a final one."""
        wanted = set(statuses) or FINAL

        def reached() -> dict[str, Any] | None:
            task = self.show()
            return task if task["status"] in wanted else None

        look = wait_until if statuses else wait_for_end
        task: dict[str, Any] = look(
            reached, f"task {self.id} to be {sorted(wanted)}, it is {self.show()}", seconds
        )
        return task

    def execution(self) -> dict[str, Any]:
        """The last execution."""
        answer = self.client.get(f"/tasks/{self.id}/task_executions")
        executions: list[dict[str, Any]] = answer.json()["task_executions"]
        return max(executions, key=lambda each: int(each["id"]))

    def files(self) -> list[dict[str, Any]]:
        """What the last execution has on record of every file."""
        answer = self.client.get(
            f"/task_executions/{self.execution()['id']}/files", params={"limit": 1_000_000}
        )
        assert answer.status_code == 200, answer.text
        files: list[dict[str, Any]] = answer.json()["files"]
        return files


def add_copy_task(
    client: httpx.Client,
    source_pool: int,
    destination_pool: int,
    *,
    options: dict[str, str] | None = None,
    script: str | None = None,
    **fields: Any,
) -> Task:
    body = {
        "name": "archive",
        "workflow_type": "offline_archive",
        "workflow_action": "copy",
        **fields,
    }
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    base = f"/tasks/{task.id}"
    created(client.post(f"{base}/task_sources", json={"pool_id": source_pool}))
    created(client.post(f"{base}/task_destinations", json={"pool_id": destination_pool}))
    for kind, value in (options or {}).items():
        created(client.post(f"{base}/task_options", json={"type": kind, "value": value}))
    if script is not None:
        created(client.post(f"{base}/task_callbacks", json={"type": "filter", "script": script}))
    return task
