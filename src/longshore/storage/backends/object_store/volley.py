"""Volleys: many small requests by one thread, each connection bearing one after the other.

    requests ──> one to each connection ──> whichever answers gets the next ──> answers as they come

A thread for each request spends most of its time on taking the interpreter from the others. This
waits for all connections together, and is at work for whichever has something to say.
"""

from __future__ import annotations

import select
import ssl
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from longshore.storage.backends.object_store.http import Broken, Connections, TooSlow, Unreachable
from longshore.storage.backends.object_store.wire import (
    END_OF_HEAD,
    HEAD_BYTES_MAXIMUM,
    RECEIVE_BYTES,
    TOGETHER_BYTES,
    Garbled,
    Head,
    Wire,
    length_of,
    parse_head,
)

BODY_BYTES_MAXIMUM: Final = 16 * 1024 * 1024
"""Of an answer. A longer one is not small, and ends its connection."""

UNDER_WAY_BYTES_MAXIMUM: Final = 32 * 1024 * 1024
"""Of all bodies that are being sent or received, unless there is only one."""

PIECE_BYTES: Final = 256 * 1024  # of a body, received at once at most

_NOT_YET: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Request(NamedTuple):
    """One request; `tag` is whatever its answer is to be known by."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | bytearray | memoryview
    tag: object = None
    expected: int = 0  # bytes of the answer, as far as anybody knows

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.body) + self.expected


class Reply(NamedTuple):
    """A whole answer, whatever it says."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Result = Reply | Broken | TooSlow


def fire(
    connections: Connections, requests: Iterable[Request], width: int
) -> Iterator[tuple[Request, Result]]:
    """The results of requests in whatever order they come, at most `width` under way at once.

    A request is taken when there is a connection for it. Each one that was sent gets its result;
    when no connection can be had any more, the rest is not sent. Raises Unreachable when there is
    none from the beginning.
    """
    volley = _Volley(connections, iter(requests), width)
    try:
        yield from volley.results()
    finally:
        volley.end()


class _Turn:
    """One connection and the request that it bears."""

    def __init__(self, wire: Wire, wait_seconds: float) -> None:
        self.wire = wire
        self.socket = wire.socket
        self.socket.setblocking(False)
        self._wait_seconds = wait_seconds

    def begin(self, request: Request, head: bytes) -> None:
        self.request = request
        self.is_reusable = False
        body = request.body
        self._unsent: list[bytes | memoryview] = [head, memoryview(body)]
        if len(body) <= TOGETHER_BYTES:  # copying it costs less than a second packet
            self._unsent = [b"".join((head, body))]
        self._received = b""
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        self._left = 0  # of the body that is being received
        self.send()

    @property
    def is_sent(self) -> bool:
        """Whether the connection has taken the whole request."""
        return not self._unsent

    def send(self) -> None:
        """Send what the connection takes at once, so that an early answer is seen before the rest.

        A refused request is not sent on: its answer is read.
        """
        try:
            sent = self.socket.send(self._unsent[0])
            self._unsent[0] = memoryview(self._unsent[0])[sent:]
            if not self._unsent[0]:
                del self._unsent[0]
        except _NOT_YET:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._unsent = []

    def receive(self) -> Reply | None:
        """The answer, if it is complete. Raises Garbled, OSError."""
        while True:
            try:
                data = self.socket.recv(min(max(RECEIVE_BYTES, self._left), PIECE_BYTES))
            except _NOT_YET:
                return None
            if not data:
                raise Garbled("the connection ended before the answer")
            reply = self._take(data)
            # What was decrypted already does not show on the socket.
            if reply is not None or not (
                isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
            ):
                return reply

    def _take(self, data: bytes) -> Reply | None:
        if self._head is not None:
            return self._take_body(self._head, data)
        self._received += data
        place = self._received.find(END_OF_HEAD)
        if place >= 0:
            return self._take_head(place)
        if len(self._received) > HEAD_BYTES_MAXIMUM:
            raise Garbled("the head of the answer does not end")
        return None

    def _take_head(self, place: int) -> Reply | None:
        head = parse_head(self._received[:place])
        length = length_of(self.request.method, head)
        if length is None or head.status < 200:
            return self._read_to_the_end()
        if length > BODY_BYTES_MAXIMUM:
            raise Garbled(f"an answer of {length} bytes")
        self._head, self._left = head, length
        return self._take_body(head, self._received[place + len(END_OF_HEAD) :])

    def _take_body(self, head: Head, data: bytes) -> Reply | None:
        self._pieces.append(data)
        self._left -= len(data)
        if self._left > 0:
            return None
        self.is_reusable = self._left == 0 and not head.is_last
        body = b"".join(self._pieces)
        return Reply(head.status, head.headers, body[: len(body) + self._left])

    def _read_to_the_end(self) -> Reply:
        """An unusual answer (in chunks, after a notice, until the end): the others wait for it."""
        self.socket.settimeout(self._wait_seconds)
        wire = self.wire
        wire.push_back(self._received)
        head = wire.receive_head(self.request.method)
        body = wire.read()
        self.socket.setblocking(False)
        self.is_reusable = not head.is_last and not wire.was_closed()
        return Reply(head.status, head.headers, body)


class _Volley:
    def __init__(self, connections: Connections, requests: Iterator[Request], width: int) -> None:
        self._connections = connections
        self._wait_seconds = connections.place.read_seconds
        self._requests = requests
        self._width = width
        self._poll = select.poll()
        self._turns: dict[int, _Turn] = {}  # those under way, by descriptor
        self._idle: list[_Turn] = []
        self._ahead: list[Request] = []  # taken, and not begun yet; the next one is the last
        self._bytes = 0  # of the requests under way

    def results(self) -> Iterator[tuple[Request, Result]]:
        self._connect()
        self._begin_more()
        while self._turns:
            ready = self._poll.poll(self._wait_seconds * 1000)
            if not ready:
                yield from self._given_up()
            for descriptor, events in ready:
                turn = self._turns[descriptor]
                request = turn.request
                result = self._go_on(turn, events)
                if result is not None:
                    self._ended(descriptor, turn)
                    self._begin_more()
                    yield request, result

    def end(self) -> None:
        """Keep the connections that bear nothing, and close the others."""
        for turn in self._turns.values():
            turn.wire.close()
        for turn in self._idle:
            turn.socket.settimeout(self._wait_seconds)
            self._connections.give_back(turn.wire, reusable=True)

    def _connect(self) -> None:
        """Open as many connections as there will be requests under way at first."""
        first: list[Request] = []
        while len(first) < self._width and (request := self._taken()) is not None:
            self._bytes += request.size
            first.append(request)
        self._bytes, self._ahead = 0, [*self._ahead, *reversed(first)]
        if not first:
            return
        wires = self._connections.take_several(len(first))
        self._idle = [_Turn(wire, self._wait_seconds) for wire in wires]
        if len(wires) < len(first):
            self._width = len(wires)  # the server bears no more

    def _taken(self) -> Request | None:
        """The next request, when what is under way leaves room for it."""
        if not self._ahead:
            self._ahead.extend(islice(self._requests, 1))
        if not self._ahead:
            return None
        is_room = not self._bytes or self._bytes + self._ahead[-1].size <= UNDER_WAY_BYTES_MAXIMUM
        return self._ahead.pop() if is_room else None

    def _begin_more(self) -> None:
        while len(self._turns) < self._width and (request := self._taken()) is not None:
            try:
                turn = self._idle.pop() if self._idle else self._new_turn()
            except Unreachable:
                return  # never sent, so it gets no result
            self._begin(turn, request)

    def _new_turn(self) -> _Turn:
        return _Turn(self._connections.take(), self._wait_seconds)

    def _begin(self, turn: _Turn, request: Request) -> None:
        self._bytes += request.size
        method, target, headers, body = request[:4]
        descriptor = turn.socket.fileno()
        self._turns[descriptor] = turn
        turn.begin(request, self._connections.head(method, target, headers, len(body)))
        self._poll.register(descriptor, _events_of(turn))

    def _go_on(self, turn: _Turn, events: int) -> Result | None:
        try:
            if not turn.is_sent:
                turn.send()
                self._poll.modify(turn.socket, _events_of(turn))
            return turn.receive()
        except TimeoutError as error:
            return TooSlow(str(error))
        except (OSError, Garbled) as error:
            return Broken(str(error) or type(error).__name__)

    def _ended(self, descriptor: int, turn: _Turn) -> None:
        """Keep the connection for the next request, if it bears one.

        A server that has answered before it had the whole body would take what comes next for the
        rest of it.
        """
        del self._turns[descriptor]
        self._poll.unregister(descriptor)
        self._bytes -= turn.request.size
        if turn.is_reusable and turn.is_sent:
            self._idle.append(turn)
        else:
            turn.wire.close()

    def _given_up(self) -> Iterator[tuple[Request, Result]]:
        """Nothing has come from any of them for too long."""
        turns = list(self._turns.values())
        self.end()
        self._turns.clear()
        self._idle.clear()
        for turn in turns:
            yield turn.request, TooSlow("timed out")


def _events_of(turn: _Turn) -> int:
    return select.POLLIN | (0 if turn.is_sent else select.POLLOUT)
