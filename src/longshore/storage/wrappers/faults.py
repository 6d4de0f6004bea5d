"""Plans of faults for the faulty storage: values that can be written as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass

EffectType = TypeVar("EffectType")


class Deed(StrEnum):
    """What can go wrong. The path of a staged file is that of its temporary name."""

    CHECK = "check"
    SPACE = "space"
    OPEN_FOLDER = "open_folder"
    MAKE_DURABLE = "make_durable"
    LIST = "list"  # counted once per entry, with the entry's path
    STAT = "stat"
    OPEN = "open"
    STAGE = "stage"
    STAGE_SYMLINK = "stage_symlink"
    STAGE_LINK = "stage_link"
    STAGED_NAMES = "staged_names"
    MAKE_FOLDER = "make_folder"
    SET_METADATA = "set_metadata"
    REMOVE = "remove"
    REMOVE_FOLDER = "remove_folder"
    SOURCE_STAT = "source_stat"
    ATTRIBUTES = "attributes"  # of a folder, too
    DATA_RANGES = "data_ranges"
    READ = "read"
    WRITE = "write"
    SET_SIZE = "set_size"
    DROP_CACHE = "drop_cache"
    READ_BACK = "read_back"
    COMMIT = "commit"  # with the path of the final name
    ABORT = "abort"


class Refuse(msgspec.Struct, frozen=True, tag="refuse"):
    """The deed fails. `done`: it was carried out all the same, as when an answer is lost."""

    kind: ErrorKind
    retry: RetryClass = RetryClass.NEVER
    whole_storage: bool = False
    done: bool = False


class Truncate(msgspec.Struct, frozen=True, tag="truncate"):
    """A read gets, and a write leaves behind in silence, at most so many bytes."""

    bytes: int


class Corrupt(msgspec.Struct, frozen=True, tag="corrupt"):
    """One byte that is read or written is inverted; the position wraps around at the length."""

    position: int = 0


class Call(msgspec.Struct, frozen=True, tag="call"):
    """The hook of the faulty storage is called first: to wait, to die, to change a file."""


Effect = Refuse | Truncate | Corrupt | Call


class Fault(msgspec.Struct, frozen=True):
    """One fault: on the calls number `first` to `first + times - 1` that it matches.

    `pattern` is a shell pattern over the whole path, in which `*` also takes `/`; bytes that are
    no UTF-8 are written as the lone surrogates of Python's `surrogateescape`.
    """

    deed: Deed
    effect: Effect
    pattern: str = "*"
    first: int = 1
    times: int = 1


class FaultPlan:
    """Faults with the count of the calls each one has seen. The same calls give the same faults."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = tuple(faults)
        self._seen = [0] * len(self._faults)

    def due(self, deed: Deed, path: bytes) -> list[Effect]:
        """Count a call and return what happens to it, in the order of the plan."""
        text = path.decode("utf-8", "surrogateescape")
        effects: list[Effect] = []
        for number, fault in enumerate(self._faults):
            if fault.deed is deed and fnmatchcase(text, fault.pattern):
                self._seen[number] += 1
                if 0 <= self._seen[number] - fault.first < fault.times:
                    effects.append(fault.effect)
        return effects


def faults_from_json(text: str | bytes) -> tuple[Fault, ...]:
    """The faults of a plan written as a JSON list. Raises msgspec.ValidationError."""
    return msgspec.json.decode(text, type=tuple[Fault, ...])


def of_type(effects: list[Effect], kind: type[EffectType]) -> EffectType | None:
    """The first effect of a type, if any."""
    return next((effect for effect in effects if isinstance(effect, kind)), None)
