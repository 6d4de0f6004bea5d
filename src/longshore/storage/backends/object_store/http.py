"""HTTP connections to one server: kept open, used by one request at a time, with limits on waits.

Only what object stores need. Bodies are sent from and received into buffers without further copies,
and whatever goes wrong comes as one of three exceptions.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import msgspec

from longshore.storage.backends.object_store.wire import Garbled, Head, Wire

CONNECT_SECONDS: Final = 10.0  # to a server that is there; more is a lost one
READ_SECONDS: Final = 60.0
"""Without a byte; completing an upload of many parts may take a store that long."""

IDLE_CONNECTIONS_MAXIMUM: Final = 64  # kept for the next requests; as many as are in flight at once
ERROR_BYTES_MAXIMUM: Final = 64 * 1024  # of the body of a refusal; the reason stands in front
STEP_BYTES: Final = 64 * 1024  # in which a body of unknown length is read


class Unreachable(Exception):
    """There is no server at the address."""


class Broken(Exception):
    """The connection ended before the answer did."""


class TooSlow(Exception):
    """The server did not answer in time."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is, and how it is reached."""

    host: str
    port: int
    secure: bool
    proxy: str = ""  # http://user:password@host:port
    ca_file: str = ""  # certificates to trust instead of the system's
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS


def place_of(
    endpoint: str,
    *,
    proxy: str = "",
    ca_file: str = "",
    connect_seconds: float = CONNECT_SECONDS,
    read_seconds: float = READ_SECONDS,
) -> Place:
    """The place that an address such as `https://s3.example.com:8443` means. Raises ValueError."""
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not an http or https address: {endpoint!r}")
    secure = parts.scheme == "https"
    return Place(
        host=parts.hostname,
        port=parts.port or (443 if secure else 80),
        secure=secure,
        proxy=proxy,
        ca_file=ca_file,
        connect_seconds=connect_seconds,
        read_seconds=read_seconds,
    )


class Answer:
    """An answer whose headers are there. Leave the block only when the body was read."""

    def __init__(self, wire: Wire, head: Head, end: Callable[[bool], None]) -> None:
        self.status = head.status
        self.headers = head.headers
        self._wire = wire
        self._is_last = head.is_last
        self._end = end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._end(False)

    def read(self) -> bytes:
        """The whole body."""
        with _named_errors():
            return self._wire.read()

    def read_error(self) -> bytes:
        """The beginning of the body of a refusal."""
        body = bytearray()
        try:
            for piece in self._pieces():
                body += piece
                if len(body) >= ERROR_BYTES_MAXIMUM:
                    break
        except (OSError, Garbled):
            return bytes(body)  # the status has to do
        return bytes(body)

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer from the body; the bytes that came, fewer if the connection ended."""
        filled = 0
        try:
            while filled < len(buffer):
                count = self._wire.read_into(buffer[filled:])
                if count == 0:
                    break
                filled += count
        except (OSError, Garbled):
            return filled  # the caller sees that something is missing, and goes on from there
        return filled

    def close(self) -> None:
        """Leave the block by hand, the body read or not."""
        self._end(self._wire.is_at_end and not self._is_last)

    def _pieces(self) -> Iterator[bytes]:
        if self._wire.is_at_end:
            return
        buffer = memoryview(bytearray(STEP_BYTES))
        while count := self._wire.read_into(buffer):
            yield bytes(buffer[:count])


class Connections:
    """The connections to one place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._idle: list[Wire] = []
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for wire in idle:
            wire.close()

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | bytearray | memoryview = b"",
    ) -> Answer:
        """Send a request; the answer is to be used in a `with` block. The headers name the host."""
        head = self.head(method, target, headers, len(body))
        wire = self.take()
        try:
            with _named_errors():
                wire.send(head, body)
                answer = wire.receive_head(method)
        except BaseException:
            wire.close()
            raise
        return Answer(wire, answer, lambda reusable: self.give_back(wire, reusable=reusable))

    def head(self, method: str, target: str, headers: Mapping[str, str], length: int) -> bytes:
        """A request as it goes over the wire, up to its body of so many bytes. Unreachable."""
        lines = [f"{method} {self._target(target)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if length or method in {"PUT", "POST"}:
            lines.append(f"content-length: {length}")
        try:
            head = "\r\n".join((*lines, "", "")).encode("latin-1")
        except UnicodeEncodeError:
            head = b""
        if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1:
            # It comes from settings, and may be a key: it is not shown.
            raise Unreachable("a setting has signs that no request can hold")
        return head

    def take(self) -> Wire:
        """A connection that nobody else uses, until it is given back or closed. Unreachable."""
        return self._idle_wire() or self._connect()

    def take_several(self, count: int) -> list[Wire]:
        """So many connections at most, one at least, opened at the same time. Unreachable."""
        wires: list[Wire] = []
        while len(wires) < count and (wire := self._idle_wire()) is not None:
            wires.append(wire)
        if len(wires) == count:
            return wires
        missing = count - len(wires)
        with ThreadPoolExecutor(missing, "connect") as crew:
            opening = [crew.submit(self._connect) for _ in range(missing)]
        wires += [each.result() for each in opening if each.exception() is None]
        return wires or [opening[0].result()]

    def give_back(self, wire: Wire, *, reusable: bool) -> None:
        """Keep the connection for the next request if that is possible."""
        with self._lock:
            if reusable and len(self._idle) < IDLE_CONNECTIONS_MAXIMUM:
                self._idle.append(wire)
                return
        wire.close()

    # Inside

    def _target(self, target: str) -> str:
        if self.place.proxy and not self.place.secure:
            return f"http://{host_text(self.place)}{target}"
        return target

    def _idle_wire(self) -> Wire | None:
        while True:
            with self._lock:
                wire = self._idle.pop() if self._idle else None
            if wire is None or not wire.was_closed():
                return wire
            wire.close()

    def _connect(self) -> Wire:
        place = self.place
        proxy = urlsplit(place.proxy) if place.proxy else None
        host, port = place.host, place.port
        if proxy is not None:
            host, port = proxy.hostname or "", proxy.port or 80
        try:
            connected = socket.create_connection((host, port), place.connect_seconds)
        except UnicodeError as error:
            raise Unreachable("that is no name of a host") from error
        except OSError as error:
            raise Unreachable(error.strerror or str(error)) from error
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if place.secure:
                if proxy is not None:
                    _tunnel(connected, place)
                connected = self._trusted().wrap_socket(connected, server_hostname=place.host)
        except ssl.SSLError as error:
            connected.close()
            raise Unreachable(f"TLS: {error.reason or error}") from error
        except OSError as error:
            connected.close()
            raise Unreachable(error.strerror or str(error)) from error
        except BaseException:
            connected.close()
            raise
        connected.settimeout(place.read_seconds)
        return Wire(connected)

    def _trusted(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                try:
                    self._context = ssl.create_default_context(cafile=self.place.ca_file or None)
                except OSError as error:
                    raise Unreachable(f"certificates of {self.place.ca_file}: {error}") from error
            return self._context


def host_text(place: Place) -> str:
    """The server's name as the header `host` has it."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port == (443 if place.secure else 80) else f"{host}:{place.port}"


def proxy_headers(place: Place) -> dict[str, str]:
    """What a request through the proxy needs besides, where it is not tunnelled."""
    return _proxy_headers(place.proxy) if place.proxy and not place.secure else {}


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise TooSlow(str(error)) from error
    except (OSError, Garbled) as error:
        raise Broken(str(error) or type(error).__name__) from error


def _tunnel(connected: socket.socket, place: Place) -> None:
    """Ask the proxy for a way to the server. Raises Unreachable."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    named = f"{host}:{place.port}"
    lines = [f"CONNECT {named} HTTP/1.1", f"host: {named}"]
    lines += [f"{name}: {value}" for name, value in _proxy_headers(place.proxy).items()]
    wire = Wire(connected)
    wire.send("\r\n".join((*lines, "", "")).encode("latin-1"), b"")
    try:
        answer = wire.receive_head("HEAD")  # there is no body in front of the tunnel
    except Garbled as error:
        raise Unreachable(f"the proxy: {error}") from error
    if answer.status != 200:
        raise Unreachable(f"the proxy answers {answer.status}")


def _proxy_headers(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"proxy-authorization": "Basic " + base64.b64encode(login.encode()).decode()}
