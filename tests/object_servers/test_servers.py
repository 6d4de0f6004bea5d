"""The servers themselves: each keeps what it is given, and its absence is reported."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.object_servers.buckets import new_bucket, s3_session, swift_login
from tests.object_servers.catalogue import SERVERS
from tests.object_servers.fixtures import REQUIRED, is_required, not_provided
from tests.object_servers.keeper import start_until_end_of
from tests.object_servers.processes import NotProvided, ObjectServer, listens
from tests.servers import wait_until

Servers = Callable[[str], ObjectServer]


@pytest.mark.parametrize("name", ["rclone", "moto", "ceph", "swift"])
def test_s3_servers_keep_an_object(object_server: Servers, name: str) -> None:
    server = object_server(name)
    bucket = new_bucket(server, "s3")
    client = s3_session(server.apis["s3"])
    client.put_object(Bucket=bucket, Key="folder/key", Body=b"content")
    assert client.get_object(Bucket=bucket, Key="folder/key")["Body"].read() == b"content"
    listed = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in listed] == ["folder/key"]


@pytest.mark.parametrize("name", ["swift", "ceph"])
def test_swift_servers_keep_an_object(object_server: Servers, name: str) -> None:
    server = object_server(name)
    bucket = new_bucket(server, "swift")
    account, token = swift_login(server.apis["swift"])
    with httpx.Client(headers=token, trust_env=False, timeout=60) as client:
        client.put(f"{account}/{bucket}/key", content=b"content").raise_for_status()
        assert client.get(f"{account}/{bucket}/key").content == b"content"


@pytest.mark.parametrize(("name", "api"), [("azurite", "azure"), ("gcs", "gcs")])
def test_buckets_can_be_made(object_server: Servers, name: str, api: str) -> None:
    server = object_server(name)
    assert new_bucket(server, api) != new_bucket(server, api)


def test_every_server_is_the_same_for_all_who_ask(object_server: Servers) -> None:
    assert object_server("moto").apis == object_server("moto").apis


def test_a_server_ends_with_the_process_it_was_started_for() -> None:
    with subprocess.Popen(("cat",), stdin=subprocess.PIPE) as session:
        server = start_until_end_of(session.pid, "rclone")
        port = int(server.apis["s3"]["endpoint"].rpartition(":")[2])
        assert listens(port)
        session.kill()
    wait_until(lambda: not listens(port), "the server ends")


@pytest.mark.parametrize(
    ("setting", "required"),
    [("", False), ("all", True), ("moto,swift", True), ("moto swift", True), ("moto", False)],
)
def test_servers_are_required_by_name_or_all(
    monkeypatch: pytest.MonkeyPatch, setting: str, required: bool
) -> None:
    monkeypatch.setenv(REQUIRED, setting)
    assert is_required("swift") == required


def test_a_missing_server_skips_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "moto")
    with pytest.raises(pytest.skip.Exception, match=r"swift: no package"):
        not_provided("swift", "no package")


def test_a_missing_server_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "all")
    with pytest.raises(pytest.fail.Exception, match="no package"):
        not_provided("swift", "no package")


def test_what_the_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    for name in ("ceph", "swift", "azurite"):
        with pytest.raises(NotProvided, match="is not installed"):
            SERVERS[name](tmp_path / name, 0)
