"""The tree of a removed pool leaves the catalogue, except what is archived."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.execution import TaskStatus
from longshore.engine import ownerless
from tests.story import Task, add_share_pool, created
from tests.trees import grow
from tests.workshop import CrashAt, Workshop, reaching

FILES = 23


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownerless, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(ownerless, "WINDOW_NODES", 5)


def tree(workshop: Workshop, root_id: int) -> set[bytes]:
    """The names of everything in the tree, its root included."""
    with reading(workshop.database.journal) as connection:
        query = select(nodes.c.name).where(nodes.c.root_id == root_id)
        return {bytes(name) for name in connection.execute(query).scalars()}


def stray_copies(workshop: Workshop) -> set[int]:
    with reading(workshop.database.journal) as connection:
        known = select(nodes.c.id)
        query = select(copies.c.file_id).where(copies.c.file_id.not_in(known))
        return set(connection.execute(query).scalars())


def finish(workshop: Workshop, task: Task) -> None:
    """Run the task to its end, and remove it."""
    task.client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    workshop.live(lambda: workshop.status(task.id) is TaskStatus.DONE)
    task.client.delete(f"/tasks/{task.id}").raise_for_status()


def scanned_pool(workshop: Workshop, client: httpx.Client, source: Path) -> tuple[int, int]:
    """The ids of a pool whose files are in the catalogue, and of its root."""
    pool = add_share_pool(client, "live", "primary", source)
    body = {"name": "scan", "workflow_type": "maintenance", "workflow_action": "scan"}
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    created(client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
    finish(workshop, task)
    return pool, int(client.get(f"/pools/{pool}").json()["primary_id"])


def live_a_while(workshop: Workshop) -> None:
    rounds = iter(range(30))
    workshop.live(lambda: next(rounds, None) is None)


def test_the_tree_of_a_removed_pool_is_removed(workshop: Workshop, tmp_path: Path) -> None:
    client = workshop.client()
    trees = {}
    for name in ("one", "other"):
        grow(tmp_path / name, FILES, per_folder=4)
        trees[name] = scanned_pool(workshop, client, tmp_path / name)
    before = tree(workshop, trees["other"][1])
    assert len(before) > FILES
    live_a_while(workshop)
    assert tree(workshop, trees["one"][1]), "its pool is there"
    client.delete(f"/pools/{trees['one'][0]}").raise_for_status()
    workshop.live(lambda: not tree(workshop, trees["one"][1]))
    assert tree(workshop, trees["other"][1]) == before
    assert stray_copies(workshop) == set()
    for execution in client.get("/task_executions").json()["task_executions"]:
        answer = client.get(f"/task_executions/{execution['id']}/files")
        assert answer.json()["count"] == FILES, "what was done stays on record"


def test_archived_files_stay_in_the_catalogue_with_their_folders(
    workshop: Workshop, tmp_path: Path
) -> None:
    client = workshop.client()
    source, destination = tmp_path / "source", tmp_path / "destination"
    destination.mkdir()
    for name in ("kept", "gone"):
        (source / name / "inner").mkdir(parents=True)
        (source / name / "inner" / f"{name}.dat").write_text(name)
    pool, root_id = scanned_pool(workshop, client, source)
    name = client.get(f"/pools/{pool}").json()["name"]
    away = add_share_pool(client, "archive", "offline_archive", destination)
    body = {"name": "a", "workflow_type": "offline_archive", "workflow_action": "copy"}
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    path = {"pool_id": pool, "file_path": f"/{name}/kept"}
    created(client.post(f"/tasks/{task.id}/task_sources", json=path))
    created(client.post(f"/tasks/{task.id}/task_destinations", json={"pool_id": away}))
    finish(workshop, task)
    client.delete(f"/pools/{pool}").raise_for_status()
    workshop.live(lambda: b"gone" not in tree(workshop, root_id))
    live_a_while(workshop)
    assert tree(workshop, root_id) == {name.encode(), b"kept", b"inner", b"kept.dat"}


def test_a_removal_that_a_crash_cut_short_is_finished(workshop: Workshop, tmp_path: Path) -> None:
    client = workshop.client()
    grow(tmp_path / "source", FILES, per_folder=4)
    pool, root_id = scanned_pool(workshop, client, tmp_path / "source")
    client.delete(f"/pools/{pool}").raise_for_status()
    for number in (1, 3, 7):
        with reaching(CrashAt(("journal.commit",), number)):
            workshop.live_through_crashes(lambda: len(tree(workshop, root_id)) < FILES)
    workshop.live(lambda: not tree(workshop, root_id))
    assert stray_copies(workshop) == set()


def test_a_tree_that_is_just_being_made_stays(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = workshop.client()
    grow(tmp_path / "source", FILES, per_folder=4)
    pool, root_id = scanned_pool(workshop, client, tmp_path / "source")
    client.delete(f"/pools/{pool}").raise_for_status()
    # One look only: nobody knows for how long it has no owner.
    monkeypatch.setattr(ownerless, "LOOK_SECONDS", 3600.0)
    live_a_while(workshop)
    assert len(tree(workshop, root_id)) > FILES
