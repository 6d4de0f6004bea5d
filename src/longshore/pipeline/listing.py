"""A folder being listed beside what stands at its destination, kept open between two slices.

Opening a folder of a million names costs seconds. So a mover remembers where it was; another
mover, or this one after it forgot, opens the folder again and skips what was taken note of.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from longshore.domain.entry import Entry
from longshore.pipeline.messages.work import ScanFolder
from longshore.pipeline.planning import Standing
from longshore.storage.bulk import FolderComparer
from longshore.storage.handler import Folder

LISTINGS_KEPT = 4  # folders a mover keeps open in the middle; each may hold a million names


@dataclass(slots=True)
class Listing:
    """What is left of a folder, and of the folder it goes to if it goes anywhere."""

    opened: Folder
    entries: Iterator[Entry]
    standing: Standing | None
    comparer: FolderComparer | None = None  # instead of the two, where it lists both at once

    def close(self) -> None:
        self.opened.close()
        if self.standing is not None:
            self.standing.close()


@dataclass(slots=True)
class KeptListings:
    """Listings by execution and by what is still to be listed."""

    _kept: OrderedDict[tuple[object, ...], Listing] = field(default_factory=OrderedDict)

    def take(self, execution_id: int, rest: ScanFolder) -> Listing | None:
        return self._kept.pop(_key(execution_id, rest), None)

    def keep(self, execution_id: int, rest: ScanFolder, listing: Listing) -> None:
        self._kept[_key(execution_id, rest)] = listing
        while len(self._kept) > LISTINGS_KEPT:
            self._kept.popitem(last=False)[1].close()

    def close(self) -> None:
        while self._kept:
            self._kept.popitem()[1].close()


def _key(execution_id: int, rest: ScanFolder) -> tuple[object, ...]:
    return (execution_id, rest.source, rest.path, rest.target, rest.after, rest.only)
