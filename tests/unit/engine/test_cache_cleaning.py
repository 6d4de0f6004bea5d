"""Cleaning caches: the oldest access first, and only what has a verified copy elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select, update

from longshore.database.connection import reading, writing
from longshore.database.tables.catalogue import copies
from longshore.database.tables.engine import freeable_files
from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.outcome import Outcome
from tests.exactness import check_records, last_execution, outcomes, work_left
from tests.records import files_on_record, path_of
from tests.story import Task, add_share_pool, created
from tests.workshop import CrashAt, Workshop, reaching

COMMITS_MAXIMUM = 200  # a run of so few files has fewer
SECOND = 10**9
AT_NS = 1_500_000_000 * SECOND
HOUR = 3600.0


class Story:
    """A container, an archive, and the tasks between them."""

    def __init__(self, workshop: Workshop, folder: Path) -> None:
        self.workshop = workshop
        self.archive = folder / "archive"
        self.archive.mkdir(parents=True)
        self.client = workshop.client()
        container = created(self.client.post("/containers", json={"name": folder.name}))
        (self.cache,) = (workshop.folder / "containers").glob(f"*{container['id']}")
        workshop.config = replace(workshop.config, containers_root=self.cache.parent)
        self.away = add_share_pool(self.client, "archive", "active_archive", self.archive)
        self.name = folder.name

    def write(self, path: str, *, accessed_ns: int = AT_NS, changed_ns: int = AT_NS) -> None:
        file = self.cache / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
        os.utime(file, ns=(accessed_ns, changed_ns))

    def task(self, workflow: str, action: str, **source: object) -> Task:
        body = {"name": action, "workflow_type": workflow, "workflow_action": action}
        task = Task(self.client, int(created(self.client.post("/tasks", json=body))["id"]))
        created(self.client.post(f"/tasks/{task.id}/task_sources", json=source))
        return task

    def archived(self) -> None:
        """Copy everything to the archive."""
        down = self.task("active_archive", "copy", file_path=f"/{self.name}")
        path = f"/tasks/{down.id}/task_destinations"
        created(self.client.post(path, json={"pool_id": self.away}))
        self.run(down)

    def checked(self) -> None:
        """Read the archive again and compare it with what is on record."""
        scan = self.task("maintenance", "scan", pool_id=self.away)
        option = {"type": "file_checksum", "value": "md5"}
        created(self.client.post(f"/tasks/{scan.id}/task_options", json=option))
        self.run(scan)

    def cleaning(self) -> Task:
        return self.task("maintenance", "cache_cleaning", file_path=f"/{self.name}")

    def cleaned(self) -> list[str]:
        """Clean the cache; the paths of the freed files, in the order in which they went."""
        return self.freed(self.run(self.cleaning()))

    def freed(self, execution: int) -> list[str]:
        check_records(self.workshop.database, execution)
        found = outcomes(self.workshop.database, execution)
        assert found.keys() <= {Outcome.FREED}
        assert work_left(self.workshop.database, execution) == waiting(self.workshop) == 0
        return [
            os.fsdecode(path_of(each))
            for each in files_on_record(self.workshop.database, execution)
        ]

    def run(self, task: Task) -> int:
        assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202
        self.workshop.live(
            lambda: task.show()["action"] == "noop" and self.workshop.status(task.id) in IDLE
        )
        return last_execution(self.workshop.database, task.id)

    def left(self) -> set[str]:
        files = (path for path in self.cache.rglob("*") if path.is_file())
        return {str(path.relative_to(self.cache)) for path in files}


def waiting(workshop: Workshop) -> int:
    """Files that wait for their turn in the journal."""
    with reading(workshop.database.journal) as connection:
        return connection.execute(select(func.count()).select_from(freeable_files)).scalar_one()


@pytest.fixture
def story(workshop: Workshop, tmp_path: Path) -> Story:
    workshop.config = replace(workshop.config, cache_retention_seconds=0.0)
    return Story(workshop, tmp_path / "films")


def in_disorder(story: Story, files: int) -> list[str]:
    """Write files into several folders; their paths by the time of their last access."""
    paths = [f"{number % 4}/{number:02d}" for number in range(files)]
    Random(7).shuffle(paths)
    for place, path in enumerate(paths):
        story.write(path, accessed_ns=AT_NS + place * SECOND)
    return paths


def test_the_oldest_access_goes_first_over_all_folders(story: Story) -> None:
    paths = in_disorder(story, 33)
    story.archived()
    for place, path in enumerate(paths):  # reading them was an access
        os.utime(story.cache / path, ns=(AT_NS + place * SECOND, AT_NS))
    assert story.cleaned() == paths
    assert story.left() == set()


def test_cleaning_is_exact_after_a_crash_at_any_commit(workshop: Workshop, tmp_path: Path) -> None:
    workshop.config = replace(workshop.config, cache_retention_seconds=0.0)
    for number in range(1, COMMITS_MAXIMUM):
        story = Story(workshop, tmp_path / f"films{number}")
        paths = set(in_disorder(story, 12))
        story.archived()
        task = story.cleaning()
        crash = CrashAt(("journal.commit",), number)

        def is_over(task: Task = task) -> bool:
            status = workshop.status(task.id)
            if status is TaskStatus.NOT_ACTIVATED and task.show()["action"] == "noop":
                task.client.put(f"/tasks/{task.id}/action/run")
            return status is not TaskStatus.NOT_ACTIVATED and status in IDLE

        with reaching(crash):
            workshop.live_through_crashes(is_over)
        assert set(story.freed(last_execution(workshop.database, task.id))) == paths
        assert story.left() == set()
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")


def test_a_stopped_cleaning_leaves_nothing_in_the_journal(story: Story) -> None:
    in_disorder(story, 30)
    story.archived()
    task = story.cleaning()
    seen: list[bytes] = []

    def stop(point: str, detail: bytes) -> None:
        if (point, detail) == ("mover.order", b"ERASE"):
            seen.append(detail)
            if len(seen) == 2:
                task.client.put(f"/tasks/{task.id}/action/stop")

    with reaching(stop):
        story.run(task)
    assert story.workshop.status(task.id) is TaskStatus.STOPPED_BY_USER
    assert story.left()
    assert waiting(story.workshop) == 0


def test_a_copy_that_was_not_read_back_counts_once_it_was_checked(story: Story) -> None:
    story.workshop.config = replace(story.workshop.config, verify_by_reading_back=False)
    story.write("a")
    story.archived()
    assert story.cleaned() == []
    assert story.left() == {"a"}
    story.checked()
    assert story.cleaned() == ["a"]


def test_a_copy_that_a_check_has_found_damaged_does_not_count(story: Story) -> None:
    story.write("a")
    story.write("b")
    story.archived()
    (damaged,) = story.archive.rglob("a")
    at = damaged.stat()
    damaged.write_text("z")
    os.utime(damaged, ns=(at.st_atime_ns, at.st_mtime_ns))
    story.checked()
    assert story.cleaned() == ["b"]
    assert story.left() == {"a"}


@pytest.mark.parametrize("read_back", [True, False])
def test_of_copies_of_older_versions_the_plan_says_whether_they_were_read_back(
    story: Story, read_back: bool
) -> None:
    story.workshop.config = replace(story.workshop.config, verify_by_reading_back=read_back)
    story.write("a")
    story.archived()
    with writing(story.workshop.database.journal) as connection:
        connection.execute(update(copies).values(verified=None))
    assert story.cleaned() == (["a"] if read_back else [])


def test_a_file_whose_copy_is_erased_while_others_are_found_stays(story: Story) -> None:
    in_disorder(story, 12)
    story.archived()
    task = story.cleaning()

    def erase(point: str, detail: bytes) -> None:
        if point == "journal.committed" and waiting(story.workshop) == 12:
            with writing(story.workshop.database.journal) as connection:
                erased = copies.c.path.between(b"films/1/", b"films/1/99")
                connection.execute(update(copies).where(erased).values(live=False))

    with reaching(erase):
        execution = story.run(task)
    assert len(story.freed(execution)) == 9
    assert {path[0] for path in story.left()} == {"1"}


def test_only_what_is_at_rest_for_the_retention_goes(story: Story) -> None:
    story.workshop.config = replace(story.workshop.config, cache_retention_seconds=HOUR / 2)
    story.write("old")
    story.write("young", changed_ns=story.workshop.time_ns() + round(0.9 * HOUR) * SECOND)
    story.archived()
    assert story.cleaned() == [], "both have just come here, whatever their times say"
    story.workshop.jumped_seconds = HOUR
    assert story.cleaned() == ["old"]
    story.workshop.jumped_seconds = 2 * HOUR
    assert story.cleaned() == ["young"]
