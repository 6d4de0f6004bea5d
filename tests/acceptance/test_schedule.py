"""Schedules start tasks on a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.servers import Server, wait_until
from tests.story import add_copy_task, add_share_pool, created


def test_a_schedule_runs_the_task_once_and_is_done(
    server: Server, source: Path, destination: Path
) -> None:
    (source / "file").write_text("scheduled")
    with server.client() as client:
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
        )
        soon = datetime.now(UTC) + timedelta(seconds=2)
        rule = f"DTSTART:{soon:%Y%m%dT%H%M%S}Z"
        made = created(client.post(f"/tasks/{task.id}/task_schedule", json={"rrule": rule}))
        assert made["next"] == f"{soon:%Y-%m-%dT%H:%M:%S}Z"
        assert task.wait("done", seconds=30)["status"] == "done"
        schedule = client.get(f"/tasks/{task.id}/task_schedule").json()
        assert (schedule["done"], schedule["next"]) == (True, None)
        assert client.get(f"/tasks/{task.id}/task_executions").json()["count"] == 1
    assert (destination / "file").read_text() == "scheduled"


def test_a_deactivated_task_skips_its_occurrence(server: Server, source: Path) -> None:
    with server.client() as client:
        pool = add_share_pool(client, "live", "primary", source)
        body = {
            "name": "scan",
            "workflow_type": "maintenance",
            "workflow_action": "scan",
            "activate": 0,
        }
        task = created(client.post("/tasks", json=body))
        base = f"/tasks/{task['id']}"
        created(client.post(f"{base}/task_sources", json={"pool_id": pool}))
        soon = datetime.now(UTC) + timedelta(seconds=1)
        rule = f"DTSTART:{soon:%Y%m%dT%H%M%S}Z"
        created(client.post(f"{base}/task_schedule", json={"rrule": rule}))

        def skipped() -> bool:
            return bool(client.get(f"{base}/task_schedule").json()["skipped_count"])

        wait_until(skipped, "the occurrence to be skipped", 30)
        assert client.get(base).json()["status"] == "not_activated"
