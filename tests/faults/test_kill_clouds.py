"""Between folders and buckets, too: whatever is killed, every file arrives once and complete."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clouds import BucketPool, add_bucket_pool
from tests.faults.test_kill_and_resume import SMALL_STEPS, VICTIMS, processed
from tests.object_servers.forwarding import Gate, forwarding
from tests.object_servers.processes import ObjectServer
from tests.servers import Server, wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 200
FILE_BYTES_MAXIMUM = 40_000
BIG_BYTES = 20 * 1024 * 1024  # several parts
KILLS = ("mover", "controller", "server", "mover")
PART_BYTES = 8 * 1024 * 1024  # what multipart.part_bytes gives for such a size
PARTS = 5
PARTS_BEFORE = 2  # that the store has when the process is killed
STEPS = {**SMALL_STEPS, "LONGSHORE_BATCH_FILES_MAXIMUM": "30"}


def kill_in_between(server: Server, random_: random.Random, before: int) -> None:
    """Kill one process after the other, each when some more files are on record.

    `before` is how many were there when the task began.
    """
    for victim in KILLS:
        wanted = processed(server) + random_.randrange(FILES // 20)
        wait_until(lambda wanted=wanted: processed(server) >= wanted, f"{wanted} files")  # type: ignore[misc]
        assert processed(server) - before < FILES, "it ended before all kills"
        VICTIMS[victim](server)


def check_recorded_once(task: Task, source: dict[str, bytes]) -> None:
    """The task is done, and each file is on record once."""
    task.limit(None)
    assert task.wait(seconds=180)["status"] == "done", task.execution()
    recorded = Counter(record["file_path"].lstrip("/") for record in task.files())
    assert recorded == Counter(dict.fromkeys(source, 1))
    execution = task.execution()
    assert execution["processed_files"] == execution["to_process_files"] == len(source)
    assert execution["processed_size"] == sum(map(len, source.values()))


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("at", ["rclone", "azurite"])
def test_a_bucket_gets_and_gives_every_file_once_whatever_is_killed(
    tmp_path: Path,
    source: Path,
    destination: Path,
    object_server: Callable[[str], ObjectServer],
    at: str,
) -> None:
    grow(source, FILES, size=FILE_BYTES_MAXIMUM)
    (source / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    wanted = contents(source)
    random_ = random.Random(1)
    server = Server(tmp_path / "data", STEPS)
    server.start()
    try:
        with server.client() as client:
            live = add_share_pool(client, "live", "primary", source)
            archive = add_bucket_pool(client, object_server(at), "cloud", "offline_archive")
            up = add_copy_task(client, live, archive.id)
            up_id = start(up)
        kill_in_between(server, random_, 0)
        with server.client() as client:
            check_recorded_once(Task(client, up_id), wanted)
            check_bucket(archive, wanted)
            begun = processed(server)
            other = add_share_pool(client, "other", "primary", destination)
            down = add_copy_task(client, archive.id, other, workflow_action="restore")
            down_id = start(down)
        kill_in_between(server, random_, begun)
        with server.client() as client:
            check_recorded_once(Task(client, down_id), wanted)
    finally:
        server.close()
    assert describe(destination) == describe(source)
    assert staged_left(destination) == []


def start(task: Task) -> int:
    """Run it so slowly that it lasts longer than all kills, on any machine."""
    task.limit(1024 * 1024)
    task.act("run")
    return task.id


def check_bucket(archive: BucketPool, wanted: dict[str, bytes]) -> None:
    assert archive.objects() == wanted
    assert archive.unfinished() == []


@pytest.mark.parametrize(
    ("at", "part", "victim", "segment_bytes"),
    [
        ("moto", ("PUT", "partNumber="), "mover", 64 * 1024 * 1024),  # nothing is in the journal
        ("moto", ("PUT", "partNumber="), "server", PART_BYTES),  # parts are work of their own
        ("azurite", ("PUT", "comp=block&"), "mover", 64 * 1024 * 1024),
        ("azurite", ("PUT", "comp=block&"), "controller", PART_BYTES),
    ],
)
def test_parts_that_the_store_has_are_not_sent_again(
    tmp_path: Path,
    source: Path,
    object_server: Callable[[str], ObjectServer],
    at: str,
    part: tuple[str, str],
    victim: str,
    segment_bytes: int,
) -> None:
    (source / "big.bin").write_bytes(os.urandom((PARTS - 1) * PART_BYTES + 1000))
    server = Server(tmp_path / "data", {"LONGSHORE_SEGMENT_BYTES": str(segment_bytes)})
    server.start()
    try:
        with server.client() as client, forwarding() as proxy:
            gate = proxy.gate = Gate(*part, PARTS_BEFORE)
            live = add_share_pool(client, "live", "primary", source)
            archive = add_bucket_pool(
                client, object_server(at), "cloud", "offline_archive", url_proxy=proxy.address
            )
            task = add_copy_task(client, live, archive.id)
            task.act("run")
            wait_until(lambda: proxy.count_answered(*part) == PARTS_BEFORE, "some parts")
            wait_until(lambda: gate.held, "a part that does not arrive")
            assert "big.bin" not in archive.objects()
            VICTIMS[victim](server)
            gate.open()
            with server.client() as again:  # a server that was killed has another port
                finished = Task(again, task.id)
                assert finished.wait(seconds=120)["status"] == "done", finished.execution()
                assert [each["outcome"] for each in finished.files()] == ["copied"]
            assert proxy.count_answered(*part) == PARTS
            check_bucket(archive, contents(source))
    finally:
        server.close()
