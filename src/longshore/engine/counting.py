"""Housekeeping of numbers: what lies on each storage, counted bit by bit.

Counting while files are recorded would cost every one of them; so the catalogue is gone through
now and then, in short transactions between two rounds, and only after something was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from longshore.database import storage_counts
from longshore.database.connection import reading
from longshore.database.storage_counts import Sums
from longshore.domain.storage import StorageKind, StorageReference
from longshore.engine.floor import Floor

WINDOW_FILES = 5_000  # ids looked at in one transaction: some milliseconds
WORK_SECONDS = 0.02  # of counting between two rounds; a window takes some milliseconds more
PAUSE_SECONDS = 30.0  # between two counts; numbers are so old at most on a small catalogue
PAUSE_FACTOR = 20  # pauses are so many times as long as the count was: 5 % of the time


@dataclass(slots=True)
class Counting:
    """Counts again and again. One per controller."""

    _count: Iterator[None] | None = None
    _begun_at: float = 0.0
    _not_before: float = 0.0
    _settled: int = -1  # what had been recorded when the last count began

    def work(self, floor: Floor) -> None:
        """Go on with the present count for a moment, or begin one when it is time."""
        now = floor.monotonic()
        if self._count is None:
            if now < self._not_before or floor.settled == self._settled:
                return
            self._count, self._begun_at, self._settled = count(floor), now, floor.settled
        try:
            while floor.monotonic() - now < WORK_SECONDS:
                next(self._count)
        except StopIteration:
            self._count = None
            taken = floor.monotonic() - self._begun_at
            self._not_before = floor.monotonic() + max(PAUSE_SECONDS, PAUSE_FACTOR * taken)
        except BaseException:
            self._count, self._settled = None, -1  # the database refused: from the start, soon
            raise


def count(floor: Floor) -> Iterator[None]:
    """Count everything, window by window, and put the sums on record."""
    roots: dict[int, Sums] = {}
    storages: dict[StorageReference, Sums] = {}
    with reading(floor.database.journal) as connection:
        last = storage_counts.last_node(connection)
    for first in range(0, last + 1, WINDOW_FILES):
        with reading(floor.database.journal) as connection:
            window = (first, first + WINDOW_FILES - 1)
            storage_counts.add_trees(connection, *window, roots)
            storage_counts.add_copies(connection, *window, storages)
        yield
    with floor.state() as connection:
        for root_id, storage in storage_counts.storages_of_roots(connection).items():
            sums = roots.get(root_id, Sums())
            if storage.kind is not StorageKind.CONTAINER:
                sums = Sums(sums.cached_files, sums.cached_bytes)  # stubs are not there any more
            storages[storage] = sums
        storage_counts.replace_all(connection, storages)
