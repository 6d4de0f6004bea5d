"""What a mover knows of the storages of one pool: which have refused lately, and what is where."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable

PASSED_OVER_SECONDS: Final = 30.0
"""How long a storage that was full or gone is not asked again, unless all of them are."""

PLACES_REMEMBERED: Final = 8192
"""Paths whose storage is remembered, about 1 MB: more than one chunk of a listing."""

_FULL: Final = frozenset({ErrorKind.NO_SPACE, ErrorKind.READ_ONLY})
"""Refusals of a storage that can still be read."""


@dataclass(slots=True)
class PoolMemory:
    """What a mover knows of the storages of one pool, from one order to the next."""

    clock: Callable[[], float]
    _refused: dict[int, tuple[float, StorageUnavailable]] = field(default_factory=dict)
    _places: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    def note_refusal(self, index: int, error: StorageUnavailable) -> None:
        self._refused[index] = (self.clock() + PASSED_OVER_SECONDS, error)

    def is_gone(self, index: int) -> bool:
        """Whether it may not even be looked at."""
        error = self._refusal(index)
        return error is not None and error.kind not in _FULL

    def in_turn(self, count: int) -> list[int]:
        """The storages to be written to, in their order; those that refused come last."""
        return sorted(range(count), key=lambda index: self._refusal(index) is not None)

    def has_refused(self, index: int) -> bool:
        return self._refusal(index) is not None

    def has_other(self, index: int, count: int) -> bool:
        """Whether another storage has not refused lately."""
        return any(self._refusal(each) is None for each in range(count) if each != index)

    def note_place(self, path: bytes, index: int) -> None:
        self._places[path] = index
        self._places.move_to_end(path)
        while len(self._places) > PLACES_REMEMBERED:
            self._places.popitem(last=False)

    def place(self, path: bytes) -> int | None:
        return self._places.get(path)

    def forget_place(self, path: bytes) -> None:
        self._places.pop(path, None)

    def _refusal(self, index: int) -> StorageUnavailable | None:
        until, error = self._refused.get(index, (0.0, None))
        return error if self.clock() < until else None


@dataclass(slots=True)
class Refusing:
    memory: PoolMemory
    index: int
    count: int  # of the storages that somebody may go on with

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, StorageUnavailable):
            return
        self.memory.note_refusal(self.index, error)
        if self.memory.has_other(self.index, self.count):
            cause = str(error).rpartition(": ")[2]
            raise StorageError(error.kind, RetryClass.LATER, "write", error.path, cause) from error


@dataclass(slots=True)
class Leaving:
    """As Refusing, for a file that goes on: only a full storage is left, if there is a better."""

    memory: PoolMemory
    index: int
    has_room_elsewhere: Callable[[], bool]

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, StorageUnavailable):
            return
        self.memory.note_refusal(self.index, error)
        if error.kind is ErrorKind.NO_SPACE and self.has_room_elsewhere():
            cause = "the storage is full, and another one of the pool has room for the file"
            raise StorageError(error.kind, RetryClass.LATER, "write", error.path, cause) from error
