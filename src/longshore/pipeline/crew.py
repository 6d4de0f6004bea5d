"""One small deed for each of many files, several at a time where each waits long."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

from longshore.domain.errors import StorageUnavailable
from longshore.storage.handler import StorageHandler

THREADS_MAXIMUM = 32  # of one mover; more only take the interpreter from each other
WAITING_PER_THREAD = 3  # deeds begun or ready behind one that takes long, so no thread runs dry

Item = TypeVar("Item")
Result = TypeVar("Result")


def operations_of(*storages: StorageHandler) -> int:
    """How many operations that use all of these storages pay off at once; 1: one after another."""
    able = [each.capabilities for each in storages]
    if any(each.sequential_only or not each.shared_by_threads for each in able):
        return 1
    return min(max(each.parallel_operations for each in able), THREADS_MAXIMUM)


def each(
    items: Sequence[Item],
    deed: Callable[[Item], Result],
    *,
    at_once: int,
    ends: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Item, Result]]:
    """Each item with what came of it, in their order, until `ends` says that no more is begun.

    What a deed raises is raised in its turn; StorageUnavailable after the results of all deeds
    that were begun.
    """
    if at_once <= 1 or len(items) <= 1:
        return _in_turn(items, deed, ends)
    return _together(items, deed, at_once, ends)


def _in_turn(
    items: Sequence[Item], deed: Callable[[Item], Result], ends: Callable[[], bool]
) -> Iterator[tuple[Item, Result]]:
    for item in items:
        if ends():
            return
        yield item, deed(item)


def _together(
    items: Sequence[Item],
    deed: Callable[[Item], Result],
    at_once: int,
    ends: Callable[[], bool],
) -> Iterator[tuple[Item, Result]]:
    under_way: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(min(at_once, len(items)), "crew") as crew:
        try:
            for item in items:
                if ends():
                    break
                if len(under_way) >= at_once * WAITING_PER_THREAD:
                    yield _oldest(under_way)
                under_way.append((item, crew.submit(deed, item)))
            while under_way:
                yield _oldest(under_way)
        except StorageUnavailable:
            yield from _rest(under_way)
            raise
        finally:
            crew.shutdown(wait=True, cancel_futures=True)


def _oldest(under_way: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Result]:
    item, begun = under_way.popleft()
    return item, begun.result()


def _rest(under_way: deque[tuple[Item, Future[Result]]]) -> Iterator[tuple[Item, Result]]:
    """What can still be told when a storage is gone: nothing more is begun."""
    for _, begun in under_way:
        begun.cancel()
    while under_way:
        try:
            yield _oldest(under_way)
        except (StorageUnavailable, CancelledError):
            continue
