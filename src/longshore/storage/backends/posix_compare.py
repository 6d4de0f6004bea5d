"""Comparing two folders of POSIX storages in the native loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.domain.entry import Entry
from longshore.native import loops
from longshore.storage.backends.posix_listing import listed
from longshore.storage.bulk import Compared, FolderComparer

if TYPE_CHECKING:
    from longshore.storage.backends.posix_folder import PosixFolder


class PosixFolderComparer(FolderComparer):
    """Calls the loops with the two folders' descriptors and the names they have listed."""

    def __init__(
        self,
        source: PosixFolder,
        names: loops.Listing,
        other: PosixFolder,
        other_names: loops.Listing,
        resolution: int,
    ) -> None:
        self._source = source
        self._names = names
        self._other = other
        self._other_names = other_names
        self._resolution = resolution

    def take(self, count: int) -> Compared:
        files, size, names, entries, digest, others, last, trouble = loops.compare(
            self._names,
            self._source.descriptor,
            self._other_names,
            self._other.descriptor,
            count,
            self._resolution,
        )
        if trouble is not None:
            others += self._alone(*trouble)
        return Compared(files, size, names, entries, digest, others, last, bool(self._names))

    def _alone(self, name: bytes, stands: bool) -> list[tuple[Entry, Entry | None]]:
        """A name that the loops could not look at; the ordinary way says what is wrong with it."""
        entry = listed(self._source, name)
        if entry is None:
            return []
        return [(entry, listed(self._other, name) if stands else None)]
