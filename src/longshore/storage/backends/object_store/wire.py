"""HTTP/1.1 on one socket: a request out, the head of its answer in, its body into buffers.

The standard library's client reads heads with its parser for mail and sends heads and bodies
apart. For files of a few kilobytes that is most of the work; this does the same with two system
calls and a `split`.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from typing import Final

import msgspec

HEAD_BYTES_MAXIMUM: Final = 256 * 1024  # of an answer; metadata of 8 KiB in hundreds of headers fit
RECEIVE_BYTES: Final = 64 * 1024  # asked for at once while the head is not complete
TOGETHER_BYTES: Final = 256 * 1024
"""A body up to this size is sent with its head: copying it costs less than a second packet."""

END_OF_HEAD: Final = b"\r\n\r\n"
_BODILESS: Final = frozenset({204, 304})


class Garbled(Exception):
    """What came is no answer, or not the whole of it."""


class Head(msgspec.Struct, frozen=True):
    """The head of an answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    is_last: bool  # the server will close the connection


class Wire:
    """A connection on which one request after the other is sent."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        self._received = bytearray()  # and not looked at yet
        self._left = 0  # of the body, or of its chunk
        self._is_chunked = False
        self._until_close = False

    @property
    def socket(self) -> socket.socket:
        """For whoever sends and receives on it by other means meanwhile."""
        return self._socket

    def push_back(self, data: bytes) -> None:
        """What was received by other means, and belongs to the next answer."""
        self._received += data

    def close(self) -> None:
        self._socket.close()

    def was_closed(self) -> bool:
        """Whether the server has ended the connection, or spoken unasked."""
        return bool(self._received or self._poll.poll(0))

    def send(self, head: bytes, body: bytes | bytearray | memoryview) -> None:
        """Send a request. A server that refuses it early closes: its answer is still read."""
        try:
            if len(body) <= TOGETHER_BYTES:
                self._socket.sendall(b"".join((head, body)))
            else:
                self._socket.sendall(head)
                self._socket.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive_head(self, method: str) -> Head:
        """The head of the answer to a request of the method. Raises Garbled, OSError."""
        while True:
            head = parse_head(self._head())
            if head.status >= 200:
                break
        self._begin_body(method, head)
        return head

    @property
    def is_at_end(self) -> bool:
        """Whether the whole body was read."""
        return not (self._left or self._is_chunked or self._until_close)

    def read_into(self, buffer: memoryview) -> int:
        """Some bytes of the body; 0 at its end. Raises Garbled when the connection ends before."""
        if self._is_chunked and not self._left:
            self._next_chunk()
        if self._until_close:
            return self._receive_into(buffer)
        if not self._left or not len(buffer):
            return 0
        count = self._receive_into(buffer[: self._left])
        if not count:
            raise Garbled(f"the connection ended {self._left} bytes too early")
        self._left -= count
        if self._is_chunked and not self._left:
            self._line()  # the end of the chunk
        return count

    def read(self) -> bytes:
        """The whole body. Raises Garbled, OSError."""
        pieces = []
        buffer = memoryview(bytearray(RECEIVE_BYTES))
        while count := self.read_into(buffer):
            pieces.append(bytes(buffer[:count]))
        return b"".join(pieces)

    # Inside

    def _begin_body(self, method: str, head: Head) -> None:
        length = length_of(method, head)
        self._left = length or 0
        self._is_chunked = length is None and _is_chunked(head)
        self._until_close = length is None and not self._is_chunked

    def _next_chunk(self) -> None:
        size = self._line().partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise Garbled("the length of a chunk is no number") from None
        if not self._left:
            while self._line():
                pass  # headers behind the body: nobody sends any that matter
            self._is_chunked = False

    def _receive_into(self, buffer: memoryview) -> int:
        if self._received:
            count = min(len(buffer), len(self._received))
            buffer[:count] = self._received[:count]
            del self._received[:count]
            return count
        count = self._socket.recv_into(buffer)
        if not count:
            self._until_close = False
        return count

    def _head(self) -> bytes:
        return self._until(END_OF_HEAD)

    def _line(self) -> bytes:
        return self._until(b"\r\n")

    def _until(self, end: bytes) -> bytes:
        """What comes up to the end mark, which is taken, too."""
        searched = 0
        while (place := self._received.find(end, searched)) < 0:
            searched = max(len(self._received) - len(end) + 1, 0)
            if len(self._received) > HEAD_BYTES_MAXIMUM:
                raise Garbled("the head of the answer does not end")
            more = self._socket.recv(RECEIVE_BYTES)
            if not more:
                raise Garbled("the connection ended before the answer")
            self._received += more
        found = bytes(self._received[:place])
        del self._received[: place + len(end)]
        return found


def length_of(method: str, head: Head) -> int | None:
    """The bytes of the body of an answer; None where only reading it tells. Raises Garbled."""
    if method == "HEAD" or head.status in _BODILESS:
        return 0
    length = head.headers.get("content-length")
    if length is None or _is_chunked(head):
        return None
    if not length.isdigit():
        raise Garbled("the length of the body is no number")
    return int(length)


def _is_chunked(head: Head) -> bool:
    return "chunked" in head.headers.get("transfer-encoding", "").lower()


def parse_head(head: bytes) -> Head:
    """The head of an answer, without the empty line. Raises Garbled."""
    first, *lines = head.decode("latin-1").split("\r\n")
    if head.count(b"\n") != len(lines):  # it would begin another line where it is sent on
        raise Garbled("a header has a line break")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise Garbled("the answer is no HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Garbled("a header has no name")
        name, value = name.strip().lower(), value.strip()
        headers[name] = value if name not in headers else f"{headers[name]}, {value}"
    connection = headers.get("connection", "").lower()
    is_last = "close" in connection or (version == "HTTP/1.0" and "keep-alive" not in connection)
    return Head(int(status), headers, is_last)
