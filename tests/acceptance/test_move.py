"""A move removes a source only when its copies are recorded, and only what was copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow, staged_left


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_a_move_empties_the_source_and_keeps_everything_at_the_destination(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    grow(source, 500)
    os.symlink("d000", source / "link")
    before = describe(source)
    live = add_share_pool(client, "live", "primary", source)
    task = add_copy_task(
        client,
        live,
        add_share_pool(client, "archive", "offline_archive", destination),
        workflow_action="move",
        options={"file_checksum": "sha256"},
    )
    task.act("run")
    assert task.wait()["status"] == "done"
    assert describe(destination) == before
    assert list(source.iterdir()) == []
    assert staged_left(destination) == []
    assert len(task.files()) == 501
    root = client.get(f"/pools/{live}").json()["primary_id"]
    shown = client.get(f"/files/{root}/children").json()
    assert {each["name"] for each in shown["files"]} == {"d000", "link"}


def test_what_a_callback_refuses_stays_at_the_source(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    (source / "keep").mkdir()
    (source / "keep" / "this.cfg").write_text("stay")
    (source / "keep" / "that.dat").write_text("go")
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        workflow_action="move",
        script=(
            "import utils\ndef run(req):\n    return utils.get_node_info(req).path[-4:] != '.cfg'\n"
        ),
    )
    task.act("run")
    assert task.wait()["status"] == "done"
    assert [p.name for p in source.rglob("*")] == ["keep", "this.cfg"]
    assert [p.name for p in destination.rglob("*")] == ["keep", "that.dat"]


def test_a_move_to_two_destinations_releases_what_both_hold(
    client: httpx.Client, source: Path, destination: Path, tmp_path: Path
) -> None:
    grow(source, 200)
    (source / "blocked").write_text("cannot be written to the second")
    second = tmp_path / "second"
    (second / "blocked").mkdir(parents=True)
    before = describe(source)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        workflow_action="move",
        conflict_resolution="overwrite",
    )
    other = add_share_pool(client, "second", "offline_archive", second)
    created(client.post(f"/tasks/{task.id}/task_destinations", json={"pool_id": other}))
    task.act("run")
    assert task.wait()["status"] == "finished_with_warnings"
    assert describe(destination) == before
    assert [p.name for p in source.iterdir()] == ["blocked"]
    (second / "blocked").rmdir()
    task.act("run")
    assert task.wait()["status"] == "done"
    assert list(source.iterdir()) == []
    assert describe(second) == describe(destination)


def test_an_equal_looking_destination_with_other_bytes_never_costs_the_source(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    (source / "file").write_text("right")
    (destination / "file").write_text("wrong")
    shutil.copystat(source / "file", destination / "file")
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        workflow_action="move",
    )
    task.act("run")
    assert task.wait()["status"] == "done"
    assert list(source.iterdir()) == []
    assert (destination / "file (1)").read_text() == "right"


def test_containers_keep_their_entries_after_a_move_to_the_archive(
    server: Server, client: httpx.Client, destination: Path
) -> None:
    container = created(client.post("/containers", json={"name": "projects"}))
    (folder,) = (server.data_dir / "containers").iterdir()
    grow(folder, 60)
    before = describe(folder)
    archive = add_share_pool(client, "archive", "active_archive", destination)
    task = created(
        client.post(
            "/tasks",
            json={
                "name": "down",
                "workflow_type": "active_archive",
                "workflow_action": "move",
            },
        )
    )
    base = f"/tasks/{task['id']}"
    created(client.post(f"{base}/task_sources", json={"file_path": "/projects"}))
    created(client.post(f"{base}/task_destinations", json={"pool_id": archive}))
    down = Task(client, task["id"])
    down.act("run")
    assert down.wait()["status"] == "done"
    assert describe(destination / "projects") == before
    assert list(folder.iterdir()) == []
    (record, *_) = down.files()
    shown = client.get(f"/files/{record['id']}").json()
    assert shown["in_cache"] == 0
    by_state = {copy["state"]: copy["storage"]["type"] for copy in shown["copies"]}
    assert by_state == {"live": "nas_share", "dead": "container"}
    assert client.get(f"/containers/{container['id']}/files").json()["count"] == 1
