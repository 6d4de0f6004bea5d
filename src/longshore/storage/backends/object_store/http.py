"""HTTP connections to one server: kept open, used by one request at a time, with limits on waits.

Only what object stores need, on the standard library: bodies are sent from and received into
buffers without further copies, and whatever goes wrong comes as one of three exceptions.
"""

from __future__ import annotations

import base64
import http.client
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import msgspec

CONNECT_SECONDS: Final = 10.0  # to a server that is there; more is a lost one
READ_SECONDS: Final = 60.0
"""Without a byte; completing an upload of many parts may take a store that long."""

IDLE_CONNECTIONS_MAXIMUM: Final = 64  # kept for the next requests; as many as are in flight at once
ERROR_BYTES_MAXIMUM: Final = 64 * 1024  # of the body of a refusal; the reason stands in front

HEADERS_MAXIMUM: Final = 1000
"""Of an answer. Metadata are headers: 7 KiB of them may be several hundred; Python's limit is 100."""

http.client._MAXHEADERS = HEADERS_MAXIMUM  # type: ignore[attr-defined]


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

    def __init__(self, response: http.client.HTTPResponse, end: Callable[[bool], None]) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._response = response
        self._end = end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(self._response.isclosed() and not self._response.will_close)

    def read(self) -> bytes:
        """The whole body."""
        try:
            return self._response.read()
        except TimeoutError as error:
            raise TooSlow(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise Broken(str(error) or type(error).__name__) from error

    def read_error(self) -> bytes:
        """The beginning of the body of a refusal."""
        try:
            return self._response.read(ERROR_BYTES_MAXIMUM)
        except (OSError, http.client.HTTPException):
            return b""  # the status has to do

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer from the body; fewer bytes only at its end. Broken tells how many."""
        filled = 0
        try:
            while filled < len(buffer):
                count = self._response.readinto(buffer[filled:])
                if count == 0:
                    break
                filled += count
            if not self._response.isclosed() and self._response.length == 0:
                self._response.read()  # tells it that the body is at its end
        except (OSError, http.client.HTTPException):
            return filled  # the caller sees that something is missing, and goes on from there
        return filled


class Connections:
    """The connections to one place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | bytearray | memoryview = b"",
    ) -> Answer:
        """Send a request; the answer is to be used in a `with` block. The headers name the host."""
        connection = self._take()
        try:
            if connection.sock is None:
                _connect(connection, self.place)
            connection.putrequest(
                method, self._target(target), skip_host=True, skip_accept_encoding=True
            )
            for name, value in headers.items():
                connection.putheader(name, value)
            if len(body) or method in {"PUT", "POST"}:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders()
            if len(body):
                _send_body(connection, body)
            response = connection.getresponse()
        except TimeoutError as error:
            connection.close()
            raise TooSlow(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Broken(str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        return Answer(response, lambda reusable: self._give_back(connection, reusable))

    def _target(self, target: str) -> str:
        if self.place.proxy and not self.place.secure:
            return f"http://{host_text(self.place)}{target}"
        return target

    def _take(self) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._make()
            if not _was_closed(connection):
                return connection
            connection.close()

    def _give_back(self, connection: http.client.HTTPConnection, reusable: bool) -> None:
        with self._lock:
            if reusable and len(self._idle) < IDLE_CONNECTIONS_MAXIMUM:
                self._idle.append(connection)
                return
        connection.close()

    def _make(self) -> http.client.HTTPConnection:
        place = self.place
        proxy = urlsplit(place.proxy) if place.proxy else None
        host, port = place.host, place.port
        if proxy is not None:
            host, port = proxy.hostname or "", proxy.port or 80
        if not place.secure:
            return http.client.HTTPConnection(host, port, timeout=place.connect_seconds)
        connection = http.client.HTTPSConnection(
            host, port, timeout=place.connect_seconds, context=self._trusted()
        )
        if proxy is not None:
            connection.set_tunnel(place.host, place.port, _proxy_headers(place.proxy))
        return connection

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


def _connect(connection: http.client.HTTPConnection, place: Place) -> None:
    try:
        connection.connect()
    except ssl.SSLError as error:
        raise Unreachable(f"TLS: {error.reason or error}") from error
    except OSError as error:
        raise Unreachable(error.strerror or str(error)) from error
    assert connection.sock is not None
    connection.sock.settimeout(place.read_seconds)
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _was_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has ended the connection while nobody used it."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _send_body(
    connection: http.client.HTTPConnection, body: bytes | bytearray | memoryview
) -> None:
    """Send the body. A server that refuses it early answers and closes: that answer counts."""
    try:
        connection.send(body)
    except (BrokenPipeError, ConnectionResetError):
        return


def proxy_headers(place: Place) -> dict[str, str]:
    """What a request through the proxy needs besides, where it is not tunnelled."""
    return _proxy_headers(place.proxy) if place.proxy and not place.secure else {}


def _proxy_headers(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"proxy-authorization": "Basic " + base64.b64encode(login.encode()).decode()}
