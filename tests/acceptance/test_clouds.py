"""Tasks between folders and buckets of real object stores, on a real server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clouds import BucketPool, add_bucket_pool, add_pool_of_connector, synchronized
from tests.object_servers.buckets import new_bucket
from tests.object_servers.forwarding import forwarding
from tests.object_servers.processes import ObjectServer
from tests.object_servers.tokens import giving_tokens
from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import describe, grow

FILES = 40
BIG_BYTES = 20 * 1024 * 1024  # goes in parts

STORES = ["moto", "azurite", "gcs", "swift"]  # one for each interface


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


AddPool = Callable[..., BucketPool]


@pytest.fixture
def cloud(client: httpx.Client, object_server: Callable[[str], ObjectServer]) -> AddPool:
    """Adds a pool over a new bucket."""

    def add(kind: str, name: str = "cloud", *, at: str = "moto", **connector: Any) -> BucketPool:
        return add_bucket_pool(client, object_server(at), name, kind, **connector)

    return add


def in_place(client: httpx.Client, pool: int, **fields: Any) -> Task:
    """A task on one pool, without destination."""
    task = Task(client, int(created(client.post("/tasks", json={"name": "t", **fields}))["id"]))
    created(client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
    return task


def done(task: Task) -> dict[str, Any]:
    """Run it; its execution, once that is done."""
    task.act("run")
    status = task.wait()["status"]
    failed = [each for each in task.files() if each["outcome"] == "failed"]
    assert status == "done", str((task.execution(), failed[:2]))
    return task.execution()


def outcomes(task: Task) -> set[str]:
    return {record["outcome"] for record in task.files()}


def md5_hex(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def contents(root: Path) -> dict[str, bytes]:
    """The content of every regular file below the root, by its key in a bucket."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("at", [*STORES, "rclone"])
def test_a_tree_goes_to_a_bucket_and_comes_back_as_it_was(
    client: httpx.Client, cloud: AddPool, source: Path, destination: Path, at: str
) -> None:
    grow(source, FILES)
    (source / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    (source / "nothing").touch()
    os.symlink("d000", source / "link")
    live = add_share_pool(client, "live", "primary", source)
    archive = cloud("offline_archive", at=at)
    task = add_copy_task(client, live, archive.id, options={"file_checksum": "md5"})
    execution = done(task)
    assert (execution["source_type"], execution["destination_type"]) == (
        "primary_nas",
        "secondary_cloud",
    )
    assert outcomes(task) == {"copied"}
    objects = archive.objects()
    assert {key: objects[key] for key in contents(source)} == contents(source)
    assert archive.unfinished() == []
    done(task)
    assert outcomes(task) == {"identical"}

    other = add_share_pool(client, "other", "primary", destination)
    back = add_copy_task(client, archive.id, other, workflow_action="restore")
    done(back)
    assert outcomes(back) == {"copied"}
    assert describe(destination) == describe(source)


@pytest.mark.parametrize("first", ["share", "bucket"])
def test_a_move_to_a_share_and_a_bucket_ends_when_both_hold_everything(
    client: httpx.Client, cloud: AddPool, source: Path, destination: Path, first: str
) -> None:
    grow(source, FILES)
    (source / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    before, files = describe(source), contents(source)
    live = add_share_pool(client, "live", "primary", source)
    share = add_share_pool(client, "share", "offline_archive", destination)
    bucket = cloud("offline_archive", at="rclone")
    ends = [share, bucket.id] if first == "share" else [bucket.id, share]
    task = add_copy_task(client, live, ends[0], workflow_action="move")
    created(client.post(f"/tasks/{task.id}/task_destinations", json={"pool_id": ends[1]}))
    execution = done(task)
    types = {"share": "secondary_nas", "bucket": "secondary_cloud"}
    assert execution["destination_type"] == types[first]
    assert execution["processed_files"] == len(task.files()) == 2 * len(files)
    assert describe(destination) == before
    assert {key: content for key, content in bucket.objects().items() if key in files} == files
    assert list(source.iterdir()) == []


@pytest.mark.parametrize("at", STORES)
def test_what_moved_to_a_bucket_comes_back_to_its_place(
    client: httpx.Client, cloud: AddPool, source: Path, at: str
) -> None:
    grow(source, FILES)
    before = describe(source)
    live = add_share_pool(client, "live", "primary", source)
    archive = cloud("offline_archive", at=at)
    done(add_copy_task(client, live, archive.id, workflow_action="move"))
    assert contents(source) == {}
    assert len(archive.objects()) == FILES
    back = in_place(client, archive.id, workflow_type="offline_archive", workflow_action="restore")
    done(back)
    assert describe(source) == before


@pytest.mark.parametrize("at", STORES)
def test_objects_of_others_move_from_a_primary_bucket_to_a_folder(
    client: httpx.Client, cloud: AddPool, destination: Path, at: str
) -> None:
    live = cloud("primary", "live-cloud", at=at)
    wanted = {"a/b/one.txt": b"1", "a/two": b"22", "ü": b""}
    for key, content in wanted.items():
        live.put(key, content)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    task = add_copy_task(client, live.id, archive, workflow_action="move")
    execution = done(task)
    assert execution["source_type"] == "primary_cloud"
    assert contents(destination) == wanted
    assert live.objects() == {}


@pytest.mark.parametrize(
    ("at", "then_at"),
    [("moto", "rclone"), ("azurite", "swift"), ("swift", "gcs"), ("gcs", "moto")],
)
def test_files_go_from_bucket_to_bucket(
    client: httpx.Client, cloud: AddPool, source: Path, at: str, then_at: str
) -> None:
    grow(source, FILES)
    (source / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    live = add_share_pool(client, "live", "primary", source)
    first, second = cloud("offline_archive", at=at), cloud("offline_archive", at=then_at)
    done(add_copy_task(client, live, first.id))
    between = add_copy_task(client, first.id, second.id, workflow_type="data_migration")
    done(between)
    assert first.unfinished() == second.unfinished() == []
    told = {record["name"]: record["checksum"] for record in between.files()}
    assert told.pop("big.bin") is None  # it went in parts
    wanted = {Path(key).name: md5_hex(content) for key, content in contents(source).items()}
    assert told == {name: wanted[name] for name in told}
    assert {record["checksum_type"] for record in between.files()} == {"md5", None}
    assert second.objects() == contents(source) == first.objects()
    key = next(iter(contents(source)))
    assert second.metadata(key) == first.metadata(key)


@pytest.mark.parametrize(
    ("at", "action", "again"),
    [
        ("moto", "incremental_backup", 1),
        ("azurite", "incremental_backup", 1),
        ("azurite", "full_backup", FILES + 1),
    ],
)
def test_a_backup_writes_what_has_changed_or_all(
    client: httpx.Client, cloud: AddPool, source: Path, at: str, action: str, again: int
) -> None:
    grow(source, FILES)
    live = add_share_pool(client, "live", "primary", source)
    archive = cloud("offline_archive", at=at)
    task = add_copy_task(client, live, archive.id, workflow_action=action, name="nightly")
    first = done(task)
    (source / "d000" / "new").write_bytes(b"new")
    second = done(task)
    objects = archive.objects()
    assert objects[f"nightly/{second['id']}/d000/new"] == b"new"
    written = [key for key in objects if key.startswith(f"nightly/{second['id']}/")]
    assert len(written) == again
    assert len([key for key in objects if key.startswith(f"nightly/{first['id']}/")]) == FILES


@pytest.mark.parametrize("at", STORES)
def test_a_scan_takes_note_of_a_primary_bucket(
    client: httpx.Client, cloud: AddPool, at: str
) -> None:
    live = cloud("primary", "scanned", at=at)
    live.put("films/one.mov", b"1" * 1000)
    live.put("films/two.mov", b"2" * 2000)
    task = in_place(client, live.id, workflow_type="maintenance", workflow_action="scan")
    done(task)
    root = client.get(f"/pools/{live.id}").json()["primary_id"]
    films = client.get(f"/files/{root}/children").json()["files"][0]
    found = client.get(f"/files/{films['id']}/children").json()["files"]
    assert [(each["name"], each["size"]) for each in found] == [
        ("one.mov", 1000),
        ("two.mov", 2000),
    ]
    live.remove("films/one.mov")
    done(task)
    shown = client.get(f"/files/{found[0]['id']}").json()
    assert shown["state"] == "vanished"


@pytest.mark.parametrize("at", STORES)
def test_erasing_empties_a_bucket(
    client: httpx.Client, cloud: AddPool, source: Path, at: str
) -> None:
    grow(source, FILES)
    live = add_share_pool(client, "live", "primary", source)
    archive = cloud("offline_archive", at=at)
    done(add_copy_task(client, live, archive.id))
    erase = in_place(client, archive.id, workflow_type="offline_archive", workflow_action="erase")
    done(erase)
    assert archive.objects() == {}
    assert outcomes(erase) == {"erased"}


@pytest.mark.parametrize("at", ["moto", "azurite"])
def test_the_speed_of_a_bucket_is_measured(client: httpx.Client, cloud: AddPool, at: str) -> None:
    archive = cloud("offline_archive", at=at)
    task = in_place(client, archive.id, workflow_type="maintenance", workflow_action="speedtest")
    assert done(task)["bandwidth"] > 0
    assert archive.objects() == {}
    assert archive.unfinished() == []


@pytest.mark.parametrize("asked", ["md5", "none"])
def test_a_store_copies_between_buckets_of_one_connector_by_itself(
    client: httpx.Client,
    cloud: AddPool,
    object_server: Callable[[str], ObjectServer],
    destination: Path,
    asked: str,
) -> None:
    film, size = os.urandom(4 * 1024 * 1024), 4 * 1024 * 1024
    with forwarding() as proxy:
        address = proxy.address.replace("//", "//me:p%40ss@")
        live = cloud("primary", "live-cloud", url_proxy=address)
        archive = add_pool_of_connector(
            client, object_server("moto"), live.connector_id, f"to-{live.bucket}", "offline_archive"
        )
        live.put("films/film.mov", film)
        task = add_copy_task(client, live.id, archive.id, options={"file_checksum": asked})
        execution = done(task)
        assert proxy.bytes_passed < size // 10
        assert proxy.logins == {"Basic bWU6cEBzcw=="}
        assert archive.objects() == {"films/film.mov": film}
        [record] = task.files()
        assert (record["outcome"], execution["processed_size"]) == ("copied", size)
        assert (record["checksum_type"], record["checksum"]) == ("md5", md5_hex(film))
        [copy] = client.get(f"/files/{record['id']}").json()["copies"]
        assert (copy["checksum_type"], copy["checksum"]) == ("md5", md5_hex(film))
        # What was never read is archived all the same: it comes back, and is found identical.
        done(task)
        assert outcomes(task) == {"identical"}
        other = add_share_pool(client, "other", "primary", destination)
        done(add_copy_task(client, archive.id, other, workflow_action="restore"))
        assert contents(destination) == archive.objects()


def test_the_key_file_of_a_bucket_opens_it(
    client: httpx.Client, cloud: AddPool, source: Path
) -> None:
    (source / "file").write_bytes(b"content")
    live = add_share_pool(client, "live", "primary", source)
    archive = cloud("offline_archive", at="gcs")
    with giving_tokens() as tokens, forwarding() as proxy:
        path = f"/cloud_buckets/{archive.bucket_id}/config_file"
        file = ("account.json", tokens.key_file().encode())
        client.put(path, files={"config_file": file}).raise_for_status()
        connector = f"/cloud_connectors/{archive.connector_id}"
        client.put(connector, json={"url_proxy": proxy.address}).raise_for_status()
        done(add_copy_task(client, live, archive.id))
        assert tokens.asked[0]["iss"] == "me@example.com"
        assert "Bearer t1" in proxy.tokens
    assert archive.objects() == {"file": b"content"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_task_with_both_ends_in_one_bucket_is_refused(
    client: httpx.Client, cloud: AddPool, host: str
) -> None:
    live = cloud("primary", "same")
    # The same bucket through a connector of another name.
    settings = live.settings
    body = {
        "name": f"again-{live.bucket}",
        "provider": "generic_s3",
        "url": settings["endpoint"].replace("127.0.0.1", host) + "/",
        "access_key": settings["access_key"],
        "secret_key": settings["secret_key"],
        "options": f"buckets={live.bucket}",
    }
    connector = created(client.post("/cloud_connectors", json=body))
    ids = [each["id"] for each in synchronized(client, connector["id"])]
    pool = {"name": body["name"], "type": "offline_archive", "content": "cloud"}
    archive = created(client.post("/pools", json=pool | {"cloud_bucket_ids": ids}))
    live.put("film.mov", b"the only copy")
    for action in ("copy", "move"):
        task = add_copy_task(client, live.id, archive["id"], workflow_action=action)
        assert task.request("run")["status"] == "failed"
    assert live.objects() == {"film.mov": b"the only copy"}


def test_a_connector_stays_while_a_run_uses_a_bucket_of_it(
    client: httpx.Client,
    cloud: AddPool,
    object_server: Callable[[str], ObjectServer],
    source: Path,
) -> None:
    grow(source, FILES)
    live = add_share_pool(client, "live", "primary", source)
    archive = cloud("offline_archive")
    task = add_copy_task(client, live, archive.id)
    task.limit(1000)  # bytes per second
    task.act("run")
    task.wait("in_progress")
    task.act("pause")
    pool, connector = f"/pools/{archive.id}", f"/cloud_connectors/{archive.connector_id}"
    client.put(pool, json={"cloud_bucket_ids": []}).raise_for_status()
    refused = client.delete(connector)
    assert refused.status_code == 422
    assert "execution" in refused.json()["messages"][0]
    # Its keys may not list it any more.
    other = new_bucket(object_server("moto"), "s3")
    client.put(connector, json={"options": f"buckets={other}"}).raise_for_status()
    assert archive.bucket in {each["name"] for each in synchronized(client, archive.connector_id)}
    task.limit(None)
    task.act("resume")
    assert task.wait()["status"] == "done"
    assert archive.objects() == contents(source)
    assert client.delete(connector).status_code == 204


def test_a_key_that_cannot_be_one_stops_the_task_and_says_so(
    tmp_path: Path, object_server: Callable[[str], ObjectServer], source: Path
) -> None:
    grow(source, 5)
    server = Server(tmp_path / "data", {"LONGSHORE_STORAGE_RETRY_SECONDS": "0"})
    server.start()
    try:
        with server.client() as client:
            live = add_share_pool(client, "live", "primary", source)
            archive = add_bucket_pool(client, object_server("azurite"), "cloud", "offline_archive")
            connector = f"/cloud_connectors/{archive.connector_id}"
            right = archive.settings["secret_key"]
            client.put(connector, json={"secret_key": "no base 64!"}).raise_for_status()
            task = add_copy_task(client, live, archive.id)
            task.act("run")
            assert task.wait()["status"] == "stopped_by_system"
            explained = client.get(f"/tasks/{task.id}/explain").json()
            assert "base 64" in str(explained)
            client.put(connector, json={"secret_key": right}).raise_for_status()
            resume_until_done(task)
            assert archive.objects() == contents(source)
    finally:
        server.close()


def resume_until_done(task: Task) -> None:
    """A key may be as old as CREDENTIALS_SECONDS; a task that was stopped asks again."""
    for _ in range(20):
        task.act("resume")
        if task.wait()["status"] == "done":
            return
    raise AssertionError(task.show())


def test_keys_that_are_corrected_let_a_stopped_task_go_on_and_stand_nowhere_in_clear(
    tmp_path: Path, object_server: Callable[[str], ObjectServer], source: Path
) -> None:
    grow(source, 5)
    server = Server(tmp_path / "data", {"LONGSHORE_STORAGE_RETRY_SECONDS": "0"})
    server.start()
    try:
        with server.client() as client:
            live = add_share_pool(client, "live", "primary", source)
            archive = add_bucket_pool(client, object_server("rclone"), "cloud", "offline_archive")
            connector = f"/cloud_connectors/{archive.connector_id}"
            client.put(connector, json={"secret_key": "a-wrong-one"}).raise_for_status()
            task = add_copy_task(client, live, archive.id)
            task.act("run")
            assert task.wait()["status"] == "stopped_by_system"
            right = archive.settings["secret_key"]
            client.put(connector, json={"secret_key": right}).raise_for_status()
            resume_until_done(task)
            assert archive.objects() == contents(source)
    finally:
        server.close()
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert len(kept) > 2
    assert not [path for path in kept if right.encode() in path.read_bytes()]
