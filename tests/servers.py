"""Real servers for tests: started on a free loopback port, stopped by their process ids."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

START_SECONDS = 60.0  # a loaded machine takes a while for its imports
LOOK_SECONDS = 0.01  # between two looks of who has to act in the middle of something
END_SECONDS_MAXIMUM = 0.1  # the same of who waits for an end …
LOOKS_PER_WAIT = 20  # … which is noticed later than it had to be by a twentieth at most
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS, and reading all authorities takes longer than a request."""

PASSWORD = "correct horse battery staple"


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """The condition's first true value. Fails with `what` when the time is over."""
    return _wait(condition, what, seconds, LOOK_SECONDS)


def wait_for_end(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Like `wait_until`, for what stays true.

    It is looked at less often the longer it takes: every look keeps a server from its work.
    """
    return _wait(condition, what, seconds, END_SECONDS_MAXIMUM)


def _wait(condition: Callable[[], Any], what: str, seconds: float, pause_maximum: float) -> Any:
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begun
        if waited > seconds:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(min(max(LOOK_SECONDS, waited / LOOKS_PER_WAIT), pause_maximum))


@dataclass(slots=True)
class Server:
    """A `longshore serve` in its own process group, on a free port."""

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "longshore")  # what the interpreter runs
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.log = self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self) -> None:
        """Start, and return once the api serves and the controller holds its lease."""
        settings = {"LONGSHORE_ADMIN_PASSWORD": PASSWORD, **self.environment}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("LONGSHORE_")}
        begun = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                (
                    sys.executable,
                    *self.program,
                    "serve",
                    "--port=0",
                    f"--data-dir={self.data_dir}",
                ),
                env=clean | settings,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        pattern = re.compile(rb"serves (http://[^ ]+)/api/v2")
        found = wait_for_end(
            lambda: self._alive() and pattern.search(self.log.read_bytes()[begun:]),
            f"an address in the log: {self.log}",
            START_SECONDS,
        )
        self.url = found.group(1).decode()
        wait_for_end(self.is_healthy, f"health: see {self.log}", START_SECONDS)

    def stop(self, *, seconds: float = 60.0) -> int:
        """End it in order; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill_group(self) -> None:
        """SIGKILL to every process of the server."""
        assert self.process is not None
        group = self.processes()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(group, timeout=10)

    def processes(self, name: str = "") -> list[psutil.Process]:
        """The server's processes; with a name only `api`, `controller` or `mover`."""
        assert self.process is not None
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [each for each in found if not name or _is(each, name)]

    def client(self, user: str = "admin", password: str = PASSWORD) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/api/v2",
            auth=(user, password),
            timeout=30,
            trust_env=False,
            verify=NO_TLS,
        )

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill_group()

    def _alive(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server has ended: {self.log.read_text()[-3000:]}")
        return True

    def is_healthy(self) -> bool:
        self._alive()
        try:
            answer = httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False, verify=NO_TLS)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


def _is(process: psutil.Process, name: str) -> bool:
    try:
        return process.cmdline()[1:4] == ["-m", "longshore.bootstrap", name]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def serving(data_dir: Path, **environment: str) -> Iterator[Server]:
    """A started server that is gone afterwards; for fixtures."""
    server = Server(data_dir, environment)
    server.start()
    try:
        yield server
    finally:
        server.close()
