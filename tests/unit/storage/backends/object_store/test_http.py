"""Connections to a server: kept, replaced, encrypted, through a proxy, and refused."""

from __future__ import annotations

import datetime
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from longshore.storage.backends.object_store.http import (
    Broken,
    Connections,
    Place,
    TooSlow,
    Unreachable,
    host_text,
    place_of,
)
from tests.servers import wait_until


class Handler(BaseHTTPRequestHandler):
    """Answers what it got. The path `/close` closes, `/wait` waits for the end of the test."""

    protocol_version = "HTTP/1.1"
    connections: set[tuple[str, int]] = set()
    tunnels: list[str] = []
    over = threading.Event()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return

    def do_PUT(self) -> None:
        self.connections.add(self.client_address)
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/wait":
            self.over.wait(60)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path == "/close"

    def do_CONNECT(self) -> None:
        if self.path != self.headers["host"] or self.headers["proxy-authorization"] not in {
            None,
            "Basic bWU6cEBzcw==",
        }:
            self.send_error(407)
            return
        self.tunnels.append(self.path)
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as server:
            self.send_response(200)
            self.end_headers()
            ends = [self.connection, server]
            while True:
                for end in select.select(ends, [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    ends[1 - ends.index(end)].sendall(data)


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server, for as long as the block lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        Handler.connections.clear()
        Handler.tunnels.clear()
        Handler.over.clear()
        try:
            yield server.server_address[1]
        finally:
            Handler.over.set()
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as port:
        yield port


def echo(connections: Connections, body: bytes, path: str = "/") -> bytes:
    headers = {"host": host_text(connections.place)}
    with connections.request("PUT", path, headers, body) as answer:
        return answer.read()


@contextmanager
def connected(place: Place) -> Iterator[Connections]:
    connections = Connections(place)
    try:
        yield connections
    finally:
        connections.close()


def test_a_connection_serves_one_request_after_the_other() -> None:
    with serving() as port, connected(place_of(f"http://127.0.0.1:{port}")) as connections:
        for size in (0, 1, 5_000_000):
            assert echo(connections, bytes(size)) == bytes(size)
        assert len(Handler.connections) == 1


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    with serving() as port, connected(place_of(f"http://127.0.0.1:{port}")) as connections:
        for _ in range(3):
            assert echo(connections, b"x", "/close") == b"x"
            # What is sent before the end has come cannot know of it; others try that again.
            wait_until(
                lambda: all(wire.was_closed() for wire in connections._idle), "the end of it"
            )


def test_an_answer_that_was_not_read_ends_its_connection() -> None:
    with serving() as port, connected(place_of(f"http://127.0.0.1:{port}")) as connections:
        headers = {"host": host_text(connections.place)}
        with connections.request("PUT", "/", headers, b"not read"):
            pass
        assert echo(connections, b"read") == b"read"


def test_a_certificate_is_trusted_that_the_file_names(encrypted: int, certificate: Path) -> None:
    place = place_of(f"https://127.0.0.1:{encrypted}", ca_file=str(certificate))
    with connected(place) as connections:
        assert echo(connections, b"secret") == b"secret"


def test_an_unknown_certificate_is_refused(encrypted: int) -> None:
    with connected(place_of(f"https://127.0.0.1:{encrypted}")) as connections:
        with pytest.raises(Unreachable, match="TLS"):
            echo(connections, b"secret")


def test_a_missing_file_of_certificates_is_said(encrypted: int) -> None:
    place = place_of(f"https://127.0.0.1:{encrypted}", ca_file="/nowhere.pem")
    with connected(place) as connections, pytest.raises(Unreachable, match="nowhere"):
        echo(connections, b"secret")


def test_a_proxy_tunnels_what_is_encrypted(encrypted: int, certificate: Path) -> None:
    with serving() as proxy:
        place = place_of(
            f"https://127.0.0.1:{encrypted}",
            proxy=f"http://127.0.0.1:{proxy}",
            ca_file=str(certificate),
        )
        with connected(place) as connections:
            assert echo(connections, b"secret") == b"secret"
        assert Handler.tunnels == [f"127.0.0.1:{encrypted}"]


def test_a_proxy_that_wants_to_know_who_asks_is_told(encrypted: int, certificate: Path) -> None:
    with serving() as port:
        for login, is_right in (("me:p%40ss", True), ("me:wrong", False)):
            place = place_of(
                f"https://127.0.0.1:{encrypted}",
                proxy=f"http://{login}@127.0.0.1:{port}",
                ca_file=str(certificate),
            )
            with connected(place) as connections:
                if is_right:
                    assert echo(connections, b"secret") == b"secret"
                    continue
                with pytest.raises(Unreachable, match="407"):
                    echo(connections, b"secret")


def test_a_name_that_no_resolver_takes_is_unreachable() -> None:
    for host in ("a..example", "a" * 70):
        with connected(place_of(f"http://{host}")) as connections, pytest.raises(Unreachable):
            echo(connections, b"x")


def test_a_server_that_does_not_answer_is_too_slow() -> None:
    with serving() as port:
        place = place_of(f"http://127.0.0.1:{port}", read_seconds=0.05)
        with connected(place) as connections, pytest.raises(TooSlow):
            echo(connections, b"x", "/wait")


def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with connected(place_of(f"http://127.0.0.1:{port}")) as connections:
        with pytest.raises(Unreachable):
            echo(connections, b"x")


def test_a_server_that_speaks_no_http_is_a_broken_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            other, _ = listening.accept()
            with other:
                other.recv(65536)
                other.sendall(b"220 mail.example.com ESMTP\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with connected(place_of(f"http://127.0.0.1:{port}")) as connections:
            with pytest.raises(Broken):
                echo(connections, b"x")
        thread.join()


@pytest.mark.parametrize("endpoint", ["", "s3.example.com", "ftp://s3.example.com", "http://"])
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        place_of(endpoint)


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "\u043a\u043b\u044e\u0447"])
def test_what_no_header_can_hold_is_not_sent_and_not_shown(value: str) -> None:
    connections = Connections(place_of("http://127.0.0.1:1"))
    headers = {"key": value}
    for deed in (connections.request, partial(connections.head, length=0)):
        with pytest.raises(Unreachable, match="no request can hold") as caught:
            deed("GET", "/", headers)
        assert value not in str(caught.value)
