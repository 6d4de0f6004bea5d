"""What is remembered of big folders for a moment, so that paging through them stays cheap.

Counting a million entries takes some 40 ms and skipping half of them as long, while a page itself
takes less than one. Counts of big folders are therefore a little old, and the page after a page
begins right after its last entry instead of at a number.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from longshore.database.files import Place

COUNT_REST_FACTOR = 100  # a count is used for 100 times as long as it took: 1 % of one processor
COUNT_SECONDS_MAXIMUM = 30.0
COUNT_SECONDS_WORTH_KEEPING = 0.002  # what is counted faster is counted every time
PLACE_SECONDS = 60.0  # how long somebody may take until the next page
PLACE_OFFSET_WORTH_KEEPING = 1_000  # skipping fewer entries costs nothing
ENTRIES_MAXIMUM = 2_000  # of each kind; a few hundred bytes each

Filters = tuple[tuple[str, str], ...]
ValueT = TypeVar("ValueT")


class _Remembered(Generic[ValueT]):
    """Values with an end, the oldest dropped first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._values: OrderedDict[object, tuple[ValueT, float]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object, now: float) -> ValueT | None:
        with self._lock:
            value, until = self._values.get(key, (None, now))
        return value if now < until else None

    def put(self, key: object, value: ValueT, until: float) -> None:
        with self._lock:
            self._values[key] = (value, until)
            self._values.move_to_end(key)
            if len(self._values) > ENTRIES_MAXIMUM:
                self._values.popitem(last=False)


class FolderMemory:
    """Counts and places of one server's catalogue."""

    def __init__(self) -> None:
        self._counts = _Remembered[tuple[int, int]]()
        self._places = _Remembered[Place]()

    def counts(
        self,
        folder_id: int,
        filters: Filters,
        clock: Callable[[], float],
        count: Callable[[], tuple[int, int]],
    ) -> tuple[int, int]:
        """(all entries, folders among them), counted now or a moment ago."""
        begin = clock()
        known = self._counts.get((folder_id, filters), begin)
        if known is not None:
            return known
        counted = count()
        seconds = clock() - begin
        if seconds >= COUNT_SECONDS_WORTH_KEEPING:
            rest = min(seconds * COUNT_REST_FACTOR, COUNT_SECONDS_MAXIMUM)
            self._counts.put((folder_id, filters), counted, begin + rest)
        return counted

    def place(self, folder_id: int, filters: Filters, offset: int, now: float) -> Place | None:
        """Where a listing from this offset on begins, if the page before was just shown."""
        return self._places.get((folder_id, filters, offset), now)

    def keep_place(
        self, folder_id: int, filters: Filters, offset: int, place: Place, now: float
    ) -> None:
        """Remember that the entries up to this offset end here."""
        if offset >= PLACE_OFFSET_WORTH_KEEPING:
            self._places.put((folder_id, filters, offset), place, now + PLACE_SECONDS)
