"""Every pair of storages that a copy goes between, and every checksum, on a real server."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import xxhash

from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow

CHECKSUMS = {
    "md5": lambda data: hashlib.md5(data).hexdigest(),
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "crc32": lambda data: f"{zlib.crc32(data):08x}",
    "xxhash64": lambda data: xxhash.xxh64(data).hexdigest(),
}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize("kind", sorted(CHECKSUMS))
def test_checksums_are_those_of_the_content(
    client: httpx.Client, source: Path, destination: Path, kind: str
) -> None:
    grow(source, 20)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        options={"file_checksum": kind},
    )
    task.act("run")
    assert task.wait()["status"] == "done"
    for record in task.files():
        content = (source / record["file_path"].lstrip("/")).read_bytes()
        assert (record["checksum_type"], record["checksum"]) == (kind, CHECKSUMS[kind](content))
        shown = client.get(f"/files/{record['id']}").json()
        assert [copy["checksum"] for copy in shown["copies"]] == [record["checksum"]]


@pytest.mark.parametrize(
    ("from_type", "to_type"),
    [
        ("primary", "primary"),
        ("primary", "offline_archive"),
        ("offline_archive", "primary"),
        ("offline_archive", "offline_archive"),
    ],
)
def test_a_migration_goes_between_any_two_pools(
    client: httpx.Client, source: Path, destination: Path, from_type: str, to_type: str
) -> None:
    grow(source, 30)
    task = add_copy_task(
        client,
        add_share_pool(client, "from", from_type, source),
        add_share_pool(client, "to", to_type, destination),
        workflow_type="data_migration",
    )
    task.act("run")
    assert task.wait()["status"] == "done", task.execution()
    assert describe(destination) == describe(source)


def test_an_archived_container_keeps_its_cache(
    server: Server, client: httpx.Client, destination: Path
) -> None:
    before = set((server.data_dir / "containers").iterdir())
    created(client.post("/containers", json={"name": "dailies"}))
    (folder,) = set((server.data_dir / "containers").iterdir()) - before
    grow(folder, 30)
    archive = add_share_pool(client, "archive", "active_archive", destination)
    body = {"name": "down", "workflow_type": "active_archive", "workflow_action": "copy"}
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    created(client.post(f"/tasks/{task.id}/task_sources", json={"file_path": "/dailies/d000"}))
    created(client.post(f"/tasks/{task.id}/task_destinations", json={"pool_id": archive}))
    task.act("run")
    assert task.wait()["status"] == "done"
    assert describe(destination / "dailies") == describe(folder)
    shown = client.get(f"/files/{task.files()[0]['id']}").json()
    assert shown["in_cache"] == 1
    assert {copy["storage"]["type"] for copy in shown["copies"]} == {"container", "nas_share"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("workflow_action", None, "no workflow action"),
        ("workflow_action", "ejection", "ejection"),
        ("activate", 0, "not activated"),
        ("source_type", "container", "source"),
    ],
)
def test_what_cannot_start_says_why_and_changes_nothing(
    client: httpx.Client, source: Path, destination: Path, field: str, value: object, reason: str
) -> None:
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
    )
    client.put(f"/tasks/{task.id}", json={field: value}).raise_for_status()
    before = task.show()
    assert task.request("run")["status"] == "failed"
    assert task.show() == before
    explained = client.get(f"/tasks/{task.id}/explain")
    assert explained.status_code == 200, explained.text
    assert reason in explained.text


def test_a_scan_that_is_to_enrich_is_refused_not_run_as_a_plain_one(
    client: httpx.Client, source: Path
) -> None:
    body = {"name": "e", "workflow_type": "data_enrichment", "workflow_action": "scan"}
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    live = add_share_pool(client, "live", "primary", source)
    created(client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": live}))
    before = task.show()
    job = task.request("run")
    assert (job["status"], task.show()) == ("failed", before)
    assert "data_enrichment" in job["reason"]


def test_a_destination_inside_the_source_is_refused(client: httpx.Client, source: Path) -> None:
    (source / "inside").mkdir()
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", source / "inside"),
    )
    assert task.request("run")["status"] == "failed"
    assert task.show()["status"] == "not_activated"
