"""Tokens of Google Cloud: what is asked for, and when it is asked again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from longshore.domain.errors import ErrorKind, StorageUnavailable
from longshore.storage.backends.object_store.gcs_login import Login, account_of
from longshore.storage.backends.object_store.profiles import InvalidSetting

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


@dataclass
class Tokens:
    """A server of tokens, and what it was asked."""

    url: str = ""
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    def settings(self, **more: str) -> dict[str, str]:
        account = {"client_email": "me@example.com", "private_key": PEM, "token_uri": self.url}
        return {"config_file": json.dumps({**account, **more})}


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    found = Tokens()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            [assertion] = form["assertion"]
            found.asked.append(
                jwt.decode(
                    assertion,
                    KEY.public_key(),
                    algorithms=["RS256"],
                    audience=found.url,
                    options={"verify_exp": False, "verify_iat": False},
                )
            )
            body = json.dumps({"access_token": f"t{len(found.asked)}", "expires_in": 3600})
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/token"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_is_used_until_shortly_before_its_end(tokens: Tokens) -> None:
    now = [1_000_000.0]
    settings = tokens.settings()
    login = Login(account_of(settings), settings, clock=lambda: now[0])
    assert login.headers() == {"authorization": "Bearer t1"}
    now[0] += 3000
    assert login.headers() == {"authorization": "Bearer t1"}
    now[0] += 301
    assert login.headers() == {"authorization": "Bearer t2"}
    first = tokens.asked[0]
    assert (first["iss"], first["iat"], first["exp"]) == ("me@example.com", 1_000_000, 1_003_600)


def test_an_account_that_is_refused_ends_the_run(tokens: Tokens) -> None:
    tokens.status = 400
    settings = tokens.settings()
    with pytest.raises(StorageUnavailable) as caught:
        Login(account_of(settings), settings).headers()
    assert caught.value.kind is ErrorKind.PERMISSION


def test_a_key_that_cannot_be_read_ends_the_run_and_is_not_shown(tokens: Tokens) -> None:
    settings = tokens.settings(private_key="no-key")
    with pytest.raises(StorageUnavailable) as caught:
        Login(account_of(settings), settings).headers()
    assert "no-key" not in str(caught.value)
    assert "no-key" not in repr(account_of(settings))


def test_without_an_account_requests_are_sent_as_they_are() -> None:
    assert Login(account_of({}), {}).headers() == {}


def test_a_file_that_is_no_key_file_is_refused() -> None:
    with pytest.raises(InvalidSetting):
        account_of({"config_file": "[]"})
