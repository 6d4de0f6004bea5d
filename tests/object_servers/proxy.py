"""A TCP proxy in front of a server, which disturbs connections as a test wants it while it runs."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.object_servers.processes import free_port

BLOCK_BYTES = 64 * 1024
HELD_SECONDS = 60.0  # for a client to give up; those of tests do so much sooner
DRAIN_SECONDS = 5.0  # for the rest of a request that was answered before its end
_SLOW_DOWN = b"<Error><Code>SlowDown</Code></Error>"
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-type: application/xml\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_SLOW_DOWN), _SLOW_DOWN)
)
"""What S3 says to who asks too often; the others go by the status."""


@dataclass(slots=True)
class Disturbance:
    """What is done to connections, `times` times in all. Bytes count from when it was set."""

    cut_upload_after: int | None = None  # bytes; then the connection is reset
    cut_download_after: int | None = None
    corrupt_upload_at: int | None = None  # the byte that is changed
    corrupt_download_at: int | None = None
    hold_upload_after: int | None = None  # bytes; then nothing passes until the client gives up
    hold_download_after: int | None = None
    answer: bytes = b""  # instead of the server's
    times: int = 1
    hits: int = 0  # how often it was done

    def take(self) -> bool:
        """Whether it is to be done once more; that counts as done."""
        if self.hits >= self.times:
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class _Way:
    """One direction of a connection."""

    source: socket.socket
    sink: socket.socket
    is_upload: bool
    disturbance: Disturbance | None = None
    passed: int = 0

    def limits(self) -> tuple[int | None, int | None, int | None]:
        """Where it is cut, where a byte is changed, where it is held."""
        found = self.disturbance
        if found is None:
            return None, None, None
        if self.is_upload:
            return found.cut_upload_after, found.corrupt_upload_at, found.hold_upload_after
        return found.cut_download_after, found.corrupt_download_at, found.hold_download_after


class _Cut(Exception):
    """The connection ends here."""


@dataclass(slots=True)
class Proxy:
    """Passes connections on to the server at the endpoint, until `stop`; `start` may follow."""

    upstream: str
    port: int = field(default_factory=free_port)
    disturbance: Disturbance = field(default_factory=lambda: Disturbance(times=0))
    bytes_down: int = 0  # that have passed from the server to clients
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """The address that leads through the proxy."""
        parts = urlsplit(self.upstream)
        return parts._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Accept connections, under the same port as before."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self._listener = listener
        self._begin(lambda: self._accept(listener))

    def stop(self) -> None:
        """Be gone: no connection is accepted, those there are end."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def disturb(self, disturbance: Disturbance) -> Disturbance:
        """From now on do this to connections, also to those there are."""
        self.disturbance = disturbance
        return disturbance

    def cut_all(self) -> None:
        """End all connections there are."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # it was closed
            self._begin(partial(self._serve, client))

    def _serve(self, client: socket.socket) -> None:
        parts = urlsplit(self.upstream)
        with client:
            try:
                server = socket.create_connection((parts.hostname, parts.port))
            except OSError:
                return
            with server:
                with self._lock:
                    self._open |= {client, server}
                try:
                    with contextlib.suppress(OSError, _Cut):
                        self._carry(client, server)
                finally:
                    with self._lock:
                        self._open -= {client, server}

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        ways = {client: _Way(client, server, True), server: _Way(server, client, False)}
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for source in ready:
                data = source.recv(BLOCK_BYTES)
                if not data:
                    return
                self._pass_on(ways[source], data)

    def _pass_on(self, way: _Way, data: bytes) -> None:
        now = self.disturbance
        if way.disturbance is not now:
            way.disturbance, way.passed = now, 0
        if way.is_upload and now.answer and now.take():
            self._answer(way.source, now.answer)
        cut, corrupt, hold = way.limits()
        end = way.passed + len(data)
        if corrupt is not None and way.passed <= corrupt < end and now.take():
            changed = bytearray(data)
            changed[corrupt - way.passed] ^= 0xFF
            data = bytes(changed)
            end -= corrupt + 1  # the next time as many bytes later
        if cut is not None and way.passed <= cut < end and now.take():
            self._send(way, data[: cut - way.passed])
            raise _Cut
        if hold is not None and way.passed <= hold < end and now.take():
            self._send(way, data[: hold - way.passed])
            self._wait_for_end_of(way.source if way.is_upload else way.sink)
            raise _Cut
        way.passed = end
        self._send(way, data)

    def _send(self, way: _Way, data: bytes) -> None:
        way.sink.sendall(data)
        if not way.is_upload:
            self.bytes_down += len(data)

    @staticmethod
    def _wait_for_end_of(client: socket.socket) -> None:
        """Return once the client has closed the connection; what it still sends goes nowhere."""
        client.settimeout(HELD_SECONDS)
        while client.recv(BLOCK_BYTES):
            pass

    @staticmethod
    def _answer(client: socket.socket, answer: bytes) -> None:
        """Answer, and take the rest of the request: a reset would overtake the answer."""
        client.sendall(answer)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(DRAIN_SECONDS)
        while client.recv(BLOCK_BYTES):
            pass
        raise _Cut
