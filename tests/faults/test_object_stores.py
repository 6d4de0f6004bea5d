"""Whole runs into buckets and back while their store is gone, restarted, slow or disturbed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.clouds import BucketPool, add_bucket_pool
from tests.faults.test_kill_and_resume import SMALL_STEPS, processed
from tests.object_servers.catalogue import start
from tests.object_servers.contents import MARKER
from tests.object_servers.processes import ObjectServer, Running
from tests.object_servers.proxy import SLOW_DOWN, Disturbance, Proxy
from tests.servers import Server, wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 120
FILE_BYTES_MAXIMUM = 40_000
BIG_BYTES = 20 * 1024 * 1024  # several parts
HALF_A_MEBIBYTE = 1 << 19
PATIENCE = "read_seconds=2"
SLOWLY = 2 * 1024 * 1024  # bytes per second: the big file alone takes ten seconds


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data", {**SMALL_STEPS, "LONGSHORE_STORAGE_RETRY_SECONDS": "600"})
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def proxy(object_server: Callable[[str], ObjectServer]) -> Iterator[Proxy]:
    with Proxy(object_server("moto").apis["s3"]["endpoint"]) as proxy:
        yield proxy


def fill(source: Path) -> None:
    grow(source, FILES, size=FILE_BYTES_MAXIMUM)
    (source / "big.bin").write_bytes(os.urandom(BIG_BYTES))


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def check_done(task: Task) -> None:
    """Every file was copied."""
    task.limit(None)
    status = task.wait(seconds=180)["status"]
    failed = [each for each in task.files() if each["outcome"] == "failed"]
    assert status == "done", str((task.execution(), failed[:3]))
    assert {record["outcome"] for record in task.files()} == {"copied"}


def wait_for_loss(client: httpx.Client, task: Task) -> None:
    def is_lost() -> bool:
        answer = client.get(f"/tasks/{task.id}/explain").raise_for_status().json()
        return any(reason["code"] == "storage_lost" for reason in answer["reasons"])

    wait_until(is_lost, "the storage to be missed")


def test_a_run_waits_for_a_store_that_is_gone_and_goes_on(
    server: Server, client: httpx.Client, tmp_path: Path, source: Path, destination: Path
) -> None:
    fill(source)
    live = add_share_pool(client, "live", "primary", source)
    store = start("rclone", tmp_path / "store")
    try:
        archive = add_bucket_pool(client, store.server, "cloud", "offline_archive")
        up = add_copy_task(client, live, archive.id)
        lose_and_return(server, client, up, store)
        check_done(up)
        assert archive.objects() == contents(source)
        other = add_share_pool(client, "other", "primary", destination)
        down = add_copy_task(client, archive.id, other, workflow_action="restore")
        lose_and_return(server, client, down, store)
        check_done(down)
    finally:
        store.stop()
    assert contents(destination) == contents(source)  # this server forgets metadata when it ends
    assert staged_left(destination) == []


def test_a_run_waits_for_a_store_that_hangs_and_goes_on(
    server: Server, client: httpx.Client, tmp_path: Path, source: Path
) -> None:
    fill(source)
    live = add_share_pool(client, "live", "primary", source)
    store = start("rclone", tmp_path / "store")
    options = f"folder_marker={MARKER},read_seconds=1"
    try:
        archive = add_bucket_pool(client, store.server, "cloud", "offline_archive", options=options)
        task = add_copy_task(client, live, archive.id)
        task.limit(SLOWLY)
        task.act("run")
        wait_until(lambda: processed(server) > FILES // 10, "some files")
        store.processes.send(signal.SIGSTOP)
        wait_for_loss(client, task)
        store.processes.send(signal.SIGCONT)
        check_done(task)
        assert archive.objects() == contents(source)
        assert archive.unfinished() == []
    finally:
        store.stop()


def lose_and_return(server: Server, client: httpx.Client, task: Task, store: Running) -> None:
    """Run the task, kill its store in the middle, and start that again once it is missed."""
    begun = processed(server)
    task.limit(SLOWLY)
    task.act("run")
    wait_until(lambda: processed(server) > begun + FILES // 10, "some files")
    store.stop()
    wait_for_loss(client, task)
    port = int(store.server.apis["s3"]["endpoint"].rpartition(":")[2])
    store.processes = start("rclone", store.processes.folder, port).processes


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (
            Disturbance(cut_upload_after=HALF_A_MEBIBYTE, times=10),
            Disturbance(cut_download_after=HALF_A_MEBIBYTE, times=10),
        ),
        (
            Disturbance(corrupt_upload_at=HALF_A_MEBIBYTE, times=5),
            Disturbance(cut_download_after=0, times=5),
        ),
        (
            Disturbance(hold_upload_after=HALF_A_MEBIBYTE, times=2),
            Disturbance(hold_download_after=HALF_A_MEBIBYTE, times=2),
        ),
        (
            Disturbance(answer=SLOW_DOWN, times=20),
            Disturbance(answer=SLOW_DOWN, times=20),
        ),
    ],
    ids=["cut", "corrupted", "held", "throttled"],
)
def test_whatever_happens_on_the_way_the_content_is_right(
    client: httpx.Client,
    object_server: Callable[[str], ObjectServer],
    proxy: Proxy,
    source: Path,
    destination: Path,
    up: Disturbance,
    down: Disturbance,
) -> None:
    fill(source)
    live = add_share_pool(client, "live", "primary", source)
    archive: BucketPool = add_bucket_pool(
        client,
        object_server("moto"),
        "cloud",
        "offline_archive",
        url=proxy.endpoint,
        options=PATIENCE,
    )
    task = add_copy_task(client, live, archive.id)
    proxy.disturb(up)
    task.act("run")
    check_done(task)
    assert up.hits > 1
    assert archive.objects() == contents(source)
    assert archive.unfinished() == []
    other = add_share_pool(client, "other", "primary", destination)
    back = add_copy_task(client, archive.id, other, workflow_action="restore")
    proxy.disturb(down)
    back.act("run")
    check_done(back)
    assert down.hits > 1
    assert describe(destination) == describe(source)


def test_what_changes_on_the_way_back_is_an_error_and_comes_with_the_next_run(
    client: httpx.Client,
    object_server: Callable[[str], ObjectServer],
    proxy: Proxy,
    source: Path,
    destination: Path,
) -> None:
    fill(source)
    live = add_share_pool(client, "live", "primary", source)
    archive = add_bucket_pool(
        client, object_server("moto"), "cloud", "offline_archive", url=proxy.endpoint
    )
    task = add_copy_task(client, live, archive.id)
    task.act("run")
    check_done(task)
    other = add_share_pool(client, "other", "primary", destination)
    back = add_copy_task(client, archive.id, other, workflow_action="restore")
    changed = proxy.disturb(Disturbance(corrupt_download_at=3 * HALF_A_MEBIBYTE, times=8))
    back.act("run")
    assert back.wait()["status"] in {"done", "finished_with_warnings"}
    assert changed.hits == changed.times
    failed = {each["name"]: each["error"] for each in back.files() if each["outcome"] == "failed"}
    assert {error["kind"] for error in failed.values()} <= {"checksum_mismatch", "input_output"}
    restored, wanted = contents(destination), contents(source)
    assert restored == {
        path: content for path, content in wanted.items() if Path(path).name not in failed
    }
    back.act("run")
    assert back.wait()["status"] == "done"
    assert contents(destination) == wanted


def test_a_move_from_a_bucket_reads_again_what_has_changed_on_the_way(
    client: httpx.Client,
    object_server: Callable[[str], ObjectServer],
    proxy: Proxy,
    destination: Path,
) -> None:
    live = add_bucket_pool(client, object_server("moto"), "live", "primary", url=proxy.endpoint)
    wanted = {f"films/{number}": os.urandom(4 * 1024 * 1024) for number in range(4)}
    for key, content in wanted.items():
        live.put(key, content)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    task = add_copy_task(client, live.id, archive, workflow_action="move")
    changed = proxy.disturb(Disturbance(corrupt_download_at=5 * HALF_A_MEBIBYTE, times=2))
    task.act("run")
    check_done(task)
    assert changed.hits == 2
    assert contents(destination) == wanted
    assert live.objects() == {}
