"""Real movers on one big file: at the same time, killed while they write, never reading twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec
import pytest
from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.tables.engine import work
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.work import CopyWork, PartWork
from tests.exactness import check_exact
from tests.plants import Plant
from tests.servers import wait_until
from tests.story import Task, add_copy_task, add_share_pool

SEGMENT = 64 * 1024
SEGMENTS = 90
SLOW_SEGMENTS_PER_SECOND = 25  # written and read back: time enough to kill in
KILLS = 6


@dataclass(frozen=True, slots=True)
class Notes:
    """Who has begun to read which segment, as movers have written it down."""

    file: Path

    def all(self) -> list[tuple[int, int]]:
        """Process id and number of the segment, in order."""
        lines = self.file.read_bytes().splitlines() if self.file.exists() else []
        return [(int(line.split()[0]), int(line.rpartition(b":")[2])) for line in lines]


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """Whoever comes to the first segment waits until this file is there."""
    return tmp_path / "go on"


@pytest.fixture
def plant(tmp_path: Path, notes: Notes, held: Path) -> Iterator[Plant]:
    points = [
        {"point": "mover.segment", "act": "note", "file": str(notes.file)},
        {"point": "mover.segment", "act": "wait", "detail": "*:0", "until": str(held)},
    ]
    made = Plant(tmp_path / "plant", {"LONGSHORE_SEGMENT_BYTES": str(SEGMENT)}, points)
    try:
        made.lead()
        yield made
    finally:
        made.close()


def begin(plant: Plant, source: Path, destination: Path) -> Task:
    (source / "big").write_bytes(Random(1).randbytes(SEGMENTS * SEGMENT - 1))
    task = add_copy_task(
        plant.client,
        add_share_pool(plant.client, "live", "primary", source),
        add_share_pool(plant.client, "archive", "offline_archive", destination),
        options={"file_checksum": "md5"},
    )
    task.limit(SLOW_SEGMENTS_PER_SECOND * SEGMENT)
    plant.begin(task)
    return task


def written(plant: Plant) -> set[int]:
    """The segments that the journal knows to be written."""
    with reading(plant.database.journal) as connection:
        query = select(work.c.kind, work.c.payload)
        rows = connection.execute(query).all()
    found: set[int] = set()
    for kind, payload in rows:
        if kind == WorkKind.PART:
            part = msgspec.msgpack.decode(payload, type=PartWork)
            found.update(range(part.first, part.first + len(part.digests)))
        elif kind == WorkKind.FINISH:
            big = msgspec.msgpack.decode(payload, type=CopyWork).big
            assert big is not None
            found.update(i for i, digest in enumerate(big.digests) if digest)
    return found


def test_two_movers_write_one_file_at_the_same_time(
    plant: Plant, notes: Notes, held: Path, source: Path, destination: Path
) -> None:
    task = begin(plant, source, destination)

    def others_are_far() -> bool:
        """One mover stands at the first segment all the time."""
        return len({segment for _, segment in notes.all()}) > 10

    wait_until(others_are_far, "another mover to write other parts of the file")
    (first,) = [process for process, segment in notes.all() if segment == 0]
    assert {process for process, segment in notes.all() if segment} != {first}
    assert 0 not in written(plant)
    held.touch()
    task.limit(None)
    check_exact(plant.database, plant.finish(task), source, destination)
    assert Counter(segment for _, segment in notes.all()) == Counter(range(SEGMENTS))


def test_what_was_written_before_movers_and_controllers_were_killed_is_not_read_again(
    plant: Plant, notes: Notes, held: Path, source: Path, destination: Path
) -> None:
    held.touch()
    task = begin(plant, source, destination)
    random_ = Random(7)
    for kill in range(KILLS):
        known = len(written(plant))
        wait_until(lambda: len(written(plant)) > known, "another segment")  # noqa: B023
        if kill % 3 == 2:
            plant.controllers[-1].kill()
            plant.controllers[-1].wait()
        else:
            wait_until(lambda: len(plant.movers()) == 2, "both movers")
            for mover in random_.sample(plant.movers(), k=1 + kill % 2):
                mover.kill()
        # What is on record now stays written: nobody may begin to read it any more.
        safe, before = written(plant), len(notes.all())
        plant.keep()
        wait_until(lambda: len(notes.all()) > before, "work to go on")  # noqa: B023
        again = {segment for _, segment in notes.all()[before:]}
        assert not again & safe
        assert len(safe) < SEGMENTS, "it was written before all kills"
    task.limit(None)
    safe, before = written(plant), len(notes.all())
    check_exact(plant.database, plant.finish(task), source, destination)
    assert not {segment for _, segment in notes.all()[before:]} & safe
    assert {segment for _, segment in notes.all()} == set(range(SEGMENTS))


def test_a_mover_killed_between_two_segments_changes_nothing_in_the_end(
    plant: Plant, notes: Notes, held: Path, source: Path, destination: Path
) -> None:
    held.touch()
    armed = plant.arm("mover.segment")
    task = begin(plant, source, destination)
    plant.wait_for_death(armed)
    task.limit(None)
    check_exact(plant.database, plant.finish(task), source, destination)
