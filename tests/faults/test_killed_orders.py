"""Movers are killed at every kind of order, before and after they carry it out, in every action.

Each scenario is one run of one action. It arms the kinds of orders that this action has, and in
the actions that nothing else kills a controller in, commits of the controller as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from longshore.domain.execution import TaskStatus
from longshore.engine.run import OWN
from longshore.engine.task_ends import SUPPORTED_ACTIONS
from longshore.pipeline.messages.plan import WorkKind
from tests.exactness import check_records, outcomes, status_of
from tests.places import Place, Site, Tree, files_of
from tests.plants import Plant
from tests.servers import wait_until
from tests.story import Task
from tests.trees import describe, grow, staged_left

FILES = 60
SEGMENT = 64 * 1024
MANY_SEGMENTS = 40  # more than one mover's share
POINTS = ("mover.order", "mover.reply")
COMMITS = ("journal.commit", "journal.committed")
Kinds = Collection[WorkKind]


@dataclass(slots=True)
class Works:
    """A plant with places, and what may die in it."""

    plant: Plant
    site: Site

    def filled(self, kind: str) -> Place:
        place = self.site.place(kind)
        grow(place.folder, FILES)
        return place

    def run(self, task: Task) -> int:
        self.plant.begin(task)
        execution_id = self.plant.finish(task)
        assert status_of(self.plant.database, execution_id) is TaskStatus.DONE
        return execution_id

    def transfer(self, action: str, source: Place, destination: Place, **more: str) -> Task:
        flow = "offline_archive"
        ends = [source.as_source()], [destination.as_destination()]
        return self.site.task(flow, action, *ends, options=more)

    def run_while_killing(self, task: Task, kinds: Kinds, *, commits: bool = False) -> int:
        """Kill a mover before and after an order of each kind; then it still has to be exact.

        With `commits` controllers die as well: one before a commit, the next one after it.
        """
        arms = self.arm(kinds)
        self.plant.begin(task)
        if commits:
            wait_until(lambda: not all(arm.exists() for arm in arms), "the first death")
            for point in COMMITS:
                self.plant.wait_for_death(self.plant.arm(point))
        execution_id = self.plant.finish(task)
        self.check(arms, execution_id)
        assert status_of(self.plant.database, execution_id) is TaskStatus.DONE
        check_records(self.plant.database, execution_id)
        return execution_id

    def arm(self, kinds: Kinds) -> list[Path]:
        return [self.plant.arm(f"{point}.{kind.name}") for point in POINTS for kind in kinds]

    def check(self, arms: list[Path], execution_id: int) -> None:
        left = [arm.name for arm in arms if arm.exists()]
        for arm in arms:
            arm.unlink(missing_ok=True)
        assert left == [], "nobody was killed there"
        assert staged_left(self.site.folder) == []
        assert staged_left(self.site.containers) == []


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    folder = tmp_path_factory.mktemp("works") / "plant"
    deaths = [
        {
            "point": point,
            "detail": kind.name,
            "act": "kill",
            "claim": str(folder / "arms" / f"{point}.{kind.name}"),
        }
        for point in POINTS
        for kind in WorkKind
    ]
    settings = {
        "LONGSHORE_SEGMENT_BYTES": str(SEGMENT),
        "LONGSHORE_CACHE_RETENTION_SECONDS": "0",
    }
    plant = Plant(folder, settings, deaths, deadly=COMMITS)
    try:
        plant.lead()
        yield Works(plant, Site(plant.containers, plant.client, folder / "shares"))
    finally:
        plant.close()


def copy(works: Works, kinds: Kinds) -> None:
    source, destination = works.filled("P"), works.site.place("S")
    (source.folder / "big").write_bytes(os.urandom(MANY_SEGMENTS * SEGMENT - 1))
    (source.folder / "one").write_text("file of two names")
    os.link(source.folder / "one", source.folder / "d000" / "two")
    works.run_while_killing(works.transfer("copy", source, destination), kinds)
    assert destination.tree() == source.tree()
    names = [destination.folder / "one", destination.folder / "d000" / "two"]
    assert names[0].stat().st_ino == names[1].stat().st_ino


def move(works: Works, kinds: Kinds) -> None:
    source, destination = works.filled("P"), works.site.place("S")
    before = source.tree()
    task = works.transfer("move", source, destination)
    works.run_while_killing(task, kinds)
    assert destination.tree() == before
    assert source.tree() == {}


def restore(works: Works, kinds: Kinds) -> None:
    source, archive = works.filled("P"), works.site.place("S")
    before = source.tree()
    works.run(works.transfer("move", source, archive))
    back = works.site.task("offline_archive", "restore", [archive.as_source()])
    works.run_while_killing(back, kinds)
    assert source.tree() == before


def erase(works: Works, kinds: Kinds) -> None:
    source = works.filled("P")
    task = works.site.task("data_migration", "erase", [source.as_source()])
    works.run_while_killing(task, kinds, commits=True)
    assert source.tree() == {}


def scan(works: Works, kinds: Kinds) -> None:
    source = works.filled("P")
    before = source.tree()
    options = {"file_checksum": "md5"}
    task = works.site.task("maintenance", "scan", [source.as_source()], options=options)
    works.run_while_killing(task, kinds, commits=True)
    assert source.tree() == before
    assert len(works.site.catalogued(source)) == FILES


def full_backup(works: Works, kinds: Kinds) -> None:
    source, destination = works.filled("C"), works.site.place("S")
    task = works.transfer("full_backup", source, destination)
    execution_id = works.run_while_killing(task, kinds, commits=True)
    assert backup(task, destination, execution_id) == source.tree()


def incremental_backup(works: Works, kinds: Kinds) -> None:
    source, destination = works.filled("P"), works.site.place("S")
    task = works.transfer("incremental_backup", source, destination)
    first = works.run(task)
    assert backup(task, destination, first) == source.tree()
    grow(source.folder / "new", FILES, seed=2)
    second = works.run_while_killing(task, kinds, commits=True)
    added = {b"new/" + path: what for path, what in describe(source.folder / "new").items()}
    assert files_of(backup(task, destination, second)) == files_of(added)
    found = outcomes(works.plant.database, second)
    assert {str(outcome.name): count for outcome, count in found.items()} == {
        "IDENTICAL": FILES,
        "COPIED": FILES,
    }


def backup(task: Task, destination: Place, execution_id: int) -> Tree:
    return destination.tree(f"{task.show()['name']}/{execution_id}")


def cache_cleaning(works: Works, kinds: Kinds) -> None:
    container, archive = works.filled("C"), works.site.place("S", "active_archive")
    before = files_of(container.tree())
    ends = [container.as_source()], [archive.as_destination()]
    works.run(works.site.task("active_archive", "copy", *ends))
    task = works.site.task("maintenance", "cache_cleaning", [container.as_source()])
    works.run_while_killing(task, kinds, commits=True)
    assert files_of(container.tree()) == {}
    assert files_of(archive.tree(container.name)) == before


def copy_of_listed_files(works: Works, kinds: Kinds) -> None:
    source, first, second = works.filled("P"), works.site.place("S"), works.site.place("S")
    task = works.transfer("copy", source, first)
    works.run(task)
    (source.folder / "later").write_text("is not on the list")
    again = works.transfer("copy", source, second, task_id=str(task.id))
    works.run_while_killing(again, kinds, commits=True)
    assert files_of(second.tree()) == files_of(first.tree())


def speedtest(works: Works, kinds: Kinds) -> None:
    ends = [works.site.place("P"), works.site.place("S")]
    task = works.site.task(
        "maintenance", "speedtest", [ends[0].as_source()], [ends[1].as_destination()]
    )
    arms = works.arm(kinds)
    works.check(arms, works.run(task))
    assert [each.tree() for each in ends] == [{}, {}]


def stop(works: Works, kinds: Kinds) -> None:
    """Not an action of its own: what a stopped copy has staged is removed."""
    source, destination = works.site.place("P"), works.site.place("S")
    (source.folder / "big").write_bytes(os.urandom(MANY_SEGMENTS * SEGMENT))
    task = works.transfer("copy", source, destination)
    task.limit(SEGMENT * 10)  # so that it lasts longer than it takes to stop it
    works.plant.begin(task)
    wait_until(lambda: staged_left(destination.folder), "a staged file")
    arms = works.arm(kinds)
    task.act("stop")
    execution_id = works.plant.finish(task)
    works.check(arms, execution_id)
    assert status_of(works.plant.database, execution_id) is TaskStatus.STOPPED_BY_USER
    assert destination.tree() == {}


SCAN, COPY, FOLDERS = WorkKind.SCAN, WorkKind.COPY, WorkKind.FOLDERS
SCENARIOS: dict[Callable[[Works, Kinds], None], Kinds] = {
    copy: {SCAN, COPY, WorkKind.PART, WorkKind.FINISH, WorkKind.LINKS, FOLDERS},
    move: {WorkKind.RELEASE, WorkKind.PRUNE},
    restore: {SCAN, WorkKind.LOOK, COPY, FOLDERS},
    erase: {SCAN, WorkKind.ERASE, WorkKind.PRUNE},
    scan: {SCAN, WorkKind.CHECK},
    full_backup: {SCAN, COPY, FOLDERS},
    incremental_backup: {SCAN, COPY, FOLDERS},
    cache_cleaning: {SCAN, WorkKind.ERASE},
    copy_of_listed_files: {COPY},
    speedtest: {WorkKind.SPEEDTEST},
    stop: {WorkKind.CLEAN},
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.__name__ for each in SCENARIOS])
def test_a_run_is_exact_whichever_of_its_orders_kills_a_mover(
    works: Works, scenario: Callable[[Works, Kinds], None]
) -> None:
    works.plant.keep()
    scenario(works, SCENARIOS[scenario])


def test_every_kind_of_order_and_every_action_has_its_deaths() -> None:
    assert OWN.union(*SCENARIOS.values()) == set(WorkKind)
    assert {each.__name__ for each in SCENARIOS} >= set(SUPPORTED_ACTIONS)
