"""What competes: each copies the content of one folder into another, and says what it is."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import psutil
from benchmarks.peers.measuring import Cost, cpu_of, family, measured
from tests.servers import Server
from tests.story import FINAL, Task, add_copy_task, add_share_pool

import longshore

POLL_SECONDS = 0.02  # between two looks at the task; so much too long its time may be, at most
RUN_SECONDS_MAXIMUM = 1800.0


class Failed(Exception):
    """The contender has not done its work."""


class Contender(ABC):
    """One tool in one form."""

    name: str
    text: str  # what it does, for the table

    @abstractmethod
    def version(self) -> str | None:
        """Its version, None if it is not installed."""

    @abstractmethod
    def run(self, source: Path, destination: Path, *, again: bool) -> Cost:
        """Copy what is in the source into the destination, once more or not. Raises Failed."""

    def prepare(self, source: Path, destination: Path, work: Path) -> None:  # noqa: B027
        """Whatever comes before the clock starts."""

    def finish(self) -> None:  # noqa: B027
        """Whatever comes after everything is measured."""


class Commands(Contender):
    """A program, or several of them one after the other."""

    def __init__(
        self,
        name: str,
        text: str,
        *commands: Sequence[str],
        again: Sequence[Sequence[str]] | None = None,
    ) -> None:
        self.name, self.text = name, text
        self._commands = commands
        self._again = again or commands
        self._environment = dict(os.environ)

    def version(self) -> str | None:
        program = _program(self._commands[0][0])
        return None if program is None else _version_of(program)

    def prepare(self, source: Path, destination: Path, work: Path) -> None:
        self._environment |= {"RCLONE_CONFIG": str(work / "rclone.conf"), "TMPDIR": str(work)}

    def run(self, source: Path, destination: Path, *, again: bool) -> Cost:
        present: list[psutil.Process] = []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with measured(lambda: [each for one in present for each in family(one)]) as cost:
            for command in self._again if again else self._commands:
                places = {"source": str(source), "destination": str(destination)}
                words = [word.format(**places) for word in command[1:]]
                program = _program(command[0])
                assert program is not None
                process = subprocess.Popen(
                    [program, *words],
                    env=self._environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                present[:] = [psutil.Process(process.pid)]
                output, _ = process.communicate(timeout=RUN_SECONDS_MAXIMUM)
                if process.returncode != 0:
                    raise Failed(f"{self.name}: {output.decode(errors='replace')[-500:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cost.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return cost


class Longshore(Contender):
    """A running server with a task that is made before the clock starts."""

    name = "longshore"
    text = "a task run through the REST API; verified by reading back, each file on record"

    _server: Server | None = None
    _task: Task | None = None

    def version(self) -> str | None:
        return longshore.__version__

    def prepare(self, source: Path, destination: Path, work: Path) -> None:
        server = self._server = Server(work / "data")
        server.start()
        client = server.client()
        live = add_share_pool(client, "live", "primary", source)
        archive = add_share_pool(client, "archive", "offline_archive", destination)
        self._task = add_copy_task(client, live, archive, conflict_resolution="overwrite")

    def run(self, source: Path, destination: Path, *, again: bool) -> Cost:
        server = self._server
        task = self._task
        assert server is not None
        assert server.process is not None
        assert task is not None
        root = psutil.Process(server.process.pid)
        files = sum(len(names) for _, _, names in os.walk(source))
        before = cpu_of(family(root))
        with measured(lambda: family(root)) as cost:
            task.act("run")
            while (shown := task.show())["status"] not in FINAL:
                time.sleep(POLL_SECONDS)
        cost.cpu_seconds = cpu_of(family(root)) - before
        execution = task.execution()
        if shown["status"] != "done" or execution["processed_files"] != files:
            raise Failed(f"longshore: {shown['status']}, {execution['processed_files']} files")
        path = f"/task_executions/{execution['id']}/files"
        recorded = task.client.get(path, params={"limit": 1}).raise_for_status().json()
        if recorded["count"] != files:
            raise Failed(f"longshore: {recorded['count']} of {files} files are on record")
        return cost

    def finish(self) -> None:
        if self._server is not None:
            if self._task is not None:
                self._task.client.close()
            self._server.close()
            self._server, self._task = None, None


def _program(name: str) -> str | None:
    """Where the program is: beside this interpreter, or on the path."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def _version_of(program: str) -> str:
    option = {"rclone": "version", "fpsync": "-v"}.get(Path(program).name, "--version")
    shown = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return (shown.stdout or shown.stderr).splitlines()[0].strip()


def contenders() -> list[Contender]:
    """All of them, in the order of the table."""
    rclone = ("rclone", "copy", "{source}", "{destination}")
    rsync = ("rsync", "-a", "{source}/", "{destination}/")
    return [
        Longshore(),
        Commands(
            "cp",
            "cp -a; what was copied before: cp -au",
            ("cp", "-a", "{source}/.", "{destination}/"),
            again=[("cp", "-au", "{source}/.", "{destination}/")],
        ),
        Commands("rclone", "rclone copy", rclone),
        Commands(
            "rclone+check",
            "rclone copy, then rclone check",
            rclone,
            ("rclone", "check", "{source}", "{destination}"),
        ),
        Commands("rsync", "rsync -a", rsync),
        Commands(
            "rsync+c",
            "rsync -a, then rsync -a -c",
            rsync,
            ("rsync", "-a", "-c", "{source}/", "{destination}/"),
        ),
        Commands(
            "fpsync",
            "fpsync with a job for each processor",
            ("fpsync", "-n", str(os.cpu_count() or 1), "{source}/", "{destination}/"),
        ),
    ]
