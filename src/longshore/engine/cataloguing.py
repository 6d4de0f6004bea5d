"""Putting the files of records into the catalogue's tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec
from sqlalchemy import Connection

from longshore.database import known_copies, node_rows
from longshore.database.node_rows import Siblings
from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.outcome import PROCESSED
from longshore.domain.record import Record
from longshore.engine.folder_ids import Folder, FolderIds
from longshore.pipeline.messages.plan import ExecutionPlan

Groups = dict[tuple[int, bytes], list[int]]
"""Indexes of records by the source and the folder of their files."""


def by_folder(records: Sequence[Record]) -> Groups:
    """The records in groups. Those of one folder mostly come one behind the other."""
    groups: Groups = {}
    places = [(record.source, record.folder) for record in records]
    for place, indexes in groupby(range(len(places)), key=places.__getitem__):
        groups.setdefault(place, []).extend(indexes)
    return groups


@dataclass(frozen=True, slots=True)
class Cataloguing:
    """Makes and updates the catalogue's entries of the files of one execution."""

    plan: ExecutionPlan
    folder_ids: FolderIds

    def file_ids(
        self, connection: Connection, records: Sequence[Record], groups: Groups, *, every: bool
    ) -> list[int | None]:
        """Catalogue the files that were processed, mostly `every` one; the ids, where there are."""
        file_ids: list[int | None] = [None] * len(records)
        in_trees: dict[Folder, list[int]] = {}
        for (number, folder), members in groups.items():
            source = self.plan.sources[number]
            if source.range_last:
                continue  # a part of a file is no copy of it
            indexes = members
            if not every:
                indexes = [i for i in members if records[i].outcome in PROCESSED]
            if source.root_id is not None:
                if indexes:
                    in_trees.setdefault((source.root_id, folder), []).extend(indexes)
                continue
            for i, file_id in self._found_by_copy(connection, number, folder, records, indexes):
                file_ids[i] = file_id
        ids = self.put(
            connection,
            in_trees,
            [[records[i].entry for i in indexes] for indexes in in_trees.values()],
        )
        for indexes, ids_inside in zip(in_trees.values(), ids, strict=True):
            for i, file_id in zip(indexes, ids_inside, strict=True):
                file_ids[i] = file_id
        return file_ids

    def put(
        self, connection: Connection, folders: Iterable[Folder], entries: Sequence[Sequence[Entry]]
    ) -> list[list[int]]:
        """Make or update the entries of each folder; their ids in the same order."""
        places = list(folders)
        if not places:
            return []
        folder_ids = self.folder_ids.ids_of(connection, places)
        groups = [
            Siblings(place[0], folder_ids[place], inside)
            for place, inside in zip(places, entries, strict=True)
        ]
        return node_rows.put_all(connection, groups)

    def put_targets(
        self, connection: Connection, root_id: int, targets: Sequence[Record]
    ) -> list[tuple[Record, int]]:
        """Catalogue what was written into a tree, each path once, with the ids of the entries."""
        by_folder: dict[Folder, dict[bytes, Record]] = {}
        for record in targets:
            path, name = paths.split(record.target_path)
            by_folder.setdefault((root_id, path), {})[name] = record
        entries = [
            [msgspec.structs.replace(record.entry, name=name) for name, record in inside.items()]
            for inside in by_folder.values()
        ]
        ids = self.put(connection, by_folder, entries)
        return [
            (record, node_id)
            for inside, ids_inside in zip(by_folder.values(), ids, strict=True)
            for record, node_id in zip(inside.values(), ids_inside, strict=True)
        ]

    def _found_by_copy(
        self,
        connection: Connection,
        source: int,
        folder: bytes,
        records: Sequence[Record],
        indexes: Sequence[int],
    ) -> Iterable[tuple[int, int]]:
        """Files on secondary storage are known by the copies that lie there."""
        by_path = {paths.join(folder, records[i].entry.name): i for i in indexes}
        reference = self.plan.sources[source].storage.reference
        found = known_copies.files_at(connection, reference, list(by_path)) if by_path else {}
        return [(by_path[path], file_id) for path, file_id in found.items() if path in by_path]
