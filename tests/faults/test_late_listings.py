"""A store whose listings lag behind loses no file and gets none twice."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clouds import BucketPool, add_bucket_pool
from tests.faults.test_kill_clouds import (
    BIG_BYTES,
    FILE_BYTES_MAXIMUM,
    FILES,
    STEPS,
    check_bucket,
    check_recorded_once,
    contents,
    kill_in_between,
    start,
)
from tests.object_servers.forwarding import Forwarding, forwarding
from tests.object_servers.late_listings import LateListings
from tests.object_servers.processes import ObjectServer
from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow

SOME_FILES = 40


@pytest.fixture
def proxy() -> Iterator[Forwarding]:
    with forwarding() as proxy:
        yield proxy


@pytest.fixture
def late(proxy: Forwarding) -> LateListings:
    """What the listings leave out that pass the proxy."""
    proxy.change = late = LateListings()
    return late


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


AddPool = Callable[[httpx.Client, str], BucketPool]


@pytest.fixture
def add_pool(proxy: Forwarding, object_server: Callable[[str], ObjectServer]) -> AddPool:
    """Adds a pool of one kind over a new bucket, which is reached through the proxy."""

    def add(client: httpx.Client, kind: str) -> BucketPool:
        server = object_server("moto")
        return add_bucket_pool(client, server, "cloud", kind, url_proxy=proxy.address)

    return add


def done(task: Task) -> dict[str, int]:
    """Run it to its end; how many files had which outcome."""
    task.act("run")
    status = task.wait()["status"]
    records = task.files()
    failed = [each for each in records if each["outcome"] == "failed"]
    assert status == "done", str((task.execution(), failed[:2]))
    return dict(Counter(record["outcome"] for record in records))


def writings(proxy: Forwarding, archive: BucketPool, keys: dict[str, Any]) -> Counter[str]:
    """How often each of the objects was written: at once, or by completing an upload."""
    place = f"/{archive.bucket}/"
    written: Counter[str] = Counter()
    for line in proxy.answered:
        method, _, target = line.partition(" ")
        path, _, query = target.partition("?")
        key = path.partition(place)[2]
        completes = method == "POST" and "uploadId" in query
        if key in keys and (completes or (method == "PUT" and not query)):
            written[key] += 1
    return written


def test_a_second_run_writes_nothing_that_listings_do_not_show_yet(
    client: httpx.Client, proxy: Forwarding, late: LateListings, add_pool: AddPool, source: Path
) -> None:
    grow(source, SOME_FILES)
    (source / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    wanted = contents(source)
    live = add_share_pool(client, "live", "primary", source)
    archive = add_pool(client, "offline_archive")
    task = add_copy_task(client, live, archive.id)
    assert done(task) == {"copied": len(wanted)}
    assert done(task) == {"identical": len(wanted)}
    assert late.left_out > 0
    assert writings(proxy, archive, wanted) == Counter(dict.fromkeys(wanted, 1))
    check_bucket(archive, wanted)
    late.settle()
    assert done(task) == {"identical": len(wanted)}
    assert writings(proxy, archive, wanted) == Counter(dict.fromkeys(wanted, 1))


def test_no_file_is_replaced_because_a_listing_does_not_show_it(
    client: httpx.Client,
    late: LateListings,
    add_pool: AddPool,
    source: Path,
    destination: Path,
) -> None:
    grow(source, SOME_FILES, seed=1)
    grow(destination, SOME_FILES, seed=2)
    first, second = contents(source), contents(destination)
    assert first.keys() == second.keys()
    assert first != second
    archive = add_pool(client, "offline_archive")
    for number, folder in enumerate((source, destination)):
        share = add_share_pool(client, f"share{number}", "primary", folder)
        task = add_copy_task(client, share, archive.id, conflict_resolution="rename")
        outcomes = done(task)
    assert set(outcomes) == {"renamed"}
    assert late.left_out > 0
    assert Counter(archive.objects().values()) == Counter([*first.values(), *second.values()])


def test_what_a_listing_does_not_show_stays_where_it_is_until_it_does(
    client: httpx.Client,
    late: LateListings,
    add_pool: AddPool,
    source: Path,
    destination: Path,
) -> None:
    grow(source, SOME_FILES)
    wanted = contents(source)
    bucket = add_pool(client, "primary")
    for key, content in wanted.items():
        bucket.put(key, content)
    hidden = sorted(wanted)[::3]
    late.hide(bucket.bucket, *wanted)
    late.settle()
    late.hide(bucket.bucket, *hidden)
    away = add_share_pool(client, "away", "offline_archive", destination)
    task = add_copy_task(client, bucket.id, away, workflow_action="move")
    assert done(task) == {"copied": len(wanted) - len(hidden)}
    assert {key: wanted[key] for key in hidden}.items() <= bucket.objects().items()
    late.settle()
    assert done(task) == {"copied": len(hidden)}
    assert contents(destination) == wanted
    assert not wanted.keys() & bucket.objects().keys()


def test_a_run_that_is_killed_goes_on_though_listings_lag_behind(
    tmp_path: Path, source: Path, proxy: Forwarding, late: LateListings, add_pool: AddPool
) -> None:
    grow(source, FILES, size=FILE_BYTES_MAXIMUM)
    (source / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    wanted = contents(source)
    before = describe(source)
    server = Server(tmp_path / "data", STEPS)
    server.start()
    try:
        with server.client() as client:
            live = add_share_pool(client, "live", "primary", source)
            archive = add_pool(client, "offline_archive")
            task_id = start(add_copy_task(client, live, archive.id))
        kill_in_between(server, random.Random(1), 0)
        with server.client() as client:
            check_recorded_once(Task(client, task_id), wanted)
            check_bucket(archive, wanted)
    finally:
        server.close()
    assert late.left_out > 0
    assert describe(source) == before
