"""Folders come back with their files: as the catalogue has them, whatever the archive keeps."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.storage import StorageAddress
from longshore.storage.handler import StorageHandler
from tests.exactness import last_execution, status_of
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe
from tests.unit.pipeline.driving import stripped
from tests.workshop import CrashAt, Workshop, open_quickly, reaching

COMMITS_MAXIMUM = 200  # a run of so few files has fewer
AT_NS = 1_234_567_890_123_456_789


def grow_folders(root: Path) -> None:
    """A tree of folders that differ from what `mkdir` makes."""
    for number, name in enumerate(("a", "a/b", "a/b/c", "a/empty", "other")):
        folder = root / name
        folder.mkdir()
        if not name.endswith("empty"):
            (folder / "file").write_text(name)
        os.setxattr(folder, "user.note", name.encode())
        folder.chmod((0o700, 0o750, 0o711, 0o555, 0o777)[number])
    for folder in sorted((each for each in root.rglob("*") if each.is_dir()), reverse=True):
        os.utime(folder, ns=(AT_NS, AT_NS + len(folder.name)))


def folders_of(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time and attribute of every folder, by path."""
    return {
        str(each.relative_to(root)): (
            stat.S_IMODE(each.stat().st_mode),
            each.stat().st_mtime_ns,
            os.getxattr(each, "user.note") if "user.note" in os.listxattr(each) else b"",
        )
        for each in sorted(root.rglob("*"))
        if each.is_dir()
    }


class Story:
    """A primary pool, an archive that may lack an ability, and tasks between them."""

    def __init__(self, workshop: Workshop, folder: Path, lacking: str = "") -> None:
        self.workshop = workshop
        self.source, self.archive = folder / "source", folder / "archive"
        for each in (self.source, self.archive):
            each.mkdir(parents=True)
        if lacking:
            self.workshop.open_storage = self._opening(stripped(lacking))
        self.client = workshop.client()
        self.live = add_share_pool(self.client, "live", "primary", self.source)
        self.away = add_share_pool(self.client, "archive", "offline_archive", self.archive)
        self.client.get("/pools").raise_for_status()

    def _opening(
        self, strip: Callable[[StorageHandler], StorageHandler]
    ) -> Callable[[StorageAddress], StorageHandler]:
        def open_storage(address: StorageAddress) -> StorageHandler:
            opened = open_quickly(address)
            return strip(opened) if address.settings["root"] == str(self.archive) else opened

        return open_storage

    def move_away(self, path: str = "") -> None:
        task = add_copy_task(self.client, self.live, self.away, workflow_action="move")
        if path:
            (first,) = self.client.get(f"/tasks/{task.id}/task_sources").json()["task_sources"]
            self.client.delete(f"/tasks/{task.id}/task_sources/{first['id']}").raise_for_status()
            body = {"pool_id": self.live, "file_path": self._shown(path)}
            created(self.client.post(f"/tasks/{task.id}/task_sources", json=body))
        self.run(task)

    def _shown(self, path: str) -> str:
        name = self.client.get(f"/pools/{self.live}").json()["name"]
        return f"/{name}/{path}"

    def restore(self, destination: int | None = None) -> Task:
        body = {"name": "r", "workflow_type": "offline_archive", "workflow_action": "restore"}
        task = Task(self.client, int(created(self.client.post("/tasks", json=body))["id"]))
        created(self.client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": self.away}))
        if destination is not None:
            path = f"/tasks/{task.id}/task_destinations"
            created(self.client.post(path, json={"pool_id": destination}))
        return task

    def run(self, task: Task) -> None:
        request(task.client, task)
        self.workshop.live(lambda: self.is_over(task))
        execution = last_execution(self.workshop.database, task.id)
        assert status_of(self.workshop.database, execution) is TaskStatus.DONE

    def is_over(self, task: Task) -> bool:
        status = self.workshop.status(task.id)
        return status is not TaskStatus.NOT_ACTIVATED and status in IDLE


def request(client: httpx.Client, task: Task) -> None:
    assert client.put(f"/tasks/{task.id}/action/run").status_code == 202


@pytest.mark.parametrize("lacking", ["", "permissions", "extended_attributes"])
def test_moved_folders_come_back_as_they_were(
    workshop: Workshop, tmp_path: Path, lacking: str
) -> None:
    story = Story(workshop, tmp_path / "s", lacking)
    grow_folders(story.source)
    before, tree = folders_of(story.source), describe(story.source)
    story.move_away()
    assert list(story.source.iterdir()) == []
    story.run(story.restore())
    assert folders_of(story.source) == before
    assert describe(story.source) == tree


def test_folders_above_a_moved_one_that_are_gone_come_back_too(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    grow_folders(story.source)
    scan = add_scan(story)
    story.run(scan)
    before = folders_of(story.source)
    story.move_away("a/b")
    assert not (story.source / "a" / "b").exists()
    for path in ("a/file", "other/file"):
        (story.source / path).unlink()
    for path in ("a/empty", "a", "other"):
        (story.source / path).rmdir()
    story.run(story.restore())
    expected = {path: what for path, what in before.items() if path.startswith("a/b")}
    # Nobody has archived the folder above itself: its attributes are not on record.
    mode, mtime_ns, _ = before["a"]
    assert folders_of(story.source) == {"a": (mode, mtime_ns, b""), **expected}


def add_scan(story: Story) -> Task:
    body = {"name": "scan", "workflow_type": "maintenance", "workflow_action": "scan"}
    task = Task(story.client, int(created(story.client.post("/tasks", json=body))["id"]))
    created(story.client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": story.live}))
    return task


def test_a_folder_that_stands_keeps_its_metadata_when_files_come_back_into_it(
    workshop: Workshop, tmp_path: Path
) -> None:
    story = Story(workshop, tmp_path / "s")
    grow_folders(story.source)
    tree = describe(story.source)
    story.move_away()
    (story.source / "a").mkdir(mode=0o711)
    story.run(story.restore())
    assert stat.S_IMODE((story.source / "a").stat().st_mode) == 0o711
    after = describe(story.source)
    assert {path: what for path, what in after.items() if path != b"a"} == {
        path: what for path, what in tree.items() if path != b"a"
    }


def test_restored_folders_are_as_they_were_after_a_crash_at_any_commit(
    workshop: Workshop, tmp_path: Path
) -> None:
    for number in range(1, COMMITS_MAXIMUM):
        story = Story(workshop, tmp_path / str(number), "permissions")
        grow_folders(story.source)
        before = folders_of(story.source)
        story.move_away()
        task = story.restore()
        crash = CrashAt(("journal.commit", "mover.reply"), number)
        with reaching(crash):
            workshop.live_through_crashes(partial(asked_until_over, story, task))
        assert folders_of(story.source) == before
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def test_only_the_newest_copy_comes_back_after_a_crash_at_any_commit(
    workshop: Workshop, tmp_path: Path
) -> None:
    # Every slice ends after its first step, so that the copies are found in different ones.
    workshop.config = replace(workshop.config, slice_seconds=1e-9, batch_files_maximum=1)
    for number in range(1, COMMITS_MAXIMUM):
        story = Story(workshop, tmp_path / str(number))
        # The newest copy is listed last and first in turns.
        for name in ("a", "z") if number % 2 else ("z", "a"):
            (story.source / "file").write_text(f"{number} {name}")
            backup = add_copy_task(
                story.client, story.live, story.away, name=name, workflow_action="full_backup"
            )
            story.run(backup)
        before = describe(story.source)
        (story.source / "file").unlink()
        task = story.restore()
        crash = CrashAt(("journal.commit", "mover.reply"), number)
        with reaching(crash):
            workshop.live_through_crashes(partial(asked_until_over, story, task))
        assert describe(story.source) == before
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def asked_until_over(story: Story, task: Task) -> bool:
    """Whether the task has ended; it is asked to run, again where a crash swallowed that."""
    if story.workshop.status(task.id) is TaskStatus.NOT_ACTIVATED:
        if task.show()["action"] == "noop":
            request(task.client, task)
        return False
    return story.is_over(task)


@pytest.mark.parametrize("action", ["restore", "copy"])
def test_what_the_archive_lost_comes_back_at_another_place_too(
    workshop: Workshop, tmp_path: Path, action: str
) -> None:
    story = Story(workshop, tmp_path / "s", "permissions")
    grow_folders(story.source)
    (story.source / "file").write_text("file")
    (story.source / "file").chmod(0o4711)
    before, tree = folders_of(story.source), describe(story.source)
    story.move_away()
    other = tmp_path / "s" / "other"
    other.mkdir()
    there = add_share_pool(story.client, "other", "primary", other)
    if action == "restore":
        task = story.restore(there)
    else:
        task = add_copy_task(story.client, story.away, there, workflow_type="data_migration")
    story.run(task)
    assert folders_of(other) == before
    assert describe(other) == tree
