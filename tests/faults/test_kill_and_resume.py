"""Whatever is killed, every file arrives once, complete, and is on record once."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers import Server, wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 5000
SMALL_STEPS = {
    # Many slices and batches, so that kills hit every kind of boundary.
    "LONGSHORE_SLICE_SECONDS": "0.05",
    "LONGSHORE_BATCH_FILES_MAXIMUM": "40",
    "LONGSHORE_MOVERS": "2",
}


def kill_processes(server: Server, name: str) -> None:
    for process in server.processes(name)[:1]:
        process.kill()


def kill_everything(server: Server) -> None:
    server.kill_group()
    server.start()


VICTIMS = {
    "mover": lambda server: kill_processes(server, "mover"),
    "controller": lambda server: kill_processes(server, "controller"),
    "server": kill_everything,
}


def processed(server: Server) -> int:
    """Files on record: read from the journal itself, since the api shows it twice a second."""
    with closing(sqlite3.connect(server.data_dir / "journal.sqlite", timeout=30)) as journal:
        row = journal.execute("SELECT sum(processed_files) FROM counters").fetchone()
    return row[0] or 0


def wait_for_more(server: Server, files: int) -> None:
    """Wait until that many more files are on record, or until it has ended."""
    begun = processed(server)
    wait_until(lambda: processed(server) >= min(begun + files, FILES), f"{files} more files")


def start_copying(server: Server, source: Path, destination: Path, **fields: str) -> int:
    with server.client() as client:
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
            options={"file_checksum": "xxhash64"},
            **fields,
        )
        task.limit(FILES * 80)  # so that it lasts longer than all kills, on any machine
        task.act("run")
        return task.id


def check_exact(server: Server, task_id: int, source: Path, destination: Path) -> None:
    """The copy is complete, each file is on record once, and nothing is left over."""
    with server.client() as client:
        task = Task(client, task_id)
        task.limit(None)
        assert task.wait(seconds=180)["status"] == "done"
        execution, records = task.execution(), task.files()
    assert describe(destination) == describe(source)
    assert staged_left(destination) == []
    names = {str(p.relative_to(source)) for p in source.rglob("*") if not p.is_dir()}
    recorded = Counter(record["file_path"].lstrip("/") for record in records)
    assert recorded == Counter(dict.fromkeys(names, 1))
    assert execution["processed_files"] == execution["to_process_files"] == len(names)
    size = sum((source / name).stat().st_size for name in names)
    assert execution["processed_size"] == execution["to_process_size"] == size


@pytest.mark.parametrize("seed", [1, 2])
def test_task_survives_whatever_is_killed_while_it_copies(
    tmp_path: Path, source: Path, destination: Path, seed: int
) -> None:
    grow(source, FILES, seed=seed)
    random_ = random.Random(seed)
    server = Server(tmp_path / "data", SMALL_STEPS)
    server.start()
    try:
        task_id = start_copying(server, source, destination)
        for victim in ("mover", "controller", "server", "mover", "server", "controller"):
            wait_for_more(server, random_.randrange(FILES // 12))
            assert processed(server) < FILES, "it ended before all kills"
            VICTIMS[victim](server)
        check_exact(server, task_id, source, destination)
    finally:
        server.close()


def test_killing_the_supervisor_leaves_no_process(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    assert server.process is not None
    family = server.processes()
    assert {"api", "controller", "mover"} <= {each.cmdline()[3] for each in family}
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not [each for each in family if each.is_running()], "all to end")
