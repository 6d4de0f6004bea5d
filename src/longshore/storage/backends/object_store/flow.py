"""How many requests are in flight: more while the store bears them, half when it objects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

REQUESTS_AT_FIRST: Final = 8.0
"""Requests in flight before anything is known; most stores bear that of each client."""

REQUESTS_MINIMUM: Final = 1.0  # in flight, however often the store objects


class Flow:
    """The requests of one client: at most `maximum` at once, usually what the store has borne.

    Each answer adds a fraction of a request, so that a round of answers adds one; an objection
    halves the number, once for all the requests that were under way together.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = float(maximum)
        self._allowed = min(REQUESTS_AT_FIRST, self._maximum)
        self._in_flight = 0
        self._begun = 0  # requests so far
        self._begun_at_cut = 0
        self._changed = threading.Condition()

    @property
    def allowed(self) -> int:
        """Requests that may be in flight just now."""
        return int(self._allowed)

    @contextmanager
    def request(self) -> Iterator[int]:
        """Room for one request; waits for it. The value is what `throttled` wants."""
        with self._changed:
            while self._in_flight >= int(self._allowed):
                self._changed.wait()
            self._in_flight += 1
            self._begun += 1
            number = self._begun
        try:
            yield number
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify()

    @contextmanager
    def requests(self) -> Iterator[tuple[int, int]]:
        """Room for as many requests as may be under way, one at least; waits for that one.

        How many, and what `throttled` wants of any of them. Whoever has this room is not to wait
        for any other.
        """
        with self._changed:
            while self._in_flight >= int(self._allowed):
                self._changed.wait()
            width = int(self._allowed) - self._in_flight
            self._in_flight += width
            self._begun += 1
            number = self._begun
        try:
            yield width, number
        finally:
            with self._changed:
                self._in_flight -= width
                self._changed.notify_all()

    def answered(self) -> None:
        """The store has borne a request."""
        with self._changed:
            self._allowed = min(self._allowed + 1 / self._allowed, self._maximum)
            self._changed.notify()

    def throttled(self, number: int) -> None:
        """The store has objected to the request of that number."""
        with self._changed:
            if number > self._begun_at_cut:  # others of the same moment have said so already
                self._allowed = max(self._allowed / 2, REQUESTS_MINIMUM)
                self._begun_at_cut = self._begun
