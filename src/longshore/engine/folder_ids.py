"""The ids of the catalogue's folders, remembered while their files are put on record."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from longshore.database import node_rows
from longshore.domain import paths

FOLDER_IDS_KEPT = 20_000  # folders whose catalogue ids are remembered, about 3 MB

Folder = tuple[int, bytes]  # catalogue root, and path in it

FolderId = Callable[[int, bytes], int]
"""The id of a folder, by its root and path, inside one transaction."""


@dataclass(slots=True)
class FolderIds:
    """Catalogue ids of folders, remembered between transactions; forget them after a rollback."""

    _known: OrderedDict[Folder, int] = field(default_factory=OrderedDict)

    def id_of(self, connection: Connection, root_id: int, path: bytes) -> int:
        """The folder's id; it and the folders above are made when the catalogue lacks them."""
        return self.ids_of(connection, [(root_id, path)])[root_id, path]

    def ids_of(self, connection: Connection, wanted: Iterable[Folder]) -> dict[Folder, int]:
        """The ids of these folders and of some above them, missing ones made: level by level."""
        found: dict[Folder, int] = {}
        missing: dict[int, set[Folder]] = {}  # by depth
        for folder in wanted:
            self._look(folder, found, missing)
        for depth in sorted(missing):
            level = sorted(missing[depth])
            keys = []
            for root_id, path in level:
                parent, name = paths.split(path)
                keys.append((found[root_id, parent], name))
            roots = [root_id for root_id, _ in level]
            ids = dict(zip(level, node_rows.folders(connection, roots, keys), strict=True))
            found |= ids
            self._known |= ids
        while len(self._known) > FOLDER_IDS_KEPT:
            self._known.popitem(last=False)
        return found

    def _look(
        self, folder: Folder, found: dict[Folder, int], missing: dict[int, set[Folder]]
    ) -> None:
        """Put what is known of the folder and those above it into `found`, the rest aside."""
        root_id, path = folder
        while folder not in found:
            known = self._known.get(folder) if path else root_id
            if known is not None:
                found[folder] = known
                return
            level = missing.setdefault(path.count(b"/"), set())
            if folder in level:
                return
            level.add(folder)
            path = paths.split(path)[0]
            folder = (root_id, path)

    def forget(self) -> None:
        self._known.clear()
