"""A run with nothing to do looks at no file singly, and never takes that way wrongly."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from longshore.database.connection import reading, writing
from longshore.database.node_rows import NodeState
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.record import Record
from longshore.engine.recording import Recorder
from longshore.pipeline import scan
from tests.exactness import check_exact, last_execution
from tests.records import files_on_record
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import grow
from tests.unit.engine.test_crashes import COMMITS, COMMITS_MAXIMUM, is_idle, request
from tests.workshop import CrashAt, Workshop, reaching

FILES = 20
PER_FOLDER = 5
SLICE_SECONDS = 60.0


@dataclass
class Copied:
    """A task that has copied everything once; `seen` are the files that were compared singly."""

    workshop: Workshop
    task: Task
    source: Path
    destination: Path
    seen: list[bytes]

    def run(self, crash: CrashAt | None = None) -> int:
        """Run it once more, through crashes; the id of the execution."""
        self.seen.clear()
        before = last_execution(self.workshop.database, self.task.id) if self.task.id else 0

        def is_done() -> bool:
            if last_execution(self.workshop.database, self.task.id) != before:
                return is_idle(self.workshop, self.task)
            if self.task.show()["action"] == "noop":
                request(self.task, "run")
            return False

        with reaching(crash or (lambda point, detail: None)):
            self.workshop.live_through_crashes(is_done)
        return last_execution(self.workshop.database, self.task.id)

    def sql(self, statement: str) -> None:
        with writing(self.workshop.database.journal) as connection:
            connection.execute(text(statement))

    def check_catalogue(self) -> None:
        """Every file is in the catalogue as it is, with one live copy of its state."""
        with reading(self.workshop.database.journal) as connection:
            rows = connection.execute(
                select(nodes, copies.c.size, copies.c.mtime_ns, copies.c.live)
                .join_from(nodes, copies, copies.c.file_id == nodes.c.id)
                .where(nodes.c.kind == 1)
            ).all()
        known = {bytes(row.name): row for row in rows if row.state == NodeState.LIVE.value}
        files = [path for path in self.source.rglob("*") if path.is_file()]
        for path in files:
            row, is_ = known[path.name.encode()], path.stat()
            assert (row.size, row.mode, row.uid, row.gid, row.mtime_ns, row.atime_ns) == (
                is_.st_size, is_.st_mode, is_.st_uid, is_.st_gid, is_.st_mtime_ns, is_.st_atime_ns
            )  # fmt: skip
            assert row.ctime_ns == is_.st_ctime_ns
            assert (row[-3], row[-2], row[-1]) == (is_.st_size, is_.st_mtime_ns, True)


@pytest.fixture
def copied(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copied:
    # On a slow machine, too, no slice ends inside a folder: that would be noted by the next run.
    workshop.config = replace(workshop.config, slice_seconds=SLICE_SECONDS)
    source, destination = tmp_path / "source", tmp_path / "destination"
    destination.mkdir()
    grow(source, FILES, per_folder=PER_FOLDER)
    seen: list[bytes] = []
    ordinary = Recorder.catalogue

    def watched(self: Recorder, connection: Any, records: Sequence[Record]) -> list[int | None]:
        seen.extend(record.entry.name for record in records)
        return ordinary(self, connection, records)

    monkeypatch.setattr(Recorder, "catalogue", watched)
    client = workshop.client()
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        conflict_resolution="overwrite",
    )
    request(task, "run")
    workshop.live(lambda: is_idle(workshop, task))
    assert len(seen) == FILES
    return Copied(workshop, task, source, destination, seen)


def some_file(folder: Path) -> Path:
    return min(path for path in folder.rglob("*.dat"))


def test_a_second_run_compares_no_file_singly(copied: Copied) -> None:
    for _ in range(2):
        execution_id = copied.run()
        assert copied.seen == []
        copied.check_catalogue()
    check_exact(copied.workshop.database, execution_id, copied.source, copied.destination)


def _touch(path: Path) -> None:
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))


def _grow(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


AT_THE_SOURCE: dict[str, Callable[[Path], object]] = {
    "content": _grow,
    "time": _touch,
    "mode": lambda path: path.chmod(0o611),
    "access time": lambda path: os.utime(path, ns=(7, path.stat().st_mtime_ns)),
    "a new file": lambda path: path.with_name("new.dat").write_bytes(b"new"),
    "a new name": lambda path: path.rename(path.with_name("new.dat")),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("what", AT_THE_SOURCE)
def test_the_catalogue_learns_of_every_change_at_the_source(copied: Copied, what: str) -> None:
    AT_THE_SOURCE[what](some_file(copied.source))
    copied.run()
    assert 0 < len(copied.seen) <= PER_FOLDER + 1
    copied.check_catalogue()
    copied.run()  # where a file was written, what was noted is gone
    copied.run()
    assert copied.seen == []
    copied.check_catalogue()


IN_THE_CATALOGUE = {
    "a node differs": "UPDATE nodes SET mode = 1 WHERE name = x'{name}'",
    "a node is gone": "DELETE FROM nodes WHERE name = x'{name}'",
    "a node is a stub": "UPDATE nodes SET state = 4 WHERE name = x'{name}'",
    "a copy differs": "UPDATE copies SET size = 99999 WHERE hex(path) LIKE '%{name}'",
    "a copy is dead": "UPDATE copies SET live = FALSE WHERE hex(path) LIKE '%{name}'",
    "a copy is gone": "DELETE FROM copies WHERE hex(path) LIKE '%{name}'",
    "all copies are gone": "DELETE FROM copies",
}


@pytest.mark.parametrize("what", IN_THE_CATALOGUE)
def test_what_the_catalogue_lacks_is_put_right(copied: Copied, what: str) -> None:
    name = some_file(copied.source).name.encode().hex()
    copied.sql(IN_THE_CATALOGUE[what].format(name=name))
    copied.run()
    assert len(copied.seen) == (FILES if what.startswith("all") else PER_FOLDER)
    copied.check_catalogue()
    copied.run()
    assert copied.seen == []


def test_a_destination_that_changed_is_written_anew(copied: Copied) -> None:
    _grow(some_file(copied.destination))
    execution_id = copied.run()
    copied.check_catalogue()
    check_exact(copied.workshop.database, execution_id, copied.source, copied.destination)


def test_a_run_with_nothing_to_do_is_exact_after_a_crash_at_any_commit(copied: Copied) -> None:
    for number in range(1, COMMITS_MAXIMUM):
        crash = CrashAt(COMMITS, number)
        execution_id = copied.run(crash)
        copied.check_catalogue()
        check_exact(copied.workshop.database, execution_id, copied.source, copied.destination)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def test_two_destinations_of_one_task_are_known_apart(copied: Copied, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    client = copied.task.client
    pool = add_share_pool(client, "archive", "offline_archive", second)
    path = f"/tasks/{copied.task.id}/task_destinations"
    client.post(path, json={"pool_id": pool, "folder_path": "/"}).raise_for_status()
    copied.run()
    copied.run()  # a batch of both destinations notes nothing
    execution_id = copied.run()
    assert copied.seen == []
    assert len(files_on_record(copied.workshop.database, execution_id)) == 2 * FILES
    copied.sql("DELETE FROM copies WHERE storage_id = (SELECT max(storage_id) FROM copies)")
    copied.run()
    copied.run()
    assert copied.seen == []
    with reading(copied.workshop.database.journal) as connection:
        count = select(func.count()).select_from(copies).join(nodes, nodes.c.id == copies.c.file_id)
        assert connection.execute(count.where(nodes.c.kind == 1)).scalar() == 2 * FILES


def test_the_pieces_of_a_big_folder_are_known_after_the_first_copy(
    copied: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CHUNK_ENTRIES", PER_FOLDER)  # as many as a batch of the workshop
    for number in range(3 * PER_FOLDER + 2):
        path = copied.source / "big" / f"g{number:03}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * number)
    copied.run()
    copied.seen.clear()
    copied.run()
    assert copied.seen == []
    copied.check_catalogue()
