"""One deed for each of many files: in order, several at a time, ended and interrupted safely."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageUnavailable
from longshore.pipeline import crew
from longshore.storage.backends.posix import PosixStorage
from tests.pipelines import SOURCE

MEET_SECONDS = 30.0  # for threads to come to the same point, on a loaded machine
ITEMS = list(range(50))
WIDTHS = [1, 4]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[PosixStorage]:
    with PosixStorage(SOURCE, str(tmp_path).encode()) as opened:
        yield opened


def gone() -> StorageUnavailable:
    return StorageUnavailable(ErrorKind.STALE, RetryClass.LATER, "remove", b"", "it is gone")


@pytest.mark.parametrize("at_once", WIDTHS)
def test_results_come_in_the_order_of_the_items(at_once: int) -> None:
    assert list(crew.each(ITEMS, lambda n: n * 2, at_once=at_once)) == [(n, n * 2) for n in ITEMS]


def test_so_many_deeds_are_under_way_at_once() -> None:
    together = threading.Barrier(4, timeout=MEET_SECONDS)
    found = crew.each(ITEMS[:8], lambda _: together.wait(), at_once=4)
    assert sorted(result for _, result in found) == sorted([*range(4), *range(4)])


@pytest.mark.parametrize("at_once", WIDTHS)
def test_nothing_is_begun_once_it_ends(at_once: int) -> None:
    done: list[int] = []
    found = crew.each(ITEMS, done.append, at_once=at_once, ends=lambda: len(done) >= 5)
    results = [item for item, _ in found]
    assert results == ITEMS[: len(results)]
    assert sorted(done) == results
    assert 5 <= len(done) <= 5 + at_once * crew.WAITING_PER_THREAD


@pytest.mark.parametrize("at_once", WIDTHS)
def test_a_lost_storage_is_told_after_all_results(at_once: int) -> None:
    done: set[int] = set()

    def deed(item: int) -> int:
        if item == 20:
            raise gone()
        done.add(item)
        return item

    found: list[int] = []

    def collect() -> None:
        found.extend(item for item, _ in crew.each(ITEMS, deed, at_once=at_once))

    with pytest.raises(StorageUnavailable):
        collect()
    assert set(found) == done
    assert found == sorted(found)
    assert found[:20] == ITEMS[:20]


@pytest.mark.parametrize("at_once", WIDTHS)
def test_whoever_stops_listening_waits_for_what_was_begun(at_once: int) -> None:
    under_way = [0]
    lock = threading.Lock()

    def deed(item: int) -> int:
        with lock:
            under_way[0] += 1
        with lock:
            under_way[0] -= 1
        return item

    found = crew.each(ITEMS, deed, at_once=at_once)
    assert next(found) == (0, 0)
    del found
    assert under_way == [0]
    assert not [each for each in threading.enumerate() if each.name.startswith("crew")]


def test_only_shared_handlers_that_gain_by_it_are_used_several_times_at_once(
    storage: PosixStorage,
) -> None:
    assert crew.operations_of(storage) == 1
    far = msgspec.structs.replace(storage.capabilities, parallel_operations=100)
    storage.capabilities = far
    assert crew.operations_of(storage) == crew.THREADS_MAXIMUM
    for more in ({"shared_by_threads": False}, {"sequential_only": True}):
        storage.capabilities = msgspec.structs.replace(far, **more)
        assert crew.operations_of(storage) == 1
