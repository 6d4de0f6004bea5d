"""Processes of a server: started on free ports, waited for with a limit, ended by their ids."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOG_BYTES_SHOWN = 3000
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class NotProvided(Exception):
    """This machine cannot run the server; the text says what it lacks."""


class StartFailed(Exception):
    """The machine should be able to run the server, but it did not come up."""


class ObjectServer:
    """Where a server is reached: for each of its APIs the settings of a storage address."""

    def __init__(self, name: str, apis: Mapping[str, Mapping[str, str]]) -> None:
        self.name = name
        self.apis = apis

    def settings(self, api: str, bucket: str, **more: str) -> dict[str, str]:
        """The settings of a storage address for one bucket."""
        return {**self.apis[api], "bucket": bucket, **more}


@dataclass(slots=True)
class Processes:
    """The processes of one server, with one log for each in its folder."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self, command: Sequence[str], log: str, **environment: str) -> None:
        """Start one more. It ends when this process does, however that happens."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LONGSHORE"))}
        clean |= {"no_proxy": "*", **environment}
        with (self.folder / f"{log}.log").open("ab") as output:
            self.running.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=clean,
                    cwd=self.folder,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509 - its parent has one thread
                )
            )

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float) -> None:
        """Return once the condition holds; StartFailed when a process ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            if any(process.poll() is not None for process in self.running):
                raise StartFailed(f"a process ended before {what}\n{self.logs()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"waited {seconds:.0f} s for {what}\n{self.logs()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End them as a power failure does: what tests stored is of no worth any more."""
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.running:
            process.wait()
        self.running.clear()

    def send(self, number: signal.Signals) -> None:
        """A signal to all of them: SIGSTOP makes the server silent, SIGCONT lets it go on."""
        for process in self.running:
            os.killpg(process.pid, number)

    def resident_bytes(self) -> int:
        """The memory they hold now, children included."""
        found = [psutil.Process(process.pid) for process in self.running]
        children = [child for each in found for child in each.children(recursive=True)]
        return sum(each.memory_info().rss for each in found + children)

    def logs(self) -> str:
        """The ends of all logs."""
        texts = (
            f"-- {log.name}\n{log.read_bytes()[-LOG_BYTES_SHOWN:].decode(errors='replace')}"
            for log in sorted(self.folder.glob("*.log"))
        )
        return "\n".join(texts)


@dataclass(slots=True)
class Running:
    """A server that this process has started."""

    server: ObjectServer
    processes: Processes

    def stop(self) -> None:
        self.processes.stop()


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether a server accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
