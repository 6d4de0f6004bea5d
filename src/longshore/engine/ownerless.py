"""Housekeeping of the catalogue: trees whose container or pool was removed leave it.

A new tree is made before the pool that owns it, in another transaction. So a tree is removed only
when two looks, minutes apart, have found nobody who owns it. Files that are archived stay, and the
folders around them: nothing else knows the checksums and the metadata of their copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from longshore.database import ownerless
from longshore.database.connection import reading
from longshore.engine.floor import Floor
from longshore.observability import logger

LOOK_SECONDS = 600.0  # between two looks: making a pool takes well under a second
WINDOW_NODES = 5_000  # ids looked at in one transaction: some milliseconds
WORK_SECONDS = 0.02  # of removing between two rounds; a window takes some milliseconds more

_log = logger("controller")


@dataclass(slots=True)
class Ownerless:
    """Looks for trees that nobody owns, and removes them. One per controller."""

    _removal: Iterator[None] | None = None
    _looked_at: float = float("-inf")
    _seen: set[int] = field(default_factory=set)  # roots without an owner at the last look
    _done: set[int] = field(default_factory=set)  # what is left of them is archived

    def work(self, floor: Floor) -> None:
        """Go on with the present removal for a moment, or look for one when it is time."""
        now = floor.monotonic()
        if self._removal is None:
            if now - self._looked_at < LOOK_SECONDS:
                return
            self._looked_at = now
            self._removal = self._remove(floor, self._look(floor))
        try:
            while floor.monotonic() - now < WORK_SECONDS:
                next(self._removal)
        except StopIteration:
            self._removal = None
        except BaseException:
            self._removal = None  # the database refused: from the start, at the next look
            raise

    def _look(self, floor: Floor) -> set[int]:
        """The roots that had no owner at the last look either, and that no run touches."""
        with reading(floor.database.journal) as connection:
            found = ownerless.roots(connection)
        with reading(floor.database.state) as connection:
            found -= ownerless.owned_roots(connection)
        before, self._seen = self._seen, found
        return (found & before) - self._done - _roots_in_use(floor)

    def _remove(self, floor: Floor, root_ids: set[int]) -> Iterator[None]:
        for root_id in sorted(root_ids):
            yield from remove_tree(floor, root_id)
            self._done.add(root_id)


def remove_tree(floor: Floor, root_id: int) -> Iterator[None]:
    """Remove the tree step by step, except what is archived."""
    with reading(floor.database.journal) as connection:
        last = ownerless.last_node(connection)
    windows = [
        (first, first + WINDOW_NODES - 1) for first in range(root_id, last + 1, WINDOW_NODES)
    ]
    for window in windows:
        with floor.journal() as connection:
            ownerless.remove_files(connection, root_id, *window)
        yield
    removed = 1
    while removed:
        removed = 0
        for window in reversed(windows):  # inner folders mostly have higher ids than outer ones
            with floor.journal() as connection:
                removed += ownerless.remove_empty_folders(connection, root_id, *window)
            yield
    floor.folder_ids.forget()
    floor.settled += 1  # the sums of storages are to be counted again
    _log.info("removed a tree that nobody owns", root=root_id)


def _roots_in_use(floor: Floor) -> set[int]:
    """The roots that the present runs read or write."""
    plans = [run.plan for run in floor.runs.values()]
    used = {source.root_id for plan in plans for source in plan.sources}
    used |= {destination.root_id for plan in plans for destination in plan.destinations}
    return {root_id for root_id in used if root_id is not None}
