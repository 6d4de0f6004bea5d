"""Whole servers: what a task keeps of its files, and what the catalogue holds of the rest."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from longshore.domain.entry import EntryKind
from longshore.domain.fidelity import decode_unkept
from tests import fidelity
from tests.servers import Server, serving, wait_until
from tests.story import FINAL, Task, add_copy_task, add_share_pool
from tests.trees import describe, staged_left

NAMES_PER_FILE = 4
ENDED = 1 << 60  # more files than any task has
SMALL_STEPS = {"LONGSHORE_SLICE_SECONDS": "0.05", "LONGSHORE_BATCH_FILES_MAXIMUM": "40"}


def start(server: Server, source: Path, destination: Path, **fields: str) -> int:
    with server.client() as client:
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
            options={"file_checksum": "sha256"},
            **fields,
        )
        task.act("run")
        return task.id


def grow_linked(root: Path, files: int) -> None:
    """Files that each have one name in each of several folders."""
    folders = [root / f"generation {number}" for number in range(NAMES_PER_FILE)]
    for folder in folders:
        folder.mkdir(parents=True)
    for number in range(files):
        first = folders[0] / f"file {number:04}"
        first.write_bytes(b"%d" % number * 300)
        for folder in folders[1:]:
            os.link(first, folder / first.name)


def shared(root: Path) -> Counter[int]:
    """How many files there are with how many names."""
    inodes = Counter(path.stat().st_ino for path in root.rglob("*") if path.is_file())
    return Counter(inodes.values())


def test_a_task_keeps_everything_a_posix_storage_can(
    server: Server, source: Path, destination: Path
) -> None:
    fidelity.grow_all(source)
    task_id = start(server, source, destination)
    with server.client() as client:
        task = Task(client, task_id)
        # The pipe is reported: it is no file that could be copied.
        assert task.wait()["status"] == "finished_with_warnings"
        records = task.files()
    lost = [
        each.title
        for each in fidelity.features_here()
        if not fidelity.kept(each, source, destination)
    ]
    assert lost == []
    failed = {each["file_path"] for each in records if each["outcome"] == "failed"}
    assert {Path(path).name for path in failed} <= {"pipe", "device"}
    assert "pipe" in {Path(path).name for path in failed}
    assert staged_left(destination) == []


@pytest.mark.parametrize("action", ["copy", "move"])
def test_names_of_one_file_stay_names_of_one_file(
    server: Server, source: Path, destination: Path, action: str
) -> None:
    grow_linked(source, 300)
    before = describe(source)
    task_id = start(server, source, destination, workflow_action=action)
    with server.client() as client:
        task = Task(client, task_id)
        assert task.wait()["status"] == "done"
        execution = task.execution()
    assert shared(destination) == {NAMES_PER_FILE: 300}
    assert describe(destination) == before
    assert execution["processed_files"] == execution["to_process_files"] == 300 * NAMES_PER_FILE
    assert os.listdir(source) == ([] if action == "move" else os.listdir(source))


def test_hard_links_survive_kills_of_movers_and_servers(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow_linked(source, 600)
    server = Server(tmp_path / "data", SMALL_STEPS)
    server.start()
    try:
        task_id = start(server, source, destination)
        for kill_server in (False, True, False):
            begun = _processed(server, task_id)
            if begun == ENDED:
                break  # a fast machine was done before the last kill
            wait_for_more(server, task_id, begun)
            if kill_server:
                server.kill_group()
                server.start()
            else:
                for mover in server.processes("mover"):
                    mover.kill()
        with server.client() as client:
            task = Task(client, task_id)
            assert task.wait()["status"] == "done"
            execution, records = task.execution(), task.files()
    finally:
        server.close()
    assert shared(destination) == {NAMES_PER_FILE: 600}
    assert describe(destination) == describe(source)
    assert staged_left(destination) == []
    paths = Counter(record["file_path"] for record in records)
    assert len(paths) == 600 * NAMES_PER_FILE
    assert set(paths.values()) == {1}
    assert execution["processed_files"] == execution["to_process_files"] == len(paths)


def wait_for_more(server: Server, task_id: int, begun: int) -> None:
    wait_until(lambda: _processed(server, task_id) > begun, "more files")


def _processed(server: Server, task_id: int) -> int:
    with server.client() as client:
        task = Task(client, task_id)
        if task.show()["status"] in FINAL:
            return ENDED
        return int(task.execution()["processed_files"])


def test_a_stopped_task_leaves_no_anchor_of_links(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow_linked(source, 600)
    for server in serving(tmp_path / "data", **SMALL_STEPS):
        task_id = start(server, source, destination)
        with server.client() as client:
            task = Task(client, task_id)
            wait_for_more(server, task_id, 0)
            job = task.request("stop")
            task.wait()
        if job["status"] == "completed":
            wait_until(lambda: not _hidden(destination), "the anchors to go")
        assert not _hidden(destination)


def _hidden(root: Path) -> list[str]:
    return [name for name in os.listdir(root) if name.startswith(".longshore-")]


BIG = bytes(20_000)  # an attribute that tmpfs keeps; ext4 has 4 KiB for all of a file's


@pytest.fixture
def roomy() -> Iterator[Path]:
    """A folder for sources that keeps big attributes."""
    if not os.access("/dev/shm", os.W_OK | os.X_OK):
        pytest.skip("/dev/shm cannot be written here")
    folder = Path(tempfile.mkdtemp(prefix="longshore-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def test_what_is_lost_is_in_the_catalogue_and_told_once(
    server: Server, roomy: Path, destination: Path
) -> None:
    if not _keeps_big_attributes(roomy) or _keeps_big_attributes(destination):
        pytest.skip("needs /dev/shm with, and a folder for tests without room for big attributes")
    for number in range(3):
        path = roomy / "folder" / f"file {number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"content")
        os.setxattr(path, "user.big", BIG)
    os.setxattr(roomy / "folder", "user.big", BIG)
    task_id = start(server, roomy, destination)
    with server.client() as client:
        task = Task(client, task_id)
        assert task.wait()["status"] == "done"
        execution_id = int(task.execution()["id"])
    copies = rows_of(
        server,
        "journal",
        "select copies.lost from copies join nodes on nodes.id = copies.file_id"
        f" where nodes.kind = {EntryKind.FILE.value} and execution_id = {execution_id}",
    )
    folders = rows_of(server, "journal", "select lost from nodes where lost is not null")
    logged = "select text from execution_log where level = 'warning' and execution_id = "
    told = rows_of(server, "state", logged + str(execution_id))
    wanted = {b"user.big": BIG}
    assert [decode_unkept(row[0]).attributes for row in copies] == [wanted] * 3
    assert [decode_unkept(row[0]).attributes for row in folders] == [wanted]
    assert told == [("the destination does not keep: extended attributes of the kind user",)]


def rows_of(server: Server, database: str, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(server.data_dir / f"{database}.sqlite")) as connection:
        return connection.execute(query).fetchall()


def _keeps_big_attributes(folder: Path) -> bool:
    probe = folder / "probe"
    probe.write_bytes(b"")
    try:
        os.setxattr(probe, "user.big", BIG)
    except OSError:
        return False
    finally:
        probe.unlink()
    return True
