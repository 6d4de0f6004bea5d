"""Archived files come back: to where they were, or to where they are wanted."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from longshore.domain.fidelity import Unkept, encode_unkept
from tests.clouds import add_bucket_pool
from tests.object_servers.processes import ObjectServer
from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def restore(client: httpx.Client, *pools: int, workflow: str = "offline_archive") -> Task:
    body = {"name": "restore", "workflow_type": workflow, "workflow_action": "restore"}
    answer = client.post("/tasks", json=body)
    task = Task(client, int(created(answer)["id"]))
    for pool in pools:
        created(client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
    return task


def files_of(tree: dict[bytes, tuple[object, ...]]) -> dict[bytes, tuple[object, ...]]:
    return {path: what for path, what in tree.items() if what[0] != "folder"}


def test_a_moved_tree_comes_back_to_its_place(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    grow(source, 200)
    os.symlink("d000", source / "link")
    before = describe(source)
    live = add_share_pool(client, "live", "primary", source)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    move = add_copy_task(client, live, archive, workflow_action="move")
    move.act("run")
    assert move.wait()["status"] == "done"
    assert list(source.iterdir()) == []
    back = restore(client, archive)
    back.act("run")
    assert back.wait()["status"] == "done", back.execution()
    assert describe(source) == before
    assert {record["outcome"] for record in back.files()} == {"copied"}
    back.act("run")
    assert back.wait()["status"] == "done"
    assert {record["outcome"] for record in back.files()} == {"identical"}


def test_a_restore_to_a_folder_leaves_the_original_alone(
    client: httpx.Client, source: Path, destination: Path, tmp_path: Path
) -> None:
    grow(source, 60)
    other = tmp_path / "other"
    other.mkdir()
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    copy = add_copy_task(client, add_share_pool(client, "live", "primary", source), archive)
    copy.act("run")
    assert copy.wait()["status"] == "done"
    back = restore(client, archive)
    target = add_share_pool(client, "other", "primary", other)
    created(client.post(f"/tasks/{back.id}/task_destinations", json={"pool_id": target}))
    back.act("run")
    assert back.wait()["status"] == "done", back.execution()
    assert describe(other) == describe(source)


def test_a_damaged_copy_is_never_restored(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    (source / "good").write_text("good")
    (source / "bad").write_text("right")
    live = add_share_pool(client, "live", "primary", source)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    move = add_copy_task(client, live, archive, workflow_action="move")
    move.act("run")
    assert move.wait()["status"] == "done"
    state = (destination / "bad").stat()
    (destination / "bad").write_text("wrong")
    os.utime(destination / "bad", ns=(state.st_atime_ns, state.st_mtime_ns))
    back = restore(client, archive)
    back.act("run")
    assert back.wait()["status"] == "finished_with_warnings"
    assert os.listdir(source) == ["good"]
    (failed,) = (record for record in back.files() if record["outcome"] == "failed")
    assert (failed["name"], failed["error"]["kind"]) == ("bad", "checksum_mismatch")


def back_up(client: httpx.Client, live: int, archive: int, source: Path, *texts: str) -> list[Path]:
    """A full backup of the first text and incremental ones of the others; their folders."""
    full = add_copy_task(client, live, archive, name="nightly", workflow_action="full_backup")
    folders = []
    for number, text in enumerate(texts):
        (source / "deep" / "changes").write_text(text)
        if number:
            action = {"workflow_action": "incremental_backup"}
            client.put(f"/tasks/{full.id}", json=action).raise_for_status()
        full.act("run")
        assert full.wait()["status"] == "done", full.execution()
        folders.append(Path("nightly") / str(full.execution()["id"]))
    return folders


@pytest.mark.parametrize("conflict", ["rename", "overwrite", "ignore"])
def test_of_several_backups_the_newest_copy_of_each_file_comes_back(
    client: httpx.Client, source: Path, destination: Path, conflict: str
) -> None:
    (source / "deep").mkdir()
    (source / "stays").write_text("in the first backup only")
    live = add_share_pool(client, "live", "primary", source)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    texts = ("the first", "the second one", "the third and last")
    folders = back_up(client, live, archive, source, *texts)
    before = describe(source)
    shutil.rmtree(source / "deep")
    (source / "stays").unlink()
    back = restore(client, archive)
    client.put(f"/tasks/{back.id}", json={"conflict_resolution": conflict}).raise_for_status()
    back.act("run")
    assert back.wait()["status"] == "done", back.execution()
    assert files_of(describe(source)) == files_of(before)
    outcomes = sorted((record["name"], record["outcome"]) for record in back.files())
    assert outcomes == [("changes", outcome) for outcome in ("copied", "kept", "kept")] + [
        ("stays", "copied")
    ]
    shown = back.execution()
    assert (shown["to_process_files"], shown["processed_files"]) == (4, 4)
    assert sum(path.is_dir() for path in (destination / "nightly").iterdir()) == len(folders)


def test_an_older_backup_comes_back_when_its_folder_is_the_source(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    (source / "deep").mkdir()
    live = add_share_pool(client, "live", "primary", source)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    first, _ = back_up(client, live, archive, source, "the first", "the second one")
    shutil.rmtree(source / "deep")
    back = restore(client, archive)
    (whole,) = client.get(f"/tasks/{back.id}/task_sources").json()["task_sources"]
    client.delete(f"/tasks/{back.id}/task_sources/{whole['id']}").raise_for_status()
    name = client.get(f"/pools/{archive}").json()["name"]
    body = {"pool_id": archive, "file_path": f"/{name}/{first}"}
    created(client.post(f"/tasks/{back.id}/task_sources", json=body))
    back.act("run")
    assert back.wait()["status"] == "done", back.execution()
    assert [path.name for path in (source / "deep").iterdir()] == ["changes"]
    assert (source / "deep" / "changes").read_text() == "the first"


def test_when_the_newest_backup_was_removed_its_files_are_errors_and_no_older_one_comes_back(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    (source / "deep").mkdir()
    (source / "stays").write_text("in the first backup only")
    live = add_share_pool(client, "live", "primary", source)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    _, newest = back_up(client, live, archive, source, "the first", "the second one")
    shutil.rmtree(source / "deep")
    (source / "stays").unlink()
    shutil.rmtree(destination / newest)
    back = restore(client, archive)
    back.act("run")
    assert back.wait()["status"] == "finished_with_warnings", back.execution()
    assert [path.name for path in source.rglob("*") if path.is_file()] == ["stays"]
    (failed,) = (record for record in back.files() if record["outcome"] == "failed")
    assert failed["error"]["kind"] == "not_found"
    assert "no copy of the newest content is left" in failed["error"]["text"]
    assert f"{newest}/deep/changes" in failed["error"]["text"]
    manifest = client.get(f"/task_executions/{back.execution()['id']}/report").text
    assert f"{newest}/deep/changes" in manifest


def test_a_share_and_a_bucket_together_bring_everything_back(
    client: httpx.Client,
    source: Path,
    destination: Path,
    object_server: Callable[[str], ObjectServer],
) -> None:
    grow(source, 40)
    for name in ("gone", "damaged", "only in the bucket"):
        (source / name).write_text(name)
    before = describe(source)
    live = add_share_pool(client, "live", "primary", source)
    share = add_share_pool(client, "share", "offline_archive", destination)
    bucket = add_bucket_pool(client, object_server("moto"), "bucket", "offline_archive")
    for pool in (share, bucket.id):  # the bucket has the newer copies, the share is nearer
        copy = add_copy_task(client, live, pool)
        copy.act("run")
        assert copy.wait()["status"] == "done", copy.execution()
    (source / "only in the bucket").write_text("newer than on the share")
    state = (source / "only in the bucket").stat()
    newer = add_copy_task(client, live, bucket.id, conflict_resolution="overwrite")
    newer.act("run")
    assert newer.wait()["status"] == "done", newer.execution()
    for path in source.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (destination / "gone").unlink()
    (destination / "damaged").write_text("DAMAGED")
    back = restore(client, bucket.id, share)
    back.act("run")
    assert back.wait()["status"] == "done", (back.execution(), back.files()[:3])
    expected = files_of(before)
    assert (source / "only in the bucket").read_text() == "newer than on the share"
    assert (source / "only in the bucket").stat().st_mtime_ns == state.st_mtime_ns
    present = files_of(describe(source))
    for tree in (expected, present):
        del tree[b"only in the bucket"]
    assert present == expected
    records = [each for each in back.files() if each["outcome"] != "kept"]
    assert sorted(record["name"] for record in records) == sorted(
        os.fsdecode(os.path.basename(path)) for path in files_of(before)
    )
    fallen = {each["name"]: each for each in records if each["error"]}
    assert {name: each["error"]["kind"] for name, each in fallen.items()} == {
        "gone": "not_found",
        "damaged": "checksum_mismatch",
    }
    assert {each["attempts"] for each in fallen.values()} == {2}


def test_what_a_callback_leaves_out_comes_back_from_no_copy(
    client: httpx.Client, source: Path, destination: Path, tmp_path: Path
) -> None:
    for name in ("wanted", "left out"):
        (source / name).write_text(name)
    live = add_share_pool(client, "live", "primary", source)
    (tmp_path / "mirror").mkdir()
    pools = [
        add_share_pool(client, folder.name, "offline_archive", folder)
        for folder in (destination, tmp_path / "mirror")
    ]
    for pool in pools:
        copy = add_copy_task(client, live, pool)
        copy.act("run")
        assert copy.wait()["status"] == "done", copy.execution()
    for path in source.iterdir():
        path.unlink()
    back = restore(client, *pools)
    script = (
        "import utils\n"
        "def run(req):\n"
        "    return not utils.get_node_info(req).path.endswith('left out')\n"
    )
    body = {"type": "filter", "script": script}
    created(client.post(f"/tasks/{back.id}/task_callbacks", json=body))
    back.act("run")
    assert back.wait()["status"] == "done", back.execution()
    assert [path.name for path in source.iterdir()] == ["wanted"]
    outcomes = sorted((record["name"], record["outcome"]) for record in back.files())
    assert outcomes == [("left out", "refused"), ("wanted", "copied")]


@pytest.mark.parametrize(
    ("kinds", "fields", "words"),
    [
        (("offline_archive", "primary"), {}, "source_type"),
        (("offline_archive",), {"source_type": "secondary_cloud"}, "source_type"),
        (("primary",), {}, "source_type"),
    ],
)
def test_sources_that_a_restore_cannot_have_are_refused_by_name(
    client: httpx.Client, tmp_path: Path, kinds: tuple[str, ...], fields: dict[str, str], words: str
) -> None:
    pools = []
    for kind in kinds:
        (tmp_path / kind).mkdir()
        pools.append(add_share_pool(client, kind, kind, tmp_path / kind))
    back = restore(client, *pools)
    if fields:
        client.put(f"/tasks/{back.id}", json=fields).raise_for_status()
    assert back.request("run")["status"] == "failed"
    reasons = client.get(f"/tasks/{back.id}/explain").json()
    assert words in str(reasons)


def test_containers_get_their_files_back(
    server: Server, client: httpx.Client, destination: Path
) -> None:
    before = set((server.data_dir / "containers").iterdir())
    created(client.post("/containers", json={"name": "films"}))
    (folder,) = set((server.data_dir / "containers").iterdir()) - before
    grow(folder, 40)
    tree = describe(folder)
    archive = add_share_pool(client, "archive", "active_archive", destination)
    body = {"name": "down", "workflow_type": "active_archive", "workflow_action": "move"}
    down = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    created(client.post(f"/tasks/{down.id}/task_sources", json={"file_path": "/films"}))
    created(client.post(f"/tasks/{down.id}/task_destinations", json={"pool_id": archive}))
    down.act("run")
    assert down.wait()["status"] == "done"
    shutil.rmtree(folder / "d000", ignore_errors=True)
    back = restore(client, archive, workflow="active_archive")
    back.act("run")
    assert back.wait()["status"] == "done", back.execution()
    assert files_of(describe(folder)) == files_of(tree)
    (record, *_) = back.files()
    shown = client.get(f"/files/{record['id']}").json()
    assert (shown["in_cache"], shown["state"]) == (1, "live")


def test_what_the_archive_could_not_keep_comes_back_from_the_catalogue(
    server: Server, client: httpx.Client, source: Path, destination: Path
) -> None:
    (source / "file").write_text("with more than the archive bears")
    live = add_share_pool(client, "live", "primary", source)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    move = add_copy_task(client, live, archive, workflow_action="move")
    move.act("run")
    assert move.wait()["status"] == "done"
    (record,) = move.files()
    unkept = encode_unkept(Unkept(mode=0o751, mtime_ns=1_000_000_000_123_456_789))
    with closing(sqlite3.connect(server.data_dir / "journal.sqlite", timeout=30)) as journal:
        journal.execute("UPDATE copies SET lost = ? WHERE file_id = ?", (unkept, record["id"]))
        journal.commit()
    back = restore(client, archive)
    back.act("run")
    assert back.wait()["status"] == "done", back.execution()
    state = (source / "file").stat()
    assert state.st_mode & 0o7777 == 0o751
    assert state.st_mtime_ns == 1_000_000_000_123_456_789
