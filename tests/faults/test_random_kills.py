"""Movers and controllers die at random while the tree that they copy changes under their hands."""

from __future__ import annotations

import os
import random
from pathlib import Path

from longshore.domain.execution import TaskStatus
from tests.exactness import check_records, status_of
from tests.plants import Plant, planted
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 1500
KILLS = 50
FILES_BETWEEN_KILLS = 60  # at most; several kills hit each run
CHANGES = 8  # files touched between two kills


def change(root: Path, random_: random.Random, number: int) -> None:
    """Add, rewrite and remove a few files; nobody waits for anybody."""
    present = sorted(path for path in root.rglob("*.dat"))
    for index in range(CHANGES):
        path = random_.choice(present)
        deed = random_.choice(("add", "rewrite", "remove"))
        if deed == "add":
            path = path.with_name(f"new-{number}-{index}.dat")
        if deed == "remove":
            path.unlink(missing_ok=True)
        else:
            written = path.with_suffix(".tmp")
            written.write_bytes(random_.randbytes(random_.randrange(3000)))
            os.replace(written, path)


def copy_while_killing(plant: Plant, task: Task, source: Path, random_: random.Random) -> None:
    """Run after run over the changing tree until enough has been killed."""
    kills = 0
    while kills < KILLS:
        plant.begin(task)
        while plant.status(task) not in {
            TaskStatus.DONE,
            TaskStatus.FINISHED_WITH_WARNINGS,
        }:
            plant.wait_for_more(task, random_.randrange(FILES_BETWEEN_KILLS))
            plant.kill_somebody(random_)
            kills += 1
            change(source, random_, kills)
        execution_id = plant.finish(task)
        check_records(plant.database, execution_id)
        assert status_of(plant.database, execution_id) is not TaskStatus.ERROR
        assert staged_left(source.parent / "destination") == []


def test_fifty_random_kills_over_a_changing_tree_leave_an_exact_copy(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    random_ = random.Random(7)
    grow(source, FILES)
    with planted(tmp_path / "plant", deadly=()) as plant:  # who watches no point copies natively
        plant.lead()
        task = add_copy_task(
            plant.client,
            add_share_pool(plant.client, "live", "primary", source),
            add_share_pool(plant.client, "archive", "offline_archive", destination),
            conflict_resolution="overwrite",
        )
        copy_while_killing(plant, task, source, random_)
        plant.begin(task)
        execution_id = plant.finish(task)
        assert status_of(plant.database, execution_id) is TaskStatus.DONE
        check_records(plant.database, execution_id)
    expected, found = describe(source), describe(destination)
    assert {path: found.get(path) for path in expected} == expected
    assert staged_left(destination) == []
    # What was removed from the source may stay, but nothing may have been made up.
    assert not [path for path in found if b"(" in path]
