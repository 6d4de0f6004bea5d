"""`longshore serve`: starts the api and the controller, replaces one that dies, ends them in order.

It holds the listening socket, so that the address stays the same when the api is replaced, and
imports little, since it has nothing else to do. Its processes never outlive it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from longshore import faults
from longshore.bootstrap import LISTENING_DESCRIPTOR, prepare_data_dir, process_command
from longshore.config import Config, environment_of
from longshore.domain.errors import LongshoreError

STOP_SECONDS = 4.5  # SIGTERM ends the server within five seconds, whatever hangs
RESTART_SECONDS = 0.1  # before a dead process is replaced; doubles while it dies at once
RESTART_SECONDS_MAXIMUM = 10.0
STABLE_SECONDS = 30.0  # after so long a life the next death counts as the first again
LISTEN_BACKLOG = 2048  # connections the kernel keeps while the api is busy or being replaced
LOCK_FILE = "server.lock"

_PR_SET_PDEATHSIG = 1


class CannotServe(LongshoreError):
    """The server cannot start, in words for whoever started it."""


@dataclass(slots=True)
class _Child:
    """One of the server's processes."""

    name: str
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0  # when it may be started again
    pause: float = RESTART_SECONDS


def serve(config: Config, *, announce: Callable[[str], None]) -> int:
    """Run a server until SIGTERM or SIGINT; the exit status. Raises CannotServe."""
    faults.switch_on(os.environ.get(faults.VARIABLE))
    try:
        prepare_data_dir(config)
    except OSError as error:
        raise CannotServe(f"cannot make {error.filename}: {error.strerror}") from error
    lock = _lock(config)
    listening = _listen(config)
    faults.at("supervisor.listening")
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    announce(f"Longshore serves http://{shown}:{port}/api/v2 with its data in {config.data_dir}")
    try:
        return _Supervisor(config, listening).run()
    finally:
        listening.close()
        os.close(lock)


class _Supervisor:
    def __init__(self, config: Config, listening: socket.socket) -> None:
        environment = os.environ | environment_of(config)
        descriptor = listening.fileno()
        self._ending = False
        self._alarm = _signal_pipe()
        self._children = [
            _Child("api", environment | {LISTENING_DESCRIPTOR: str(descriptor)}, (descriptor,)),
            _Child("controller", environment),
        ]

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        while not self._ending:
            pauses = [self._keep(child) for child in self._children]
            faults.at("supervisor.started")
            self._wait(min(pauses))
        return self._stop()

    def _end(self, *_: object) -> None:
        self._ending = True

    def _wait(self, seconds: float) -> None:
        """Until a signal comes (a process has died, or the server is to end), or that long."""
        if select.select([self._alarm], [], [], seconds)[0]:
            os.read(self._alarm, 512)

    def _keep(self, child: _Child) -> float:
        """Start the process if it is not there; the seconds until it wants to be seen to again."""
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            self._report_death(child, now)
        if child.process is None and now >= child.start_at:
            child.process, child.started_at = _spawn(child), now
        return 3600.0 if child.process is not None else child.start_at - now

    def _report_death(self, child: _Child, now: float) -> None:
        assert child.process is not None
        if now - child.started_at > STABLE_SECONDS:
            child.pause = RESTART_SECONDS
        message = f"longshore: the {child.name} process ended with {child.process.returncode}"
        print(f"{message}, starting it again in {child.pause} s", file=sys.stderr, flush=True)
        child.process, child.start_at = None, now + child.pause
        child.pause = min(2 * child.pause, RESTART_SECONDS_MAXIMUM)

    def _stop(self) -> int:
        """Ask all to end, wait, and end what is left."""
        present = [child.process for child in self._children if child.process is not None]
        for process in present:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        late = 0
        for process in present:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                late += 1
        return 1 if late else 0


def _signal_pipe() -> int:
    """A descriptor that becomes readable when a signal has come."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # an ignored one would not wake anybody
    return readable


def _spawn(child: _Child) -> subprocess.Popen[bytes]:
    """Start a process that the kernel ends when this one ends."""
    parent = os.getpid()
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        process_command(child.name),
        env=child.environment,
        pass_fds=child.descriptors,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 — this process has one thread
    )


def _lock(config: Config) -> int:
    """The data folder belongs to one server at a time."""
    try:
        lock = os.open(config.data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotServe(f"cannot write to {config.data_dir}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CannotServe(f"another server is using the data folder {config.data_dir}") from None
    return lock


def _listen(config: Config) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((config.host, config.port))
        listening.listen(LISTEN_BACKLOG)
    except OSError as error:
        raise CannotServe(
            f"cannot listen on {config.host} port {config.port}: {error.strerror}"
        ) from error
    return listening
