"""What lies on each storage is counted by the controller and shown by the api."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from longshore import bootstrap
from longshore.domain.execution import TaskStatus
from longshore.engine import counting
from tests.clouds import add_bucket_pool, synchronized
from tests.object_servers.processes import ObjectServer
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import grow
from tests.workshop import Workshop

FILES = 23


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(counting, "PAUSE_FACTOR", 0)
    monkeypatch.setattr(counting, "WINDOW_FILES", 7)


def share_of(client: httpx.Client, pool: int) -> dict[str, Any]:
    (share,) = client.get(f"/pools/{pool}/nas_shares").json()["nas_shares"]
    found: dict[str, Any] = share
    return found


def run(workshop: Workshop, task: Task, shown: tuple[int, int]) -> None:
    """Run the task, until the first share of its destination has these numbers."""
    task.client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    destinations = task.client.get(f"/tasks/{task.id}/task_destinations").json()
    pool = destinations["task_destinations"][0]["pool"]["id"]

    def is_counted() -> bool:
        share = share_of(task.client, pool)
        done = workshop.status(task.id) is TaskStatus.DONE
        return done and (share["file_count"], share["file_size_sum"]) == shown

    workshop.live(is_counted)


def test_shares_show_how_many_files_lie_on_them(workshop: Workshop, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    destination.mkdir()
    grow(source, FILES, per_folder=5)
    size = sum(each.stat().st_size for each in source.rglob("*.dat"))
    client = workshop.client()
    live = add_share_pool(client, "live", "primary", source)
    away = add_share_pool(client, "archive", "offline_archive", destination)
    assert share_of(client, away)["file_count"] is None, "nobody has counted yet"
    run(workshop, add_copy_task(client, live, away), (FILES, size))
    assert share_of(client, live)["file_count"] == FILES
    run(workshop, add_copy_task(client, live, away, workflow_action="move"), (FILES, size))
    workshop.live(lambda: share_of(client, live)["file_count"] == 0)
    assert share_of(client, away)["file_size_sum"] == size


def test_buckets_show_how_many_files_lie_in_them(
    workshop: Workshop, tmp_path: Path, object_server: Callable[[str], ObjectServer]
) -> None:
    source = tmp_path / "source"
    grow(source, FILES, per_folder=5)
    size = sum(each.stat().st_size for each in source.rglob("*.dat"))
    workshop.open_storage = bootstrap.open_storage
    client = workshop.client(
        open_storage=bootstrap.open_storage, list_buckets=bootstrap.list_buckets
    )
    live = add_share_pool(client, "live", "primary", source)
    archive = add_bucket_pool(client, object_server("moto"), "cloud", "offline_archive")

    def bucket() -> tuple[int | None, int | None]:
        path = f"/cloud_connectors/{archive.connector_id}/cloud_buckets/{archive.bucket_id}"
        shown = client.get(path).raise_for_status().json()
        return shown["file_count"], shown["file_size_sum"]

    assert bucket() == (None, None), "nobody has counted yet"
    task = add_copy_task(client, live, archive.id)
    client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    workshop.live(lambda: workshop.status(task.id) is TaskStatus.DONE and bucket() == (FILES, size))

    # Bringing the buckets in again leaves their numbers, wherever they are shown.
    shown = synchronized(client, archive.connector_id)
    [found] = [each for each in shown if each["id"] == archive.bucket_id]
    assert (found["file_count"], found["file_size_sum"]) == (FILES, size)

    fields = {"workflow_type": "offline_archive", "workflow_action": "erase"}
    erase = Task(client, int(created(client.post("/tasks", json={"name": "e", **fields}))["id"]))
    body = {"pool_id": archive.id, "folder_path": "/"}
    created(client.post(f"/tasks/{erase.id}/task_sources", json=body))
    client.put(f"/tasks/{erase.id}/action/run").raise_for_status()
    workshop.live(lambda: workshop.status(erase.id) is TaskStatus.DONE and not any(bucket()))
    assert archive.objects() == {}


def test_containers_show_what_is_in_them_and_what_is_only_there(
    workshop: Workshop, tmp_path: Path
) -> None:
    client = workshop.client()
    container = created(client.post("/containers", json={"name": "films"}))
    (folder,) = tmp_path.rglob("container-*")
    workshop.config = replace(workshop.config, containers_root=folder.parent)
    source, destination = tmp_path / "source", tmp_path / "destination"
    destination.mkdir()
    grow(source, FILES, per_folder=FILES)
    first = next(iter(sorted(path.relative_to(source) for path in source.rglob("*.dat"))))
    live = add_share_pool(client, "live", "primary", source)
    away = add_share_pool(client, "archive", "active_archive", destination)
    for kind, start, end in (
        ("data_migration", {"pool_id": live}, {"folder_path": "/films"}),
        ("active_archive", {"file_path": f"/films/{first}"}, {"pool_id": away}),
    ):
        body = {"name": kind, "workflow_type": kind, "workflow_action": "copy"}
        task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
        created(client.post(f"/tasks/{task.id}/task_sources", json=start))
        created(client.post(f"/tasks/{task.id}/task_destinations", json=end))
        client.put(f"/tasks/{task.id}/action/run").raise_for_status()
        workshop.live(lambda task=task: workshop.status(task.id) is TaskStatus.DONE)  # type: ignore[misc]

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/containers/{container['id']}").json()
        return found

    workshop.live(lambda: shown()["only_on_cache_file_count"] == FILES - 1)
    size = sum(each.stat().st_size for each in folder.rglob("*.dat"))
    assert (shown()["stat_total_files"], shown()["stat_total_size"]) == (FILES, size)
    assert shown()["stat_size_on_cache"] == size
    assert shown()["only_on_cache_file_size_sum"] == size - (folder / first).stat().st_size
    many = client.get("/containers", params={"stat_total_files": f">={FILES}"}).json()
    assert [each["name"] for each in many["containers"]] == ["films"]
    assert client.get("/containers", params={"stat_total_files": f">{FILES}"}).json()["count"] == 0
