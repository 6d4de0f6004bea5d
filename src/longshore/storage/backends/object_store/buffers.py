"""Memory for parts and ranges, used again: touching new memory costs more than filling it."""

from __future__ import annotations

import threading
from typing import Final

KEPT_BYTES_MAXIMUM: Final = 64 * 1024 * 1024
"""That nobody uses just now, of one process: what a reader and a staged file have under way."""


class Buffers:
    """Buffers that are taken and given back. May be used by several threads at once."""

    def __init__(self) -> None:
        self._kept: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> bytearray:
        """A buffer of just that size, with anything in it."""
        with self._lock:
            for index, each in enumerate(self._kept):
                if len(each) == size:
                    return self._kept.pop(index)
        return bytearray(size)

    def give_back(self, buffer: bytearray) -> None:
        """Nobody may use the buffer any more who has not taken it again."""
        with self._lock:
            self._kept.append(buffer)
            while sum(map(len, self._kept)) > KEPT_BYTES_MAXIMUM:
                del self._kept[0]


KEPT: Final = Buffers()
"""Those of this process. A mover holds storages of several executions open, and works for one."""
