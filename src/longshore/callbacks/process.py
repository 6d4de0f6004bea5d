"""One worker process, seen from the server: started, asked, listened to with a deadline, ended.

    start -> READY (locked down, no script yet) -> LOAD -> LOADED -> BATCH -> ANSWERS ... -> killed

The server trusts nothing that comes back. Reads and writes never block: a worker that does not read
or does not write costs its deadline and is killed.
"""

import fcntl
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from .errors import SandboxUnavailable, WorkerLost
from .language import switched_off
from .limits import Limits
from .values import Language, printable
from .worker import frames, messages

WORKER_FOLDER: Final = Path(__file__).with_name("worker")

FIRST_FREE_FD: Final = 10
"""The worker's ends are passed above the numbers they will get, so neither overwrites the other."""

READ_BYTES: Final = 1 << 18
"""One read's size; a pipe holds less."""

WRITE_BYTES: Final = 1 << 20
"""One write's size; a pipe takes less."""

END_SECONDS: Final = 1.0
"""How long a worker that closed its pipe may take to end before it is called silent."""

REASON_CHARACTERS: Final = 500
"""A refusal's text: more than our own worker's longest sentence."""


class WorkerProcess:
    """A locked, still empty worker for one language; SandboxUnavailable when it cannot be had.

    WorkerLost when it was killed before it was locked down, which says nothing about the next one.

    Not for several threads at once. The thread that starts it has to outlive it: the kernel kills a
    worker when the thread that started it ends.
    """

    def __init__(self, language: Language, limits: Limits) -> None:
        if language not in limits.languages:
            raise SandboxUnavailable(switched_off(language))
        self._limits = limits
        self._buffer = bytearray()
        self._process, self._write_fd, self._read_fd = _start(language, limits)
        self._poll_write, self._poll_read = select.poll(), select.poll()
        self._poll_write.register(self._write_fd, select.POLLOUT)
        self._poll_read.register(self._read_fd, select.POLLIN)
        self.close = weakref.finalize(self, _end, self._process, self._write_fd, self._read_fd)
        try:
            self.ready = self._read_ready()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process's number, for tests and diagnosis."""
        return self._process.pid

    @property
    def has_unread(self) -> bool:
        """Whether the worker has said more than was asked for."""
        return bool(self._buffer)

    def send(self, kind: int, body: bytes, *, timeout_seconds: float) -> None:
        """Give the worker one frame, whole; WorkerLost when it does not take it in time."""
        deadline = time.monotonic() + timeout_seconds
        data = memoryview(frames.HEADER.pack(len(body), kind) + body)
        while data:
            try:
                data = data[os.write(self._write_fd, data[:WRITE_BYTES]) :]
            except BlockingIOError:
                self._wait(self._poll_write, deadline, timeout_seconds)
            except BrokenPipeError:
                self._raise_end()

    def receive(self, *, timeout_seconds: float) -> tuple[int, bytes]:
        """Return the next frame's kind and body; WorkerLost when none comes in time."""
        deadline = time.monotonic() + timeout_seconds
        while (frame := self._next_frame()) is None:
            self._wait(self._poll_read, deadline, timeout_seconds)
            part = os.read(self._read_fd, READ_BYTES)
            if not part:
                self._raise_end()
            self._buffer += part
        return frame

    def _next_frame(self) -> tuple[int, bytes] | None:
        start = frames.HEADER.size
        if len(self._buffer) < start:
            return None
        length, kind = frames.HEADER.unpack_from(self._buffer)
        if length > self._limits.answer_frame_bytes:
            raise WorkerLost("it broke the protocol: an answer that is too long")
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return kind, body

    def _wait(self, poll: select.poll, deadline: float, timeout_seconds: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise WorkerLost(f"it gave no answer for {timeout_seconds:g} s", timed_out=True)

    def _raise_end(self) -> NoReturn:
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise WorkerLost("it closed its channel") from None
        raise WorkerLost(_described_end(status), killed=status == -signal.SIGKILL)

    def _read_ready(self) -> messages.Ready:
        try:
            kind, body = self.receive(timeout_seconds=self._limits.start_timeout_seconds)
        except WorkerLost as error:
            if error.killed:
                raise
            raise SandboxUnavailable(f"the worker did not start: {error}") from error
        if kind == frames.REFUSED:
            reason = printable(body.decode("utf-8", "replace"), REASON_CHARACTERS)
            raise SandboxUnavailable(f"the worker refused to start: {reason}")
        try:
            if kind == frames.READY:
                return msgspec.msgpack.decode(body, type=messages.Ready)
        except msgspec.MsgspecError:
            pass
        raise SandboxUnavailable("the worker's first words are not understood")


def _start(language: Language, limits: Limits) -> tuple[subprocess.Popen[bytes], int, int]:
    request_read, request_write = os.pipe()
    answer_read, answer_write = os.pipe()
    passed: list[int] = []
    try:
        for descriptor in (request_read, answer_write):
            passed.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE_FD))
        for descriptor in (request_write, answer_read):
            os.set_blocking(descriptor, False)
        return _spawn(_settings(language, limits, *passed), passed), request_write, answer_read
    except BaseException:
        os.close(request_write)
        os.close(answer_read)
        raise
    finally:
        for descriptor in (request_read, answer_write, *passed):
            os.close(descriptor)


def _spawn(settings: dict[str, object], passed: list[int]) -> subprocess.Popen[bytes]:
    # Isolated, without site packages, without writing bytecode: nothing of the server leaks in.
    boot = str(WORKER_FOLDER / "boot.py")
    command = [sys.executable, "-I", "-S", "-B", "-X", "utf8", boot, json.dumps(settings)]
    try:
        return subprocess.Popen(
            command,
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxUnavailable(f"the worker cannot be started: {error}") from error


def _settings(
    language: Language, limits: Limits, request_fd: int, answer_fd: int
) -> dict[str, object]:
    return {
        "engine": language.value,
        "request_fd": request_fd,
        "answer_fd": answer_fd,
        "worker_folder": str(WORKER_FOLDER),
        "msgspec_file": msgspec.__file__,
        "quickjs_file": _quickjs_file() if language is Language.JAVASCRIPT else None,
        "memory_bytes": limits.memory_bytes,
        "uid": limits.uid,
        "gid": limits.gid,
        "landlock": limits.landlock,
        "parent_pid": os.getpid(),
    }


def _quickjs_file() -> str:
    # Only located, never loaded: the server itself runs no JavaScript engine.
    spec = importlib.util.find_spec("_quickjs")
    if spec is None or spec.origin is None:
        raise SandboxUnavailable("JavaScript callbacks need the package quickjs")
    return spec.origin


def _end(process: subprocess.Popen[bytes], *descriptors: int) -> None:
    process.kill()
    process.wait()
    for descriptor in descriptors:
        os.close(descriptor)


def _described_end(status: int) -> str:
    if status == -signal.SIGSYS:
        return "it was killed for a forbidden system call"
    if status < 0:
        return f"it was killed by {signal.Signals(-status).name}"
    return f"it ended with status {status}"
