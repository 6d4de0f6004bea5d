"""Memory and speed of manifests, and the longest step of retention, over many rows.

    python benchmarks/bench_report.py [--rows 300000] [--folder /tmp]

Reads the manifest of one execution through the application in this process and prints how far the
resident memory rises above what it was after a short manifest of the same form.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice
from pathlib import Path

import psutil
from sqlalchemy import insert
from tests.api.conftest import context_over
from tests.records import add_records, record

from longshore.config import Config
from longshore.database import leases
from longshore.database.connection import Database, open_database, writing
from longshore.database.migrate import migrate
from longshore.database.tables.engine import counters
from longshore.database.tables.tasks import task_executions
from longshore.database.tables.users import users
from longshore.domain.record import Record
from longshore.engine import retention
from longshore.engine.floor import Floor
from longshore.services import reports
from longshore.services.principal import Principal
from longshore.services.reports import Form

SHORT, LONG = 1_000_000_000_000_000_001, 1_000_000_000_000_000_002
SHORT_ROWS = 20_000
SUMS = ("to_process_size", "processed_size", "to_process_files", "processed_files",
        "finalized_files", "failed_files")  # fmt: skip


def records_of(count: int) -> Iterator[tuple[int, Record, int | None]]:
    for number in range(count):
        path = b"some/folder/of/ordinary/length/file-%08d.dat" % number
        yield (
            number,
            record(
                number,
                path,
                entry={"size": 4096, "mtime_ns": 1_600_000_000_000_000_000 + number},
                target_path=b"live/" + path,
                checksum=number.to_bytes(32, "big"),
                xxh3_128=number.to_bytes(16, "big"),
                finished_ns=1_700_000_000_000_000_000 + number,
            ),
            number + 1,
        )


def fill(database: Database, execution_id: int, count: int) -> None:
    values = {
        "id": execution_id, "task_id": 1, "owner_id": 1000, "name": "t", "priority": 5,
        "status": "done", "log_time": 0, "job_started": 0, "job_finished": 1,
        "active_seconds": 0.0, "plan": b"", "facts": json.dumps({}), **dict.fromkeys(SUMS, 0),
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(task_executions), [values])
    records = records_of(count)
    with writing(database.journal) as connection:
        start = {"execution_id": execution_id, "refused_files": 0, "warnings": 0}
        connection.execute(insert(counters), [start | dict.fromkeys(SUMS, 0)])
        while chunk := list(islice(records, 10_000)):
            add_records(connection, execution_id, chunk, checksum_kind="sha256")


def megabytes() -> float:
    return psutil.Process().memory_info().rss / 1e6


def read(folder: Path, database: Database, form: Form, execution_id: int) -> tuple[int, float]:
    """(bytes of the manifest, the highest resident memory while it was made in MB)."""
    found = reports.report(
        context_over(database, folder),
        Principal(1000, "admin", administrator=True, scopes=None),
        str(execution_id),
        None,
        form=form,
        full=None,
    )
    size, highest = 0, megabytes()
    for piece in found.pieces:
        size += len(piece)
        highest = max(highest, megabytes())
    return size, highest


def sweep(database: Database) -> tuple[float, float]:
    """(seconds until everything is removed, the longest single visit of the controller)."""
    with writing(database.journal) as connection:
        lease = leases.take(connection, "bench", time.time() + 1000)
    floor = Floor(
        config=Config(keep_outcomes_days=1, lease_seconds=600),
        database=database,
        lease=lease,
        callbacks_test=Future(),
        clock=time.time,
        monotonic=time.monotonic,
        time_ns=time.time_ns,
    )
    housekeeping, longest, begun = retention.Retention(), 0.0, time.monotonic()
    while True:
        start = time.monotonic()
        housekeeping.work(floor)
        longest = max(longest, time.monotonic() - start)
        if housekeeping._sweep is None:
            return time.monotonic() - begun, longest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        (folder / "data").mkdir()
        database = open_database(None, folder / "data")
        migrate(database)
        user = {"id": 1000, "name": "admin", "password_hash": "", "administrator": True}
        with writing(database.state) as connection:
            connection.execute(insert(users), [user | {"creation_date": 0}])
        fill(database, SHORT, SHORT_ROWS)
        fill(database, LONG, given.rows)
        for form in Form:
            _, before = read(folder, database, form, SHORT)
            begun = time.monotonic()
            size, highest = read(folder, database, form, LONG)
            seconds = time.monotonic() - begun
            print(
                f"{form.value:8} {given.rows} rows {size / 1e6:6.1f} MB in {seconds:5.1f} s, "
                f"RSS {before:.0f} MB after {SHORT_ROWS} rows, at most {highest:.0f} MB"
            )
        seconds, longest = sweep(database)
        print(f"retention: {seconds:.1f} s, longest visit {longest * 1000:.0f} ms")
        database.dispose()


if __name__ == "__main__":
    main()
