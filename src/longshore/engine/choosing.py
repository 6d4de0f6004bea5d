"""Choosing the copies that a restore takes, from what the catalogue knows of its sources.

A file may lie in the sources many times: in several pools, and in each of several backups. Which
copy goes back follows from the catalogue alone, so it is the same one in whatever order copies are
found. Each file is taken in hand once for each destination, in the transaction that puts the work
for it into the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection

from longshore.database import files_in_hand, known_copies
from longshore.domain import paths
from longshore.domain.copy_choice import (
    StoredCopy,
    expected_hash,
    is_same_content,
    newest_content,
)
from longshore.domain.storage import StorageReference
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.work import Further, OtherCopy

COPIES_TRIED_MAXIMUM = 10  # of one content: they travel with the file, some 100 bytes each


@dataclass(frozen=True, slots=True)
class Located:
    """A copy and the source that it lies in: its index among those of the first destination."""

    source: int
    copy: StoredCopy


@dataclass(frozen=True, slots=True)
class Choice:
    """The copies that are tried for one file, in this order, and the content they all have."""

    copies: tuple[Located, ...]
    expected: bytes  # XXH3-128; b"" where nobody knows
    has_others: bool  # copies of the file in the sources besides the first one

    @property
    def first(self) -> Located:
        return self.copies[0]

    def further(self, base: int) -> Further | None:
        """What comes behind the first copy, for a destination whose sources begin at `base`."""
        if not self.has_others:
            return None
        return Further([_other(each, base) for each in self.copies[1:]])


class Part(Enum):
    """What a copy that was found is to the restore."""

    FIRST = "first"  # the one that is taken
    SAME = "same"  # of the same content: another one is taken, or was
    OLDER = "older"  # of another content, which is not the newest


@dataclass(frozen=True, slots=True)
class Found:
    """A copy that was found, of a file of the catalogue."""

    file_id: int
    copy: StoredCopy
    choice: Choice
    part: Part


@dataclass(frozen=True, slots=True)
class Choosing:
    """Looks at the copies inside the sources of one restore."""

    connection: Connection
    plan: ExecutionPlan

    @property
    def sources_each(self) -> int:
        """How many sources there are for each destination."""
        return len(self.plan.sources) // max(1, len(self.plan.destinations))

    def of_files(self, file_ids: Iterable[int]) -> dict[int, Choice]:
        """What is taken of each file; those without a copy in the sources are left out."""
        return {
            file_id: choice
            for file_id, inside in self._each(file_ids)
            if (choice := self._choice(inside)) is not None
        }

    def of_found(self, source: int, found: Sequence[bytes]) -> dict[bytes, Found]:
        """What these paths of a source are copies of; those that nobody knows are left out."""
        base = source % self.sources_each
        storage = self.plan.sources[base].storage.reference
        files = known_copies.files_at(self.connection, storage, found)
        paths_of: dict[int, list[bytes]] = {}
        for path, file_id in files.items():
            paths_of.setdefault(file_id, []).append(path)
        result: dict[bytes, Found] = {}
        for file_id, inside in self._each(paths_of):
            choice = self._choice(inside)
            if choice is None:
                continue
            by_path = {each.copy.path: each for each in inside if each.copy.storage == storage}
            for path in paths_of[file_id]:
                if path in by_path:
                    part = _part(choice, Located(base, by_path[path].copy))
                    result[path] = Found(file_id, by_path[path].copy, choice, part)
        return result

    def take(self, destination: int, file_ids: Iterable[int]) -> set[int]:
        """Take files in hand for a destination; those that were not in hand before."""
        execution_id = self.plan.execution_id
        return files_in_hand.take(self.connection, execution_id, destination, file_ids)

    # ------------------------------------------------------------------ inside

    def _each(self, file_ids: Iterable[int]) -> Iterator[tuple[int, list[Located]]]:
        """The copies of each file that lie in the sources: one file's are in memory at a time."""
        rows = known_copies.each_copy_of(self.connection, sorted(file_ids))
        by_storage = self._by_storage()
        for file_id, copies in groupby(rows, itemgetter(0)):
            inside = [
                Located(source, copy)
                for _, copy in copies
                if (source := _source_of(copy, by_storage)) is not None
            ]
            yield file_id, inside

    def _by_storage(self) -> Mapping[StorageReference, list[tuple[int, bytes]]]:
        """The index and path of each source, by its storage. A part of a file is no copy of it."""
        found: dict[StorageReference, list[tuple[int, bytes]]] = {}
        for index, source in enumerate(self.plan.sources[: self.sources_each]):
            if not source.range_last:
                found.setdefault(source.storage.reference, []).append((index, source.path))
        return found

    def _choice(self, inside: Sequence[Located]) -> Choice | None:
        source_of = {(each.copy.storage, each.copy.path): each.source for each in inside}
        same = newest_content([each.copy for each in inside], self.plan.execution_id)
        if not same:
            return None
        tried = same[:COPIES_TRIED_MAXIMUM]
        return Choice(
            tuple(Located(source_of[copy.storage, copy.path], copy) for copy in tried),
            expected_hash(same),
            len(inside) > 1,
        )


def is_inside(path: bytes, source: bytes) -> bool:
    """Whether a path is that of the source, or lies below it."""
    return not source or path == source or path.startswith(source + b"/")


def _source_of(
    copy: StoredCopy, by_storage: Mapping[StorageReference, list[tuple[int, bytes]]]
) -> int | None:
    """The first source that the copy lies in."""
    for index, path in by_storage.get(copy.storage, ()):
        if is_inside(copy.path, path):
            return index
    return None


def _part(choice: Choice, found: Located) -> Part:
    first = choice.first
    if (first.copy.storage, first.copy.path) == (found.copy.storage, found.copy.path):
        # Where sources overlap, the first one that has it is the one it is taken from.
        return Part.FIRST if first.source == found.source else Part.SAME
    return Part.SAME if is_same_content(first.copy, found.copy) else Part.OLDER


def _other(each: Located, base: int) -> OtherCopy:
    folder, name = paths.split(each.copy.path)
    copy = each.copy
    return OtherCopy(base + each.source, folder, name, copy.size, copy.mtime_ns, copy.unkept)
