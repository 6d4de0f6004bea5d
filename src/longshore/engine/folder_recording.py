"""Putting folders on record: their metadata, and where their copies are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue, copy_rows
from longshore.database.path_keys import path_key
from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.storage import StorageReference
from longshore.engine.cataloguing import Cataloguing
from longshore.engine.folder_ids import Folder
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.work import FoundFolder


@dataclass(frozen=True, slots=True)
class FolderRecording:
    """Records the folders of one execution."""

    plan: ExecutionPlan
    cataloguing: Cataloguing

    def record(self, connection: Connection, folders: Iterable[FoundFolder]) -> None:
        """Give catalogue folders the metadata of their sources, and note where their copies are."""
        found = list(folders)
        at_source = [(self.plan.sources[each.source].root_id, each.path) for each in found]
        node_ids = self._put(connection, at_source, found)
        if not self.plan.destinations:
            return
        destinations = [
            self.plan.destinations[self.plan.sources[each.source].destination] for each in found
        ]
        at_target = [
            (destination.root_id, each.target)
            for destination, each in zip(destinations, found, strict=True)
        ]
        self._put(connection, at_target, found)
        copies = [
            self._copy(destination.shares()[each.share].reference, node_id, each)
            for destination, each, node_id in zip(destinations, found, node_ids, strict=True)
            if node_id is not None and destination.root_id is None
        ]
        copy_rows.put_copies(connection, copies)

    def _put(
        self,
        connection: Connection,
        places: Sequence[tuple[int | None, bytes]],
        found: Sequence[FoundFolder],
    ) -> list[int | None]:
        """The nodes of the folders at these places, with their metadata; None outside of roots."""
        entries: dict[Folder, list[Entry]] = {}
        for (root_id, path), each in zip(places, found, strict=True):
            if root_id is not None and path:
                parent, name = paths.split(path)
                entry = msgspec.structs.replace(each.entry, name=name, size=0)
                entries.setdefault((root_id, parent), []).append(entry)
        put = self.cataloguing.put(connection, entries, list(entries.values()))
        ids = {
            (*above, entry.name): node_id
            for (above, inside), node_ids in zip(entries.items(), put, strict=True)
            for entry, node_id in zip(inside, node_ids, strict=True)
        }
        found_ids: list[int | None] = []
        for (root_id, path), each in zip(places, found, strict=True):
            if root_id is None or not path:
                found_ids.append(None)
                continue
            parent, name = paths.split(path)
            node_id = ids[root_id, parent, name]
            found_ids.append(node_id)
            if each.lost and not self.plan.original_place:  # its archived copy may have lost more
                catalogue.note_lost(connection, node_id, each.lost)
        return found_ids

    def _copy(
        self, storage: StorageReference, node_id: int, found: FoundFolder
    ) -> dict[str, object]:
        """What tells a restore which folder this one of the secondary storage is."""
        return {
            "file_id": node_id,
            "storage_kind": storage.kind.value,
            "storage_id": storage.id,
            "path": found.target,
            "path_key": path_key(found.target),
            "size": 0,
            "mtime_ns": found.entry.mtime_ns,
            "checksum_kind": None,
            "checksum": None,
            "xxh3_128": None,
            "live": True,
            "execution_id": self.plan.execution_id,
            "written_ns": self.plan.execution_id,  # the time of its start
            "lost": None,
        }
