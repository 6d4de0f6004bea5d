"""Primary pools are scanned by the controller, as often as they want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from longshore.domain.execution import IDLE
from tests.story import add_share_pool
from tests.trees import grow
from tests.workshop import Workshop

FILES = 7
HOURS_OF_TWO_DAYS = 48  # each life of the workshop is an hour after the one before


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    grow(folder, FILES)
    return folder


def wanted(client: httpx.Client, source: Path, **fields: Any) -> int:
    """A primary pool that wants to be scanned every day."""
    pool = add_share_pool(client, "live", "primary", source)
    body = {"enabled": True, "operand": 1, "unit": "days", **fields}
    client.post(f"/pools/{pool}/primary_scan", json=body).raise_for_status()
    return pool


def scans(client: httpx.Client) -> list[dict[str, Any]]:
    """The executions of scans, the oldest first."""
    found = client.get("/task_executions", params={"limit": 100}).json()["task_executions"]
    return sorted(
        (each for each in found if each["workflow_action"] == "scan"),
        key=lambda each: int(each["id"]),
    )


def live_until_scanned(workshop: Workshop, client: httpx.Client, times: int) -> None:
    def is_scanned() -> bool:
        found = scans(client)
        return len(found) >= times and all(each["status"] in IDLE for each in found)

    workshop.live(is_scanned)


def test_a_pool_is_scanned_at_once_and_again_when_its_interval_is_over(
    workshop: Workshop, source: Path
) -> None:
    client = workshop.client()
    pool = wanted(client, source)
    live_until_scanned(workshop, client, 1)
    (first,) = scans(client)
    assert (first["status"], first["processed_files"]) == ("done", FILES)
    names = [each["name"] for each in client.get(f"/pools/{pool}/files").json()["files"]]
    assert names == ["d000"]
    rounds = iter(range(20))
    workshop.live(lambda: next(rounds, None) is None)
    assert len(scans(client)) == 1, "an hour later it is not due"
    workshop.lives += HOURS_OF_TWO_DAYS
    live_until_scanned(workshop, client, 2)
    assert client.get("/tasks").json()["count"] == 1, "one task carries out all scans of the pool"


def test_a_pool_that_does_not_want_it_is_not_scanned(workshop: Workshop, source: Path) -> None:
    client = workshop.client()
    wanted(client, source, enabled=False)
    rounds = iter(range(20))
    workshop.live(lambda: next(rounds, None) is None)
    assert scans(client) == []


def test_a_task_that_somebody_removed_is_made_again(workshop: Workshop, source: Path) -> None:
    client = workshop.client()
    wanted(client, source)
    live_until_scanned(workshop, client, 1)
    (task,) = client.get("/tasks").json()["tasks"]
    client.delete(f"/tasks/{task['id']}").raise_for_status()
    workshop.lives += HOURS_OF_TWO_DAYS
    live_until_scanned(workshop, client, 2)
    assert client.get("/tasks").json()["count"] == 1


def test_the_task_goes_with_its_pool(workshop: Workshop, source: Path) -> None:
    client = workshop.client()
    pool = wanted(client, source)
    live_until_scanned(workshop, client, 1)
    client.delete(f"/pools/{pool}").raise_for_status()
    assert client.get("/tasks").json()["count"] == 0
    assert len(scans(client)) == 1, "what was done stays on record"


def test_a_pool_that_cannot_be_scanned_is_tried_again_at_its_next_time(
    workshop: Workshop, source: Path
) -> None:
    client = workshop.client()
    pool = wanted(client, source)
    (share,) = client.get(f"/pools/{pool}/nas_shares").json()["nas_shares"]
    path = f"/nas/{share['nas_id']}/nas_shares/{share['id']}"
    client.put(path, json={"options": None}).raise_for_status()
    rounds = iter(range(20))
    workshop.live(lambda: next(rounds, None) is None)
    assert scans(client) == []
    client.put(path, json={"options": f"mount_point={source}"}).raise_for_status()
    workshop.lives += HOURS_OF_TWO_DAYS
    live_until_scanned(workshop, client, 1)
