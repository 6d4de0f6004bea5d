"""Real controllers and movers over a database, started by hand; the api is in the test process.

A test may kill or stop any process and start another controller in a second, which a whole server
with its supervisor would not allow.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from longshore import faults
from longshore.api.app import create_app
from longshore.database import leases
from longshore.database.connection import Database, open_database, reading
from longshore.database.migrate import migrate
from longshore.database.tables.engine import counters
from longshore.database.tables.tasks import task_executions, tasks
from longshore.database.wakeup import SOCKET_FILE
from longshore.domain.execution import IDLE, TaskStatus
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, add_users, context_over
from tests.exactness import last_execution, work_left
from tests.servers import START_SECONDS, wait_for_end, wait_until
from tests.story import Task

RUN_SECONDS = 120.0
SMALL_STEPS = {
    # Many slices and batches, so that kills hit every kind of boundary.
    "LONGSHORE_SLICE_SECONDS": "0.05",
    "LONGSHORE_BATCH_FILES_MAXIMUM": "20",
    "LONGSHORE_MOVERS": "2",
    "LONGSHORE_LEASE_SECONDS": "1",
}


@dataclass(slots=True)
class Plant:
    """A data folder, an api, and whatever controllers the test starts."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Mapping[str, Any]] = ()  # further fault points, as longshore.faults has them
    deadly: Collection[str] = faults.POINTS  # fault points at which the test may kill
    controllers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    family: set[psutil.Process] = field(default_factory=set)  # every process there ever was
    database: Database = field(init=False)
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True)
        self.arms.mkdir()
        self.database = open_database(None, self.data_dir)
        migrate(self.database)
        add_users(self.database)
        self.containers.mkdir()
        context = replace(
            context_over(self.database, self.folder),
            wake=self.wake,
            containers_folder=self.containers,
        )
        self.client = TestClient(create_app(context), base_url="http://longshore/api/v2")
        self.client.auth = ADMINISTRATOR

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def containers(self) -> Path:
        return self.data_dir / "containers"

    @property
    def arms(self) -> Path:
        """A file in here arms the fault point of its name: the next one there is killed."""
        return self.folder / "arms"

    @property
    def clock(self) -> Path:
        """The seconds by which the clocks of all controllers are wrong."""
        return self.folder / "clock"

    @property
    def storages(self) -> Path:
        """The faults of storages, as `longshore.faults` describes them."""
        return self.folder / "storages.json"

    # ------------------------------------------------------------------ processes

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start another controller; it does not lead yet."""
        settings = {
            "LONGSHORE_DATA_DIR": str(self.data_dir),
            faults.VARIABLE: self._faults(),
            **SMALL_STEPS,
            **self.environment,
            **environment,
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith("LONGSHORE_")}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, "-m", "longshore.bootstrap", "controller"),
                env=clean | settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.controllers.append(process)
        self.family.add(psutil.Process(process.pid))
        return process

    def lead(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a controller, and return when it holds the lease."""
        process = self.start(**environment)
        wait_for_end(
            lambda: self.leader() == process.pid or process.poll() is not None,
            f"a leader: see {self.folder / 'log'}",
            START_SECONDS,
        )
        return process

    def leader(self) -> int:
        """The process id of the holder of the lease, or 0."""
        with reading(self.database.journal) as connection:
            held = leases.read(connection)
        return int(held.holder.rsplit(":", 2)[1]) if held is not None else 0

    def keep(self) -> None:
        """Make sure that there is a controller."""
        if all(each.poll() is not None for each in self.controllers):
            self.start()

    def movers(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for each in self.controllers:
            if each.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    found += psutil.Process(each.pid).children()
        self.family.update(found)
        return found

    def stop(self) -> None:
        """End in order what still runs."""
        for each in self.controllers:
            if each.poll() is None:
                each.send_signal(signal.SIGTERM)
        for each in self.controllers:
            each.wait(20)

    def close(self) -> None:
        """Kill what is left, and check that no process outlives its controller."""
        self.movers()
        for each in self.controllers:
            if each.poll() is None:
                each.kill()
            each.wait(20)
        self.database.dispose()
        wait_until(lambda: not self._running(), "all processes to end", 20)

    def _running(self) -> list[psutil.Process]:
        return [each for each in self.family if each.is_running()]

    # ------------------------------------------------------------------ faults

    def arm(self, point: str) -> Path:
        """Let the next process that reaches the point be killed there; gone when it was."""
        file = self.arms / point
        file.touch()
        return file

    def wait_for_death(self, armed: Path) -> None:
        """Wait until somebody was killed at the armed point."""

        def has_happened() -> bool:
            self.keep()
            return not armed.exists()

        wait_until(has_happened, f"a death at {armed.name}: see {self.folder / 'log'}")

    def _faults(self) -> str:
        plan: dict[str, Any] = {
            "points": [
                {"point": point, "act": "kill", "claim": str(self.arms / point)}
                for point in self.deadly
            ]
            + [dict(each) for each in self.points],
            "clock": str(self.clock),
            "storages": str(self.storages),
        }
        return json.dumps(plan)

    def wake(self) -> None:
        descriptor = os.open(self.data_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                with contextlib.suppress(OSError):  # nobody listens: it will look by itself
                    sender.sendto(b"!", f"/proc/self/fd/{descriptor}/{SOCKET_FILE}")
        finally:
            os.close(descriptor)

    # ------------------------------------------------------------------ tasks

    def begin(self, task: Task) -> None:
        """Run the task; a request that a crash has cut short is made again."""

        before = self._executions(task)

        def has_begun() -> bool:
            self.keep()
            if self._executions(task) > before:
                return True
            if task.show()["action"] == "noop":
                assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202
            return False

        wait_until(has_begun, f"task {task.id} to begin", START_SECONDS)

    def finish(self, task: Task, also: Callable[[], object] = bool) -> int:
        """Wait until the task is over, whoever dies meanwhile; the id of its execution."""
        execution_id = last_execution(self.database, task.id)

        def is_over() -> bool:
            self.keep()
            also()
            return self.status(task) in IDLE and work_left(self.database, execution_id) == 0

        wait_for_end(is_over, f"task {task.id}: see {self.folder / 'log'}", RUN_SECONDS)
        return execution_id

    def _executions(self, task: Task) -> int:
        with reading(self.database.state) as connection:
            query = select(func.count()).where(task_executions.c.task_id == task.id)
            return int(connection.execute(query).scalar_one())

    def status(self, task: Task) -> TaskStatus:
        with reading(self.database.state) as connection:
            query = select(tasks.c.status).where(tasks.c.id == task.id)
            return TaskStatus(connection.execute(query).scalar_one())

    def processed(self) -> int:
        """Files on record, of all executions."""
        with reading(self.database.journal) as connection:
            return int(
                connection.execute(select(func.sum(counters.c.processed_files))).scalar() or 0
            )

    def wait_for_more(self, task: Task, files: int) -> None:
        """Wait until so many more files are on record, or until the task is over."""
        begun = self.processed()

        def enough() -> bool:
            self.keep()
            return self.processed() >= begun + files or self.status(task) in IDLE

        wait_until(enough, f"{files} more files: see {self.folder / 'log'}", RUN_SECONDS)


@contextlib.contextmanager
def planted(
    folder: Path,
    *,
    points: Sequence[Mapping[str, Any]] = (),
    deadly: Collection[str] = faults.POINTS,
    **environment: str,
) -> Iterator[Plant]:
    plant = Plant(folder, environment, points, deadly)
    try:
        yield plant
    finally:
        plant.close()
