"""Whoever is killed while a restore falls back to other copies, each file comes back once."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import psutil

from longshore.domain.execution import TaskStatus
from longshore.domain.outcome import Outcome
from tests.exactness import check_records, status_of
from tests.plants import Plant, planted
from tests.records import files_on_record
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow, staged_left

FILES = 150
KILLS = 6
FILES_BETWEEN_KILLS = 20
POINTS = ("mover.staged", "mover.published", "mover.reply", "journal.commit", "journal.committed")


def spoil(folder: Path) -> int:
    """Remove, damage and leave alone the files in turns; how many are no good any more."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        if number % 3 == 0:
            path.unlink()
        elif number % 3 == 1:
            state = path.stat()
            path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()) or b"more")
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return sum(number % 3 < 2 for number in range(len(files)))


def kill_somebody(plant: Plant, random_: random.Random) -> None:
    """Kill a mover or, more seldom, the controller, if there is one just now."""
    movers = plant.movers()
    alive = [each for each in plant.controllers if each.poll() is None]
    if movers and random_.random() < 0.7:
        with contextlib.suppress(psutil.NoSuchProcess):
            random_.choice(movers).kill()
    elif alive:
        alive[-1].kill()
        alive[-1].wait()


def test_a_restore_that_falls_back_is_exact_whoever_is_killed(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    random_ = random.Random(3)
    grow(source, FILES)
    before = describe(source)
    files = {path for path, what in before.items() if what[0] != "folder"}
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with planted(tmp_path / "plant") as plant:
        plant.lead()
        client = plant.client
        live = add_share_pool(client, "live", "primary", source)
        pools = [
            add_share_pool(client, folder.name, "offline_archive", folder)
            for folder in (mirror, destination)
        ]
        for pool in pools:
            copy = add_copy_task(client, live, pool)
            plant.begin(copy)
            assert status_of(plant.database, plant.finish(copy)) is TaskStatus.DONE
        for path in source.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        spoiled = spoil(destination)  # its copies are newer, so they come first
        body = {"name": "r", "workflow_type": "offline_archive", "workflow_action": "restore"}
        task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
        for pool in pools:
            created(client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
        arms = [plant.arm(point) for point in POINTS]
        plant.begin(task)
        for armed in arms:
            plant.wait_for_death(armed)
        for _ in range(KILLS):
            plant.wait_for_more(task, random_.randrange(FILES_BETWEEN_KILLS))
            kill_somebody(plant, random_)
        execution_id = plant.finish(task)
        assert status_of(plant.database, execution_id) is TaskStatus.DONE
        check_records(plant.database, execution_id)
        records = [each.record for each in files_on_record(plant.database, execution_id)]
    assert describe(source) == before
    assert staged_left(source) == []
    assert Counter(record.target_path for record in records) == Counter(files)
    assert {record.outcome for record in records} <= {Outcome.COPIED, Outcome.IDENTICAL}
    fallen = [record for record in records if record.failure is not None]
    assert len(fallen) == spoiled
    assert {record.source % len(pools) for record in fallen} == {0}
    assert len({record.source for record in records}) == len(pools)
