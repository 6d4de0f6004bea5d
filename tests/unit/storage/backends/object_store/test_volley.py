"""Volleys: what comes of many requests on a few connections, whatever the server makes of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from longshore.storage.backends.object_store.http import (
    Broken,
    Connections,
    Place,
    TooSlow,
    Unreachable,
    host_text,
    place_of,
)
from longshore.storage.backends.object_store.volley import (
    BODY_BYTES_MAXIMUM,
    UNDER_WAY_BYTES_MAXIMUM,
    Reply,
    Request,
    Result,
    fire,
)
from tests.unit.storage.backends.object_store.test_http import (
    Handler,
    certificate,
    encrypted,
    serving,
)

__all__ = ["certificate", "encrypted"]  # fixtures

WIDTH = 4
MANY = 50
FEW = 12
BIG = bytes(range(256)) * 1024  # the longest that is sent with its head
BIGGER = bytes(range(256)) * 20_000 + b"end"  # more than sockets take at once

Script = Callable[[socket.socket, int], object]


def requests(connections: Connections, bodies: list[bytes], path: str = "/") -> Iterator[Request]:
    headers = {"host": host_text(connections.place)}
    for number, body in enumerate(bodies):
        yield Request("PUT", path, headers, body, number)


def fired(place: Place, bodies: list[bytes], path: str = "/", width: int = WIDTH) -> list[Result]:
    """What came of each request, in their order."""
    with closing(Connections(place)) as connections:
        came = {
            request.tag: result
            for request, result in fire(connections, requests(connections, bodies, path), width)
        }
    return [came[number] for number in range(len(bodies))]


def body_of(result: Result) -> bytes:
    assert isinstance(result, Reply), result
    return result.body


@contextmanager
def scripted(script: Script) -> Iterator[Place]:
    """A server that does on each connection what the script says: with (connection, its number)."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for number in range(MANY):
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                thread = threading.Thread(target=converse, args=(accepted, number))
                thread.start()
                threads.append(thread)

        def converse(accepted: socket.socket, number: int) -> None:
            with accepted:
                script(accepted, number)

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield place_of(f"http://127.0.0.1:{listening.getsockname()[1]}", read_seconds=30)
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            server.join()
    for thread in threads:
        thread.join()


def heads(accepted: socket.socket) -> Iterator[bytes]:
    """The heads of requests without bodies, as they come, until the client closes."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            try:
                more = accepted.recv(65536)
            except ConnectionResetError:  # closed with something unread
                return
            if not more:
                return
            received += more
        head, _, received = received.partition(b"\r\n\r\n")
        yield head


def answering(answer: bytes) -> Script:
    """A server that gives every request the same answer, however the pieces of it come."""

    def script(accepted: socket.socket, number: int) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in heads(accepted):
            for start in range(0, len(answer), 7):
                accepted.sendall(answer[start : start + 7])

    return script


@pytest.mark.parametrize("size", [0, 1, 4096])
def test_each_request_gets_its_own_answer_on_a_few_connections(size: int) -> None:
    bodies = [b"%d" % number + bytes(size) for number in range(MANY)]
    with serving() as port:
        results = fired(place_of(f"http://127.0.0.1:{port}"), bodies)
        assert [body_of(each) for each in results] == bodies
        assert 1 <= len(Handler.connections) <= WIDTH


def test_a_volley_is_no_wider_than_its_requests() -> None:
    with serving() as port:
        assert body_of(*fired(place_of(f"http://127.0.0.1:{port}"), [b"x"])) == b"x"
        assert len(Handler.connections) == 1
        assert fired(place_of(f"http://127.0.0.1:{port}"), []) == []
        assert len(Handler.connections) == 1


def test_connections_are_kept_from_one_volley_to_the_next_and_for_single_requests() -> None:
    with serving() as port, closing(Connections(place_of(f"http://127.0.0.1:{port}"))) as kept:
        for _ in range(3):
            assert len(list(fire(kept, requests(kept, [b"x"] * MANY), WIDTH))) == MANY
        headers = {"host": host_text(kept.place)}
        with kept.request("PUT", "/", headers, b"alone") as answer:
            assert answer.read() == b"alone"
        assert len(Handler.connections) <= WIDTH


def test_bodies_that_sockets_take_in_pieces_go_and_come_whole() -> None:
    bodies = [BIG, BIGGER, BIG + b"x", b"", BIGGER, BIG]
    with serving() as port:
        results = fired(place_of(f"http://127.0.0.1:{port}"), bodies)
    assert [body_of(each) for each in results] == bodies


def test_requests_are_encrypted_where_the_place_wants_it(encrypted: int, certificate: Path) -> None:
    place = place_of(f"https://127.0.0.1:{encrypted}", ca_file=str(certificate))
    bodies = [b"secret %d" % number for number in range(MANY)] + [BIG, BIGGER] * 3
    assert [body_of(each) for each in fired(place, bodies)] == bodies


def test_an_unknown_certificate_is_unreachable(encrypted: int) -> None:
    with pytest.raises(Unreachable, match="TLS"):
        fired(place_of(f"https://127.0.0.1:{encrypted}"), [b"x"] * MANY)


def test_a_server_that_closes_after_each_answer_gets_new_connections() -> None:
    with serving() as port:
        results = fired(place_of(f"http://127.0.0.1:{port}"), [b"x"] * MANY, "/close")
        # What was sent before the end was seen is lost; nothing waits for it.
        answers = [each for each in results if not isinstance(each, Broken)]
        assert {bytes(body_of(each)) for each in answers} == {b"x"}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\ny\r\n2\r\nes\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes",
    ],
    ids=["counted", "in chunks", "after a notice"],
)
def test_answers_may_come_in_any_form_and_in_any_pieces(answer: bytes) -> None:
    with scripted(answering(answer)) as place:
        results = fired(place, [b""] * 10)
    assert [body_of(each) for each in results] == [b"yes"] * 10


def test_an_answer_until_the_end_of_its_connection_is_whole() -> None:
    def script(accepted: socket.socket, number: int) -> None:
        next(heads(accepted))
        accepted.sendall(b"HTTP/1.1 200 OK\r\n\r\neverything")

    with scripted(script) as place:
        results = fired(place, [b""] * 10)
    assert [body_of(each) for each in results] == [b"everything"] * 10


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal",
        b"220 mail.example.com ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (BODY_BYTES_MAXIMUM + 1),
    ],
    ids=["nothing", "half a head", "half a body", "no HTTP", "no length", "too long"],
)
def test_what_breaks_on_one_connection_costs_only_its_request(answer: bytes) -> None:
    def script(accepted: socket.socket, number: int) -> None:
        for _ in heads(accepted):
            if number == 0:
                accepted.sendall(answer)
                return
            accepted.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes")

    with scripted(script) as place:
        results = fired(place, [b""] * 10)
    assert [type(each) for each in results].count(Broken) == 1
    assert [each.body for each in results if isinstance(each, Reply)] == [b"yes"] * 9


def test_what_does_not_answer_is_given_up_and_the_others_are_not() -> None:
    released = threading.Event()

    def script(accepted: socket.socket, number: int) -> None:
        for _ in heads(accepted):
            if number == 0:
                released.wait(60)
                return
            accepted.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes")

    with scripted(script) as place:
        slow = place_of(f"http://127.0.0.1:{place.port}", read_seconds=0.2)
        results = fired(slow, [b""] * 10)
        released.set()
    assert [type(each) for each in results].count(TooSlow) == 1
    assert [type(each) for each in results].count(Reply) == 9


def test_a_connection_whose_request_was_refused_before_it_was_sent_bears_no_other() -> None:
    connections: list[int] = []

    def refuse_unread(accepted: socket.socket, number: int) -> None:
        connections.append(number)
        next(heads(accepted), None)
        accepted.sendall(b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n")
        while accepted.recv(65536):
            pass

    too_much = bytes(64 * 1024 * 1024)  # more than both ends of a connection hold
    with scripted(refuse_unread) as place:
        results = fired(place, [too_much, too_much], width=1)
    assert [each.status for each in results if isinstance(each, Reply)] == [503, 503]
    assert connections == [0, 1]


def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable):
        fired(place_of(f"http://127.0.0.1:{port}"), [b""])


def test_a_volley_that_is_left_closes_what_is_under_way() -> None:
    ended = threading.Semaphore(0)

    def script(accepted: socket.socket, number: int) -> None:
        answered = heads(accepted)
        next(answered)
        accepted.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        for _ in answered:
            pass
        ended.release()

    with scripted(script) as place, closing(Connections(place)) as connections:
        volley = fire(connections, requests(connections, [b""] * MANY), WIDTH)
        next(volley)
        assert isinstance(volley, Iterator)
        volley.close()  # type: ignore[attr-defined]
        for _ in range(WIDTH):
            assert ended.acquire(timeout=30)


def test_requests_are_taken_only_when_there_is_a_connection_for_them() -> None:
    taken: list[int] = []
    with serving() as port, closing(Connections(place_of(f"http://127.0.0.1:{port}"))) as kept:

        def counted() -> Iterator[Request]:
            for each in requests(kept, [b"x"] * MANY):
                taken.append(1)
                yield each

        for settled, _ in enumerate(fire(kept, counted(), WIDTH), start=1):
            assert len(taken) <= settled + WIDTH


@pytest.mark.parametrize(("part", "at_once"), [(3, 3), (2, 2), (1, 1), (0.5, 1)])
def test_bodies_under_way_have_a_limit_that_one_alone_may_exceed(part: float, at_once: int) -> None:
    expected = int(UNDER_WAY_BYTES_MAXIMUM / part)
    taken: list[int] = []
    with serving() as port, closing(Connections(place_of(f"http://127.0.0.1:{port}"))) as kept:

        def counted() -> Iterator[Request]:
            for each in requests(kept, [b"x"] * FEW):
                taken.append(1)
                yield each._replace(expected=expected - len(each.body))

        settled = 0
        for settled, _ in enumerate(fire(kept, counted(), WIDTH), start=1):
            assert len(taken) <= settled + at_once + 1  # and one that waits for room
        assert settled == FEW
        assert len(Handler.connections) <= at_once
