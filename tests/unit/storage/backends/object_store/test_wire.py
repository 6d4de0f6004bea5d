"""Answers as servers send them: in pieces, in chunks, cut off, or nonsense."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from longshore.storage.backends.object_store.wire import HEAD_BYTES_MAXIMUM, Garbled, Wire

Pair = tuple[Wire, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A wire, and the server's end of it."""
    ours, servers = socket.socketpair()
    ours.settimeout(10)
    wire = Wire(ours)
    yield wire, servers
    wire.close()
    servers.close()


def body_of(wire: Wire, step: int = 3) -> bytes:
    buffer = memoryview(bytearray(step))
    body = bytearray()
    while count := wire.read_into(buffer):
        body += buffer[:count]
    return bytes(body)


def test_a_body_ends_with_its_length_and_the_next_answer_follows(pair: Pair) -> None:
    wire, server = pair
    server.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag:  x \r\n\r\nfirstHTTP/1.1 404 No\r\n"
    )
    head = wire.receive_head("GET")
    assert (head.status, head.headers, head.is_last) == (
        200,
        {"content-length": "5", "etag": "x"},
        False,
    )
    assert body_of(wire) == b"first"
    assert wire.is_at_end
    server.sendall(b"content-length: 0\r\nconnection: close\r\n\r\n")
    head = wire.receive_head("GET")
    assert (head.status, head.is_last) == (404, True)
    assert body_of(wire) == b""


def test_chunks_are_put_together(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    server.sendall(b"5;name=value\r\nhello\r\nB\r\n, in chunks\r\n0\r\ntrailer: x\r\n\r\n")
    wire.receive_head("GET")
    assert body_of(wire) == b"hello, in chunks"
    assert wire.is_at_end


def test_a_body_without_a_length_ends_with_the_connection(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    server.shutdown(socket.SHUT_WR)
    assert wire.receive_head("GET").is_last
    assert body_of(wire) == b"all of it"


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n", b"HTTP/1.1 304 X\r\n\r\n"]
)
def test_some_answers_have_no_body(pair: Pair, answer: bytes) -> None:
    wire, server = pair
    server.sendall(answer)
    wire.receive_head("GET")
    assert wire.is_at_end
    assert body_of(wire) == b""


def test_an_answer_to_head_has_no_body_whatever_its_length(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    assert wire.receive_head("HEAD").headers["content-length"] == "1000"
    assert wire.is_at_end


def test_interim_answers_are_passed_over(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert wire.receive_head("PUT").status == 200


def test_several_headers_of_one_name_are_joined(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"HTTP/1.1 200 OK\r\nx: 1\r\nX: 2\r\ncontent-length: 0\r\n\r\n")
    assert wire.receive_head("GET").headers["x"] == "1, 2"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * HEAD_BYTES_MAXIMUM,
    ],
)
def test_nonsense_and_half_heads_are_garbled(pair: Pair, answer: bytes) -> None:
    wire, server = pair
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * HEAD_BYTES_MAXIMUM)
    server.sendall(answer)
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(Garbled):
        wire.receive_head("GET")


@pytest.mark.parametrize(
    "body",
    [
        b"content-length: 10\r\n\r\nhalf",
        b"transfer-encoding: chunked\r\n\r\n9\r\nhalf",
        b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_a_body_that_ends_too_early_is_garbled(pair: Pair, body: bytes) -> None:
    wire, server = pair
    server.sendall(b"HTTP/1.1 200 OK\r\n" + body)
    server.shutdown(socket.SHUT_WR)
    wire.receive_head("GET")
    with pytest.raises(Garbled):
        body_of(wire)


def test_a_connection_that_the_server_has_closed_is_seen(pair: Pair) -> None:
    wire, server = pair
    assert not wire.was_closed()
    server.close()
    assert wire.was_closed()


def test_an_answer_to_a_request_that_was_refused_early_is_read(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
    server.close()
    wire.send(b"PUT / HTTP/1.1\r\n\r\n", bytes(1_000_000))
    assert wire.receive_head("PUT").status == 403
