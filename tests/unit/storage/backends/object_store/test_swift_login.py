"""Logging in to Swift, against a small server that speaks like Swift's own login and Keystone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from longshore.domain.errors import ErrorKind, StorageUnavailable
from longshore.storage.backends.object_store.profiles import InvalidSetting
from longshore.storage.backends.object_store.swift import open_client

SECRET = "the-secret"


@dataclass
class Cloud:
    """What the server knows, and what it was asked."""

    url: str = ""
    valid: str = ""  # the token that opens the account
    logins: list[Any] = field(default_factory=list)
    uses: list[tuple[str, str]] = field(default_factory=list)  # tokens and paths

    def new_token(self) -> str:
        self.valid = f"token-{len(self.logins)}"
        return self.valid


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    found = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            login = (self.headers["X-Auth-User"], self.headers["X-Auth-Key"])
            found.logins.append(login)
            if login[1] != SECRET:
                return self.answer(401)
            url = f"{found.url}/v1/AUTH_test"
            return self.answer(200, {"X-Storage-Url": url, "X-Auth-Token": found.new_token()})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.logins.append((self.path, asked))
            if SECRET not in json.dumps(asked):
                return self.answer(401)
            endpoints = [
                {"interface": interface, "region": region, "url": f"{found.url}/{region}"}
                for interface in ("internal", "public")
                for region in ("north", "south")
            ]
            catalog = [
                {"type": "compute", "endpoints": []},
                {"type": "object-store", "endpoints": endpoints},
            ]
            body = json.dumps({"token": {"catalog": catalog}}).encode()
            return self.answer(201, {"X-Subject-Token": found.new_token()}, body)

        def do_HEAD(self) -> None:
            found.uses.append((self.headers["X-Auth-Token"], self.path))
            self.answer(204 if self.headers["X-Auth-Token"] == found.valid else 401)

        def answer(self, status: int, headers: Any = None, body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def settings(cloud: Cloud, path: str, **more: str) -> dict[str, str]:
    return {
        "endpoint": cloud.url + path,
        "bucket": "bucket",
        "access_key": "user",
        "secret_key": SECRET,
        **more,
    }


def test_one_login_serves_all_requests_until_its_token_ends(cloud: Cloud) -> None:
    client = open_client(settings(cloud, "/auth/v1.0"))
    client.check(writable=False)
    client.check(writable=False)
    assert cloud.logins == [("user", SECRET)]
    cloud.valid = "another"
    client.check(writable=False)
    assert len(cloud.logins) == 2
    path = "/v1/AUTH_test/bucket"
    assert cloud.uses == [
        ("token-1", path),
        ("token-1", path),
        ("token-1", path),
        ("token-2", path),
    ]
    client.close()


def test_a_token_that_is_refused_again_ends_the_run(cloud: Cloud) -> None:
    client = open_client(settings(cloud, "/auth/v1.0"))
    cloud.new_token = lambda: "never valid"  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable) as caught:
        client.check(writable=False)
    assert caught.value.kind is ErrorKind.PERMISSION
    assert len(cloud.logins) == 2
    client.close()


def test_a_wrong_key_is_refused_without_being_shown(cloud: Cloud) -> None:
    client = open_client(settings(cloud, "/auth/v1.0", secret_key="wrong-key"))
    with pytest.raises(StorageUnavailable) as caught:
        client.check(writable=False)
    assert caught.value.kind is ErrorKind.PERMISSION
    assert "wrong-key" not in str(caught.value)
    client.close()


def test_keystone_gives_the_public_address_of_the_region(cloud: Cloud) -> None:
    client = open_client(
        settings(cloud, "/identity/v3", region="south", project="p", user_domain="d")
    )
    client.check(writable=False)
    [(path, asked)] = cloud.logins
    assert path == "/identity/v3/auth/tokens"
    user = {"name": "user", "domain": {"name": "d"}, "password": SECRET}
    assert asked["auth"]["identity"] == {"methods": ["password"], "password": {"user": user}}
    project = {"name": "p", "domain": {"name": "Default"}}
    assert asked["auth"]["scope"] == {"project": project}
    assert cloud.uses == [("token-1", "/south/bucket")]
    client.close()


def test_keystone_knows_application_credentials(cloud: Cloud) -> None:
    client = open_client(settings(cloud, "/v3", application_credential="id"))
    client.check(writable=False)
    [(_, asked)] = cloud.logins
    assert asked["auth"]["identity"]["application_credential"] == {"id": "id", "secret": SECRET}
    assert "scope" not in asked["auth"]
    client.close()


def test_a_region_without_object_store_is_named(cloud: Cloud) -> None:
    client = open_client(settings(cloud, "/v3", region="east"))
    with pytest.raises(StorageUnavailable, match="region east"):
        client.check(writable=False)
    client.close()


def test_the_address_of_the_login_is_needed(cloud: Cloud) -> None:
    with pytest.raises(InvalidSetting):
        open_client({"bucket": "bucket"})
