"""Speed tests, cache cleaning, file lists of earlier executions, dates that are reset."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import Server, serving
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow, staged_left


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    yield from serving(folder / "data", LONGSHORE_CACHE_RETENTION_SECONDS="0")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def add_task(client: httpx.Client, workflow: str, action: str, **source: object) -> Task:
    body = {"name": action, "workflow_type": workflow, "workflow_action": action}
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    if source:
        created(client.post(f"/tasks/{task.id}/task_sources", json=source))
    return task


def add_option(task: Task, kind: str, value: str) -> None:
    path = f"/tasks/{task.id}/task_options"
    created(task.client.post(path, json={"type": kind, "value": value}))


def test_a_speed_test_measures_and_leaves_nothing(client: httpx.Client, source: Path) -> None:
    pool = add_share_pool(client, "live", "primary", source)
    task = add_task(client, "maintenance", "speedtest", pool_id=pool)
    task.act("run")
    assert task.wait()["status"] == "done"
    assert task.execution()["bandwidth"] > 1_000_000
    assert list(source.iterdir()) == []


def test_cache_cleaning_frees_only_what_is_archived(
    server: Server, client: httpx.Client, destination: Path
) -> None:
    created(client.post("/containers", json={"name": "shots"}))
    (folder,) = (server.data_dir / "containers").iterdir()
    grow(folder, 40)
    archive = add_share_pool(client, "archive", "active_archive", destination)
    down = add_task(client, "active_archive", "copy", file_path="/shots")
    created(client.post(f"/tasks/{down.id}/task_destinations", json={"pool_id": archive}))
    down.act("run")
    assert down.wait()["status"] == "done"
    (folder / "fresh").write_text("nowhere else yet")
    clean = add_task(client, "maintenance", "cache_cleaning")
    clean.act("run")
    assert clean.wait()["status"] == "done"
    assert {record["outcome"] for record in clean.files()} == {"freed"}
    assert len(clean.files()) == 40
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["fresh"]
    shown = client.get(f"/files/{clean.files()[0]['id']}").json()
    assert (shown["in_cache"], shown["state"]) == (0, "stub")


def test_cache_cleaning_keeps_what_has_its_only_copy_on_primary_storage(
    server: Server, client: httpx.Client, source: Path, destination: Path
) -> None:
    before = set((server.data_dir / "containers").iterdir())
    created(client.post("/containers", json={"name": "takes"}))
    (folder,) = set((server.data_dir / "containers").iterdir()) - before
    (folder / "live").write_text("copied to primary storage only")
    copied = add_task(client, "data_migration", "copy", file_path="/takes")
    live = add_share_pool(client, "live", "primary", source)
    created(client.post(f"/tasks/{copied.id}/task_destinations", json={"pool_id": live}))
    copied.act("run")
    assert copied.wait()["status"] == "done"
    (folder / "both").write_text("archived too")
    archive = add_share_pool(client, "archive", "active_archive", destination)
    down = add_task(client, "active_archive", "copy", file_path="/takes/both")
    created(client.post(f"/tasks/{down.id}/task_destinations", json={"pool_id": archive}))
    down.act("run")
    assert down.wait()["status"] == "done"
    clean = add_task(client, "maintenance", "cache_cleaning", file_path="/takes")
    clean.act("run")
    assert clean.wait()["status"] == "done"
    assert [record["name"] for record in clean.files()] == ["both"]
    assert [path.name for path in folder.iterdir()] == ["live"]


@pytest.mark.parametrize("option", ["execution_task_id", "task_id"])
def test_the_files_of_an_earlier_execution_are_taken_instead_of_the_sources(
    client: httpx.Client, source: Path, destination: Path, tmp_path: Path, option: str
) -> None:
    grow(source, 120)
    live = add_share_pool(client, "live", "primary", source)
    first = add_copy_task(
        client,
        live,
        add_share_pool(client, "archive", "offline_archive", destination),
        script="import utils\ndef run(req):\n    return utils.get_node_info(req).size % 2 == 0\n",
    )
    first.act("run")
    assert first.wait()["status"] == "done"
    (source / "later").write_text("was not there")
    second = tmp_path / "second"
    second.mkdir()
    again = add_copy_task(client, live, add_share_pool(client, "second", "offline_archive", second))
    listed = first.execution()["id"] if option == "execution_task_id" else str(first.id)
    add_option(again, option, listed)
    again.act("run")
    assert again.wait()["status"] == "done", again.execution()
    files = {path: what for path, what in describe(destination).items() if what[0] == "file"}
    copied = {path: what for path, what in describe(second).items() if what[0] == "file"}
    assert copied == files
    assert 0 < len(copied) < 120


def test_dates_are_reset_when_that_is_asked(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    grow(source, 20)
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        options={"reset_file_date": "1", "reset_folder_date": "1"},
    )
    begun = time.time() - 5
    for outcome in ("copied", "identical"):
        task.act("run")
        assert task.wait()["status"] == "done"
        assert {record["outcome"] for record in task.files()} == {outcome}
    assert all(path.lstat().st_mtime > begun for path in destination.rglob("*"))
    assert staged_left(destination) == []
    assert len(list(destination.rglob("*.dat"))) == 20


def test_a_byte_range_of_a_file_is_copied_and_recorded_as_such(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    content = bytes(range(256)) * 400
    (source / "film").write_bytes(content)
    live = add_share_pool(client, "live", "primary", source)
    name = client.get(f"/pools/{live}").json()["name"]
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    task = add_task(
        client, "offline_archive", "copy", file_path=f"/{name}/film", range=[1000, 51_000]
    )
    created(client.post(f"/tasks/{task.id}/task_destinations", json={"pool_id": archive}))
    add_option(task, "rename_to", "clip")
    task.act("run")
    assert task.wait()["status"] == "done", task.execution()
    assert (destination / "clip").read_bytes() == content[1000:51_000]
    (record,) = task.files()
    assert (record["outcome"], record["size"], record["id"]) == ("copied", 50_000, None)
