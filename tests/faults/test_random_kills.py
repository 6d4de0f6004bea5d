"""Every kind of process dies at random while the tree that is copied changes under their hands."""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import func, select

from longshore.database.connection import Database, open_database, reading
from longshore.database.tables.engine import counters
from longshore.database.tables.tasks import task_executions, tasks
from longshore.domain.execution import IDLE, TaskStatus
from tests.exactness import check_records, last_execution, status_of, work_left
from tests.plants import RUN_SECONDS, SMALL_STEPS
from tests.servers import Server, wait_until
from tests.story import add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

VICTIMS = {"mover": 25, "callback worker": 11, "controller": 6, "api": 5, "supervisor": 3}
ROUNDS = 3
FILES = 300  # new ones in each round
FILES_BETWEEN_KILLS = 25  # at most
CHANGES = 8  # files touched between two kills
WORKER = "boot.py"  # what a callback worker runs
LEFT_OUT = "temporary"

FILTER = f"""\
import utils
def run(req):
    return not utils.get_node_info(req).path.endswith(".{LEFT_OUT}")
"""


@dataclass(slots=True)
class Household:
    """A server with its database, and every process that it ever had."""

    server: Server
    task_id: int = 0
    family: set[psutil.Process] = field(default_factory=set)
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.server.start()
        self.database = open_database(None, self.server.data_dir)

    def look(self) -> list[psutil.Process]:
        """The processes that there are now, the supervisor first."""
        assert self.server.process is not None
        found = [psutil.Process(self.server.process.pid), *self.server.processes()]
        self.family.update(found)
        return found

    def victims(self, kind: str) -> list[psutil.Process]:
        found = self.look()
        if kind == "supervisor":
            return found[:1]
        if kind == "callback worker":
            return [each for each in found if runs(each, WORKER)]
        return self.server.processes(kind)

    def kill(self, kind: str, random_: random.Random) -> bool:
        """Kill one of them; False if there was none to kill."""
        found = self.victims(kind)
        if not found:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            random_.choice(found).kill()
        if kind == "supervisor":
            assert self.server.process is not None
            self.server.process.wait()
            self.check_orphans()
            self.server.start()
        return True

    def check_orphans(self) -> None:
        wait_until(lambda: not any(each.is_running() for each in self.family), "all to end")

    def close(self) -> None:
        self.look()
        self.server.stop()
        self.database.dispose()
        self.check_orphans()

    # ------------------------------------------------------------------ the task

    def insist(self, ask: Callable[[httpx.Client], bool], what: str) -> None:
        """Ask until the api has answered as wanted: it may die under each question."""

        def answered() -> bool:
            with contextlib.suppress(httpx.TransportError), self.server.client() as client:
                return ask(client)
            return False

        wait_until(answered, what)

    def begin(self) -> None:
        """Run the task; a request that a crash has cut short is made again."""
        before = self._executions()

        def has_begun(client: httpx.Client) -> bool:
            if self._executions() > before:
                return True
            if client.get(f"/tasks/{self.task_id}").json()["action"] == "noop":
                client.put(f"/tasks/{self.task_id}/action/run")
            return False

        self.insist(has_begun, "the task to begin")

    def is_over(self) -> bool:
        query = select(tasks.c.status).where(tasks.c.id == self.task_id)
        with reading(self.database.state) as connection:
            return TaskStatus(connection.execute(query).scalar_one()) in IDLE

    def finish(self) -> int:
        """Wait until the task is over; the id of its execution."""
        execution_id = last_execution(self.database, self.task_id)
        wait_until(
            lambda: self.is_over() and work_left(self.database, execution_id) == 0,
            f"the task to end: see {self.server.log}",
            RUN_SECONDS,
        )
        return execution_id

    def wait_for_more(self, files: int) -> None:
        """Wait until so many more files are on record, or until the task is over."""
        begun = self._processed()
        wait_until(
            lambda: self._processed() >= begun + files or self.is_over(),
            f"{files} more files: see {self.server.log}",
            RUN_SECONDS,
        )

    def _processed(self) -> int:
        with reading(self.database.journal) as connection:
            return connection.execute(select(func.sum(counters.c.processed_files))).scalar() or 0

    def _executions(self) -> int:
        with reading(self.database.state) as connection:
            query = select(func.count()).where(task_executions.c.task_id == self.task_id)
            return int(connection.execute(query).scalar_one())


def runs(process: psutil.Process, file: str) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return any(word.endswith(f"/{file}") for word in process.cmdline())
    return False


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    server = Server(tmp_path / "data", SMALL_STEPS)
    try:
        household = Household(server)
        yield household
        household.close()
    finally:
        server.close()


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
            written = path.with_suffix(f".{LEFT_OUT}")
            written.write_bytes(random_.randbytes(random_.randrange(3000)))
            os.replace(written, path)


def check_ended_well(household: Household, execution_id: int) -> None:
    """The deaths may have cost single files, but not the run."""
    query = select(task_executions.c.status, task_executions.c.reason)
    with reading(household.database.state) as connection:
        row = connection.execute(query.where(task_executions.c.id == execution_id)).one()
    assert row.status in {"done", "finished_with_warnings"}, row


def check_quiet_run(household: Household, source: Path, destination: Path) -> None:
    """A run over a tree that nobody touches makes the destination equal, and does nothing twice."""
    household.begin()
    execution_id = household.finish()
    assert status_of(household.database, execution_id) is TaskStatus.DONE
    check_records(household.database, execution_id)
    found, expected = describe(destination), describe(source)
    del expected[f"never.{LEFT_OUT}".encode()]
    assert {path: found.get(path) for path in expected} == expected
    assert staged_left(destination) == []
    # What was removed from the source may stay, but nothing may have been made up.
    assert not [path for path in found if b"(" in path or path.endswith(LEFT_OUT.encode())]


def test_fifty_random_kills_of_all_kinds_over_a_changing_tree_leave_an_exact_copy(
    household: Household, source: Path, destination: Path
) -> None:
    random_ = random.Random(7)
    planned = [kind for kind, times in VICTIMS.items() for _ in range(times)]
    random_.shuffle(planned)
    (source / f"never.{LEFT_OUT}").touch()
    grow(source / "0", FILES, seed=0)
    with household.server.client() as client:
        household.task_id = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
            conflict_resolution="overwrite",
            script=FILTER,
        ).id
    killed: Counter[str] = Counter()
    per_round = len(planned) // ROUNDS
    for number in range(1, ROUNDS + 1):
        target = number * per_round if number < ROUNDS else len(planned)
        while killed.total() < target:
            grow(source / str(killed.total()), FILES, seed=killed.total())
            household.begin()
            while not household.is_over() and killed.total() < target:
                household.wait_for_more(random_.randrange(FILES_BETWEEN_KILLS))
                kind = planned[killed.total()]
                killed[kind] += household.kill(kind, random_)
                change(source, random_, killed.total())
            execution_id = household.finish()
            check_ended_well(household, execution_id)
            check_records(household.database, execution_id)
            assert staged_left(destination) == []
        check_quiet_run(household, source, destination)
    assert killed == VICTIMS
