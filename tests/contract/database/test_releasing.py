"""A source of a move is released once, by the record with which the last destination holds it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from longshore.database.connection import Database, writing
from longshore.database.record_blocks import put_records
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.storage import StorageKind, StorageReference, folder_address
from longshore.engine.releasing import FOLDERS_AT_ONCE, held_everywhere
from longshore.pipeline.messages.plan import Destination, ExecutionPlan
from tests.pipelines import Bench
from tests.records import record

SECOND, THIRD = (
    StorageReference(StorageKind.NAS_SHARE, 8),
    StorageReference(StorageKind.NAS_SHARE, 9),
)


@pytest.fixture
def plan(tmp_path: Path) -> ExecutionPlan:
    """From one source to three destinations: each pair is a source of its own."""
    bench = Bench(tmp_path)
    plan = bench.plan()
    bench.close()
    further = [Destination(folder_address(each, "/elsewhere"), None) for each in (SECOND, THIRD)]
    sources = [msgspec.structs.replace(plan.sources[0], destination=index) for index in range(3)]
    destinations = [*plan.destinations, *further]
    return msgspec.structs.replace(plan, sources=sources, destinations=destinations)


def settle(
    database: Database, plan: ExecutionPlan, work_id: int, records: list[Record]
) -> set[bytes]:
    """What may be released once these records of a reply are in the journal."""
    with writing(database.journal) as connection:
        ids: list[int | None] = [None] * len(records)
        put_records(connection, plan.execution_id, work_id, records, ids)
        groups = held_everywhere(connection, plan, work_id, records)
    return {group.folder + b"/" + each.name for group in groups for each in group.entries}


def of(source: int, numbers: range, **more: object) -> list[Record]:
    return [record(n, b"d%d/f%03d" % (n % 7, n), source=source, **more) for n in numbers]


def names(numbers: range) -> set[bytes]:
    return {b"d%d/f%03d" % (n % 7, n) for n in numbers}


def test_a_source_goes_with_the_last_of_its_destinations(
    database: Database, plan: ExecutionPlan
) -> None:
    assert settle(database, plan, 1, of(0, range(100))) == set()
    assert settle(database, plan, 2, of(2, range(50))) == set()
    assert settle(database, plan, 3, of(1, range(30))) == names(range(30))
    assert settle(database, plan, 3, of(1, range(30, 90))) == names(range(30, 50))
    assert settle(database, plan, 4, of(2, range(50, 100))) == names(range(50, 90))
    assert settle(database, plan, 5, of(1, range(90, 100))) == names(range(90, 100))


def test_what_failed_or_was_kept_at_one_destination_stays(
    database: Database, plan: ExecutionPlan
) -> None:
    settle(database, plan, 1, of(0, range(9)))
    settle(database, plan, 2, of(1, range(9), outcome=Outcome.IDENTICAL))
    failed, kept = of(2, range(1), outcome=Outcome.FAILED), of(2, range(1, 2), outcome=Outcome.KEPT)
    assert settle(database, plan, 3, failed + kept + of(2, range(2, 9))) == names(range(2, 9))


def test_a_source_that_changed_between_its_destinations_stays(
    database: Database, plan: ExecutionPlan
) -> None:
    settle(database, plan, 1, of(0, range(3)))
    settle(database, plan, 2, of(1, range(3)))
    changed = of(2, range(1), entry={"size": 8}) + of(2, range(1, 2), entry={"mtime_ns": 5})
    assert settle(database, plan, 3, changed + of(2, range(2, 3))) == names(range(2, 3))


def test_a_source_is_released_as_the_first_destination_has_got_it(
    database: Database, plan: ExecutionPlan
) -> None:
    """If it was changed since, in secret, the one who is to remove it sees another time of it."""
    released = []
    for source, ctime_ns in ((0, 7), (1, 9), (2, 8)):
        records = of(source, range(1), entry={"ctime_ns": ctime_ns})
        with writing(database.journal) as connection:
            put_records(connection, plan.execution_id, source + 1, records, [None])
            groups = held_everywhere(connection, plan, source + 1, records)
        released += [entry.ctime_ns for group in groups for entry in group.entries]
    assert released == [7]


def test_the_same_destination_twice_is_one(database: Database, plan: ExecutionPlan) -> None:
    """As when the sources of a task lie in each other."""
    for work_id, source in enumerate((0, 0, 1, 1, 0), start=1):
        assert settle(database, plan, work_id, of(source, range(5))) == set()
    assert settle(database, plan, 6, of(2, range(5))) == names(range(5))
    assert settle(database, plan, 7, of(2, range(5))) == set(), "it was released already"


def test_files_of_other_sources_with_the_same_path_are_other_files(
    database: Database, plan: ExecutionPlan
) -> None:
    other = [
        msgspec.structs.replace(each, storage=folder_address(SECOND, "/other"))
        for each in plan.sources
    ]
    both = msgspec.structs.replace(plan, sources=[*plan.sources, *other])
    for work_id, source in enumerate((0, 4, 2), start=1):
        assert settle(database, both, work_id, of(source, range(5))) == set()
    assert settle(database, both, 9, of(1, range(5))) == names(range(5))


def test_replies_of_many_folders_are_looked_for_in_parts(
    database: Database, plan: ExecutionPlan
) -> None:
    def spread(source: int) -> list[Record]:
        many = range(2 * FOLDERS_AT_ONCE + 5)
        return [record(n, b"deep/d%d/file" % n, source=source) for n in many]

    assert settle(database, plan, 1, spread(0)) == settle(database, plan, 2, spread(1)) == set()
    assert len(settle(database, plan, 3, spread(2))) == 2 * FOLDERS_AT_ONCE + 5
