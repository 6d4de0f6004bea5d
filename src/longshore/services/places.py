"""A number of places for deeds that only a few requests may do at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore


class Places:
    """Counts who is inside; nobody waits in front."""

    def __init__(self, maximum: int) -> None:
        self._free = BoundedSemaphore(maximum)

    @contextmanager
    def place(self, refusal: Exception) -> Iterator[None]:
        """Be inside; raises the refusal when every place is taken."""
        if not self._free.acquire(blocking=False):
            raise refusal
        try:
            yield
        finally:
            self._free.release()
