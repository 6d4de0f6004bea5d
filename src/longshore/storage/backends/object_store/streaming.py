"""Reading on by one long request, whose bytes go where they are wanted as they come.

What comes next waits in the connection, as much as the system keeps of one; there is no memory for
it here, no other thread and no copy. A store that sends slowly over one connection is better read
in ranges, several at once, and so is what is left of an answer that breaks off.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from longshore.storage.backends.object_store.client import ObjectClient, ObjectStat, RangeBody

REQUEST_BYTES: Final = 64 * 1024 * 1024
"""No request goes beyond a multiple of this: nothing is asked for behind the end of a segment,
which another mover may read. Longer ones would cost a store no less."""

PIECE_BYTES: Final = 512 * 1024
"""Handed out at most: still in the processor's cache when it is hashed and written."""

JUDGED_BYTES: Final = 8 * 1024 * 1024  # after which it is known how fast an answer comes

BYTES_PER_SECOND_MINIMUM: Final = 64 * 1024 * 1024
"""Of one answer, while somebody waits for it. Below that several requests at once are faster."""

SLOW_SECONDS: Final = 60.0
"""For so long a store is taken to be as slow as it has been."""


class Pace:
    """Whether one store sends fast enough over one connection, as far as is known."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self._slow_until = 0.0
        self._lock = threading.Lock()

    @property
    def is_fast(self) -> bool:
        return self.monotonic() >= self._slow_until

    def judge(self, count: int, seconds: float) -> None:
        """So many bytes have taken so long to come."""
        if count < seconds * BYTES_PER_SECOND_MINIMUM:
            with self._lock:
                self._slow_until = self.monotonic() + SLOW_SECONDS


class Stream:
    """An object read in order by long requests, from wherever its reader begins."""

    def __init__(self, client: ObjectClient, stat: ObjectStat, pace: Pace) -> None:
        self._client = client
        self._stat = stat
        self._pace = pace
        self._body: RangeBody | None = None
        self._next = self._end = 0  # of the request that is being answered
        self._is_over = False
        self._judged = 0
        self._seconds = 0.0

    def close(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def begin(self, offset: int) -> bool:
        """Have the bytes from the offset on sent; False when they are to be had in ranges only."""
        if self._body is None and not self._is_over and self._pace.is_fast:
            self._open(offset)
        if self._body is None or offset != self._next:
            self._give_up()
        return self._body is not None

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Some bytes from the offset on; 0 when they are to be had in ranges only."""
        if not self.begin(offset):
            return 0
        assert self._body is not None
        wanted = buffer[: min(PIECE_BYTES, self._end - offset)]
        begun = self._pace.monotonic()
        count = self._body.read_into(wanted)
        self._note(count, self._pace.monotonic() - begun)
        if count < len(wanted):
            self._give_up()
        elif self._next == self._end:
            self.close()
        return count

    # Inside

    def _open(self, offset: int) -> None:
        end = min((offset // REQUEST_BYTES + 1) * REQUEST_BYTES, self._stat.size)
        stat = self._stat
        self._body = self._client.open_range(stat.key, offset, end, etag=stat.etag)
        self._next, self._end = offset, end

    def _give_up(self) -> None:
        self._is_over = True
        self.close()

    def _note(self, count: int, seconds: float) -> None:
        self._next += count
        self._judged += count
        self._seconds += seconds
        if self._judged < JUDGED_BYTES:
            return
        self._pace.judge(self._judged, self._seconds)
        self._judged, self._seconds = 0, 0.0
        if not self._pace.is_fast:
            self._give_up()
