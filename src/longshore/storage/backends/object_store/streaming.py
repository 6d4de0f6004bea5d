"""Reading on by one long request, whose bytes go where they are wanted as they come.

What comes next waits in the connection, as much as the system keeps of one; there is no memory for
it here, no other thread and no copy. A store that sends slowly over one connection is better read
in ranges, several at once, and so is what is left of an answer that breaks off.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from longshore.storage.backends.object_store.client import ObjectClient, ObjectStat, RangeBody

REQUEST_BYTES: Final = 64 * 1024 * 1024
"""No request goes beyond a multiple of this: nothing is asked for behind the end of a segment,
which another mover may read. Longer ones would cost a store no less."""

PIECE_BYTES: Final = 512 * 1024
"""Handed out at most: still in the processor's cache when it is hashed and written."""

JUDGED_BYTES: Final = 32 * 1024 * 1024
WAITING_SECONDS_MAXIMUM: Final = 1 / 3
"""For so many bytes: of what comes more slowly, several requests at once bring more. On a busy
machine the bytes may be there and their reader not, so fewer of them tell nothing."""

SLOW_SECONDS: Final = 60.0
"""For so long a store is taken to be as slow as it has been."""


class Pace:
    """Whether one store sends fast enough over one connection, as far as is known."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self._slow_until = 0.0

    @property
    def is_fast(self) -> bool:
        return self.monotonic() >= self._slow_until

    def was_slow(self) -> None:
        """Somebody has waited for too long."""
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
        self._judged_bytes = 0
        self._waited_seconds = 0.0

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
        self._next += count
        self._judge(count, self._pace.monotonic() - begun)
        if count < len(wanted) or not self._pace.is_fast:
            self._give_up()
        elif self._next == self._end:
            self.close()
        return count

    # Inside

    def _open(self, offset: int) -> None:
        stat = self._stat
        end = min((offset // REQUEST_BYTES + 1) * REQUEST_BYTES, stat.size)
        begun = self._pace.monotonic()
        self._body = self._client.open_range(stat.key, offset, end, etag=stat.etag)
        self._judge(0, self._pace.monotonic() - begun)
        self._next, self._end = offset, end

    def _give_up(self) -> None:
        self._is_over = True
        self.close()

    def _judge(self, count: int, seconds: float) -> None:
        self._judged_bytes += count
        self._waited_seconds += seconds
        if self._waited_seconds > WAITING_SECONDS_MAXIMUM:
            self._pace.was_slow()
        elif self._judged_bytes >= JUDGED_BYTES:
            self._judged_bytes, self._waited_seconds = 0, 0.0
