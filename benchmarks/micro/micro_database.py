"""Recording a batch of a thousand files, listing a folder, a page of tasks: with SQLite."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from benchmarks.bench_api import rows
from pytest_benchmark.fixture import BenchmarkFixture
from sqlalchemy import insert
from tests.api.client import TestClient
from tests.pipelines import Bench

from longshore.database import catalogue, journal, recorded_files
from longshore.database.connection import Database, reading, writing
from longshore.database.tables.tasks import tasks
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.engine.folder_ids import FolderIds
from longshore.engine.recording import Recorder
from longshore.pipeline.messages.replies import CopyReply

FILES = 1000
PER_FOLDER = 100
ROUNDS = 50
TASKS = 20_000
TIME_NS = 1_600_000_000_000_000_000


def reply_of(work_id: int) -> bytes:
    """What a mover sends of a batch whose files nobody has seen before."""
    records = []
    for place in range(FILES):
        number = work_id * FILES + place
        folder = b"work%06d/folder%03d" % (work_id, place // PER_FOLDER)
        entry = Entry(
            b"file%08d.dat" % number, EntryKind.FILE, 4096, 0o100644, 0, 0, TIME_NS + number,
            TIME_NS + number, TIME_NS + number, number,
        )  # fmt: skip
        target = b"live/" + folder + b"/" + entry.name
        records.append(
            Record(
                place,
                0,
                folder,
                entry,
                Outcome.COPIED,
                target,
                number.to_bytes(16, "big"),
                b"",
                None,
                0,
                1,
                TIME_NS + number,
            )
        )
    return msgspec.msgpack.encode(CopyReply(records, None, FILES * 4096, 0))


@pytest.mark.parametrize("known", [False, True], ids=["new files", "known files"])
def test_record_of_a_batch(
    benchmark: BenchmarkFixture, database: Database, bench: Bench, known: bool
) -> None:
    """Decode the reply, write records, catalogue and copies, commit."""
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "live")
        journal.start_counting(connection, bench.plan().execution_id)
    plan = bench.plan()
    plan = msgspec.structs.replace(
        plan, sources=[msgspec.structs.replace(plan.sources[0], root_id=root)]
    )
    recorder, decoder = Recorder(plan, FolderIds()), msgspec.msgpack.Decoder(CopyReply)
    work_ids = itertools.count(1)

    def setup() -> tuple[tuple[int, bytes], dict[str, object]]:
        work_id = next(work_ids)
        return (work_id, reply_of(1 if known else work_id)), {}

    def record(work_id: int, message: bytes) -> None:
        reply = decoder.decode(message)
        with writing(database.journal) as connection:
            change = recorder.record(connection, work_id, reply.records)
            journal.count(connection, plan.execution_id, change)

    benchmark.pedantic(record, setup=setup, rounds=ROUNDS, warmup_rounds=2)
    with reading(database.journal) as connection:
        recorded = recorded_files.count(connection, plan.execution_id)
    assert recorded == (ROUNDS + 2) * FILES


def test_catalogue_listing(
    benchmark: BenchmarkFixture, database: Database, client: TestClient
) -> None:
    """A page of 50 entries of a folder with 20,000, over HTTP in this process."""
    body = {"name": "live", "type": "primary", "content": "nas"}
    pool = client.post("/pools", json=body).raise_for_status().json()
    root = int(pool["primary_id"])
    files = [
        Entry(b"file%06d" % number, EntryKind.FILE, 1, 0o100644, 0, 0, 1, 1, 1)
        for number in range(20_000)
    ]
    with writing(database.journal) as connection:
        catalogue.put(connection, root, root, files)
    offsets = itertools.cycle(range(0, 5000, 50))

    def page() -> int:
        given = {"limit": 50, "offset": next(offsets)}
        return len(client.get(f"/files/{root}/children", params=given).json()["files"])

    assert benchmark(page) == 50


def test_list_of_tasks(benchmark: BenchmarkFixture, database: Database, client: TestClient) -> None:
    """A page of 50 out of 20,000 tasks with a filter and an order, over HTTP in this process."""
    for piece in rows(TASKS):
        with writing(database.state) as connection:
            connection.execute(insert(tasks), piece)
    given = {"status": "done", "sort_by": "name", "limit": "50"}
    assert benchmark(lambda: len(client.get("/tasks", params=given).json()["tasks"])) == 50
