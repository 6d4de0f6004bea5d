"""Erase, scan, check and backups on a real server."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def add_task(client: httpx.Client, workflow: str, action: str, pool: int, **options: str) -> Task:
    """A task without a destination."""
    body = {"name": action, "workflow_type": workflow, "workflow_action": action}
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    created(client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
    for kind, value in options.items():
        path = f"/tasks/{task.id}/task_options"
        created(client.post(path, json={"type": kind, "value": value}))
    return task


def run(task: Task, status: str = "done") -> Counter[str]:
    """The outcomes of a run, counted."""
    task.act("run")
    assert task.wait()["status"] == status, task.execution()
    return Counter(record["outcome"] for record in task.files())


def states(client: httpx.Client, pool: int) -> dict[str, str]:
    """The states of what the catalogue has at the top of the pool, by name."""
    root = client.get(f"/pools/{pool}").json()["primary_id"]
    listed = client.get(f"/files/{root}/children", params={"limit": 1000}).json()["files"]
    return {each["name"]: client.get(f"/files/{each['id']}").json()["state"] for each in listed}


def test_a_scan_makes_the_catalogue_know_a_primary_pool_and_changes_nothing(
    client: httpx.Client, source: Path
) -> None:
    grow(source, 120)
    (source / "goes").write_text("soon")
    before = describe(source)
    pool = add_share_pool(client, "live", "primary", source)
    task = add_task(client, "maintenance", "scan", pool)
    assert run(task) == {"found": 121}
    assert states(client, pool) == {"d000": "live", "goes": "live"}
    assert describe(source) == before
    (source / "goes").unlink()
    assert run(task) == {"found": 120}
    assert states(client, pool) == {"d000": "live", "goes": "vanished"}


def test_a_scan_with_a_checksum_finds_an_archived_file_that_was_damaged(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    grow(source, 50)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    live = add_share_pool(client, "live", "primary", source)
    assert run(add_copy_task(client, live, archive)) == {"copied": 50}
    check = add_task(client, "maintenance", "scan", archive, file_checksum="sha256")
    assert run(check) == {"verified": 50}
    victim = max(destination.rglob("*.dat"), key=lambda path: path.stat().st_size)
    state, content = victim.stat(), bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(content)
    os.utime(victim, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run(check, "finished_with_warnings") == {"verified": 49, "failed": 1}
    (failed,) = (record for record in check.files() if record["outcome"] == "failed")
    assert failed["name"] == victim.name
    assert failed["error"]["kind"] == "checksum_mismatch"


def test_erase_removes_files_and_the_folders_it_empties(client: httpx.Client, source: Path) -> None:
    grow(source, 90)
    pool = add_share_pool(client, "live", "primary", source)
    assert run(add_task(client, "data_migration", "erase", pool)) == {"erased": 90}
    assert list(source.iterdir()) == []
    assert states(client, pool) == {"d000": "deleted"}


def test_a_soft_erase_keeps_the_data(client: httpx.Client, source: Path) -> None:
    (source / "file").write_text("kept")
    pool = add_share_pool(client, "live", "primary", source)
    assert run(add_task(client, "maintenance", "scan", pool)) == {"found": 1}
    erase = add_task(client, "data_migration", "erase", pool, soft_erase="1")
    assert run(erase) == {"erased": 1}
    assert (source / "file").read_text() == "kept"
    assert states(client, pool) == {"file": "deleted"}


def test_backups_write_everything_first_and_then_only_what_is_new_or_changed(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    grow(source, 80)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        name="nightly/x",
        workflow_action="incremental_backup",
    )
    assert run(task) == {"copied": 80}
    first = destination / "nightly_x" / task.execution()["id"]
    assert describe(first) == describe(source)
    assert run(task) == {"identical": 80}
    changed = next(source.rglob("*.dat"))
    changed.chmod(0o600)
    changed.write_bytes(b"changed")
    (source / "new").write_bytes(b"new")
    assert run(task) == {"identical": 79, "copied": 2}
    third = destination / "nightly_x" / task.execution()["id"]
    assert sorted(path.name for path in third.rglob("*") if path.is_file()) == sorted(
        ["new", changed.name]
    )


def test_a_full_backup_writes_everything_each_time(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    grow(source, 30)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        name="weekly",
        workflow_action="full_backup",
    )
    for _ in range(2):
        assert run(task) == {"copied": 30}
        backup = destination / "weekly" / task.execution()["id"]
        assert describe(backup) == describe(source)
