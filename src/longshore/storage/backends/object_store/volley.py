"""Volleys: many small requests by one thread, each connection bearing one after the other.

    requests ──> one to each connection ──> whichever answers gets the next ──> answers as they come

A thread for each request spends most of its time on taking the interpreter from the others. This
waits for all connections together, and is at work for whichever has something to say.
"""

from __future__ import annotations

import select
import ssl
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Final, NamedTuple

from longshore.storage.backends.object_store.http import Broken, Connections, TooSlow, Unreachable
from longshore.storage.backends.object_store.wire import (
    END_OF_HEAD,
    HEAD_BYTES_MAXIMUM,
    RECEIVE_BYTES,
    Garbled,
    Head,
    Wire,
    length_of,
    parse_head,
)

BODY_BYTES_MAXIMUM: Final = 2 * 1024 * 1024
"""Of an answer. A longer one is not small, and ends its connection."""

_NOT_YET: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_UNKNOWN: Final = -1


class Request(NamedTuple):
    """One request; `tag` is whatever its answer is to be known by."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | bytearray | memoryview
    tag: object = None


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
    volley = _Volley(connections)
    try:
        yield from volley.results(iter(requests), width)
    finally:
        volley.end()


class _Turn:
    """One connection and the request that it bears."""

    def __init__(self, wire: Wire, wait_seconds: float) -> None:
        self.wire = wire
        self.socket = wire.socket
        self.socket.setblocking(False)
        self._wait_seconds = wait_seconds

    def begin(self, request: Request, message: bytes) -> None:
        self.request = request
        self.is_reusable = False
        self.unsent: bytes | memoryview = message
        self._received = b""
        self._head: Head | None = None
        self._begin = 0  # of the body in what was received
        self._end = _UNKNOWN
        self.send()

    def send(self) -> None:
        """Send what the connection takes. A refused request is not sent on: its answer is read."""
        try:
            sent = self.socket.send(self.unsent)
        except _NOT_YET:
            return
        except (BrokenPipeError, ConnectionResetError):
            sent = len(self.unsent)
        self.unsent = memoryview(self.unsent)[sent:] if sent < len(self.unsent) else b""

    def receive(self) -> Reply | None:
        """The answer, if it is complete. Raises Garbled, OSError."""
        while True:
            try:
                data = self.socket.recv(RECEIVE_BYTES)
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
        self._received += data
        if self._head is None and not self._take_head():
            return None
        if self._head is None:
            return self._read_to_the_end()
        if len(self._received) < self._end:
            return None
        self.is_reusable = len(self._received) == self._end and not self._head.is_last
        body = self._received[self._begin : self._end]
        return Reply(self._head.status, self._head.headers, body)

    def _take_head(self) -> bool:
        """Whether the head is there; one whose body needs more than counting is not kept."""
        place = self._received.find(END_OF_HEAD)
        if place < 0:
            if len(self._received) > HEAD_BYTES_MAXIMUM:
                raise Garbled("the head of the answer does not end")
            return False
        head = parse_head(self._received[:place])
        length = length_of(self.request.method, head)
        if length is None or head.status < 200:
            return True
        if length > BODY_BYTES_MAXIMUM:
            raise Garbled(f"an answer of {length} bytes")
        self._head = head
        self._begin = place + len(END_OF_HEAD)
        self._end = self._begin + length
        return True

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
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._wait_seconds = connections.place.read_seconds
        self._poll = select.poll()
        self._turns: dict[int, _Turn] = {}  # those under way, by descriptor
        self._idle: list[_Turn] = []

    def results(self, requests: Iterator[Request], width: int) -> Iterator[tuple[Request, Result]]:
        first = list(islice(requests, width))
        if not first:
            return
        wires = self._connections.take_several(len(first))
        requests = chain(first, requests)
        for wire in wires:
            self._begin(_Turn(wire, self._wait_seconds), next(requests))
        while self._turns:
            ready = self._poll.poll(self._wait_seconds * 1000)
            if not ready:
                yield from self._given_up()
            for descriptor, events in ready:
                turn = self._turns[descriptor]
                request = turn.request
                result = self._go_on(turn, events)
                if result is not None:
                    self._next(descriptor, turn, requests)
                    yield request, result

    def end(self) -> None:
        """Keep the connections that bear nothing, and close the others."""
        for turn in self._turns.values():
            turn.wire.close()
        for turn in self._idle:
            turn.socket.settimeout(self._wait_seconds)
            self._connections.give_back(turn.wire, reusable=True)

    def _begin(self, turn: _Turn, request: Request) -> None:
        message = self._connections.message(*request[:4])
        descriptor = turn.socket.fileno()
        self._turns[descriptor] = turn
        turn.begin(request, message)
        self._poll.register(descriptor, _events_of(turn))

    def _go_on(self, turn: _Turn, events: int) -> Result | None:
        try:
            if turn.unsent:
                turn.send()
                self._poll.modify(turn.socket, _events_of(turn))
            return turn.receive()
        except TimeoutError as error:
            return TooSlow(str(error))
        except (OSError, Garbled) as error:
            return Broken(str(error) or type(error).__name__)

    def _next(self, descriptor: int, turn: _Turn, requests: Iterator[Request]) -> None:
        """Send the next request on the connection, or on a new one if that has ended.

        A server that has answered before it had the whole body would take what comes next for the
        rest of it.
        """
        turn.is_reusable = turn.is_reusable and not turn.unsent
        del self._turns[descriptor]
        self._poll.unregister(descriptor)
        if not turn.is_reusable:
            turn.wire.close()
        request = next(requests, None)
        if request is None:
            if turn.is_reusable:
                self._idle.append(turn)
            return
        if not turn.is_reusable:
            try:
                turn = _Turn(self._connections.take(), self._wait_seconds)
            except Unreachable:
                return  # never sent, so it gets no result
        self._begin(turn, request)

    def _given_up(self) -> Iterator[tuple[Request, Result]]:
        """Nothing has come from any of them for too long."""
        turns = list(self._turns.values())
        self.end()
        self._turns.clear()
        self._idle.clear()
        for turn in turns:
            yield turn.request, TooSlow("timed out")


def _events_of(turn: _Turn) -> int:
    return select.POLLIN | (select.POLLOUT if turn.unsent else 0)
