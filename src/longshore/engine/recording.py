"""Putting outcomes on record: per-file records, catalogue, copies and counters.

Everything here happens inside the transaction that takes the work item out of the journal.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection

from longshore.database import bulk, catalogue, node_rows, record_blocks
from longshore.database.journal import Counters
from longshore.database.node_rows import NodeState, Siblings
from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage, show
from longshore.domain.outcome import PROCESSED, WRITTEN, Outcome
from longshore.domain.record import Record
from longshore.domain.storage import StorageKind, StorageReference
from longshore.domain.task import WorkflowAction
from longshore.engine import whole_folders
from longshore.pipeline.messages import (
    Destination,
    ExecutionPlan,
    FoundFolder,
    Listed,
    ReleaseGroup,
    WholeFolder,
)

FOLDER_IDS_KEPT = 20_000  # folders whose catalogue ids are remembered, about 3 MB

_STATES = {
    Outcome.ERASED: NodeState.DELETED,
    Outcome.FREED: NodeState.STUB,
}
"""What becomes of the catalogue's entry of a file that was removed where it lay."""

Folder = tuple[int, bytes]  # catalogue root, and path in it


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


@dataclass(slots=True)
class Recorder:
    """Records the outcomes of one execution."""

    plan: ExecutionPlan
    folder_ids: FolderIds

    def record(
        self,
        connection: Connection,
        work_id: int,
        records: Sequence[Record],
        whole: Sequence[WholeFolder] = (),
    ) -> Counters:
        """Put the records of a work item on record; the change of the counters.

        Some of them may be all files of a folder, one behind the other: that is noted.
        """
        if not records:
            return Counters()
        records = self._judged(connection, records)
        file_ids = self.catalogue(connection, records)
        self._record_erased(connection, records, file_ids)
        if whole and len({record.source for record in records}) == 1:
            whole_folders.note_copied(self, connection, file_ids, whole)
        kind = self.plan.checksum
        record_blocks.put_records(
            connection,
            self.plan.execution_id,
            work_id,
            records,
            file_ids,
            checksum_kind=None if kind is ChecksumKind.NONE else kind.value,
        )
        return change_of(records)

    def catalogue(self, connection: Connection, records: Sequence[Record]) -> list[int | None]:
        """Catalogue the files and their copies; the id of each record's file, where it has one."""
        file_ids = self._file_ids(connection, records)
        if self.plan.destinations:
            self._record_copies(connection, records, file_ids)
        return file_ids

    def record_folders(self, connection: Connection, folders: Iterable[FoundFolder]) -> None:
        """Give catalogue folders the metadata of their sources, and note where their copies are."""
        found = list(folders)
        at_source = [(self.plan.sources[each.source].root_id, each.path) for each in found]
        node_ids = self._put_folders(connection, at_source, found)
        if not self.plan.destinations:
            return
        destinations = [self._destination(each.source) for each in found]
        at_target = [
            (destination.root_id, each.target)
            for destination, each in zip(destinations, found, strict=True)
        ]
        self._put_folders(connection, at_target, found)
        copies = [
            self._folder_copy(_share(destination, each.share), node_id, each)
            for destination, each, node_id in zip(destinations, found, node_ids, strict=True)
            if node_id is not None and destination.root_id is None
        ]
        catalogue.put_copies(connection, copies)

    def _put_folders(
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
        parents = self.folder_ids.ids_of(connection, entries)
        ids = node_rows.put_all(
            connection,
            [Siblings(above[0], parents[above], inside) for above, inside in entries.items()],
        )
        node_ids: list[int | None] = []
        for (root_id, path), each in zip(places, found, strict=True):
            if root_id is None or not path:
                node_ids.append(None)
                continue
            parent, name = paths.split(path)
            node_id = ids[parents[root_id, parent], name]
            node_ids.append(node_id)
            if each.lost and not self.plan.original_place:  # its archived copy may have lost more
                catalogue.note_lost(connection, node_id, each.lost)
        return node_ids

    def _folder_copy(
        self, storage: StorageReference, node_id: int, found: FoundFolder
    ) -> dict[str, object]:
        """What tells a restore which folder this one of the secondary storage is."""
        return {
            "file_id": node_id,
            "storage_kind": storage.kind.value,
            "storage_id": storage.id,
            "path": found.target,
            "path_key": catalogue.path_key(found.target),
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

    def record_released(self, connection: Connection, released: Iterable[ReleaseGroup]) -> None:
        """The files are not at their source any more; the catalogue knows them by their copies."""
        for group in released:
            source = self.plan.sources[group.source]
            places = [paths.join(group.folder, entry.name) for entry in group.entries]
            catalogue.end_copies_at(connection, source.storage.reference, places)
            if source.root_id is not None and group.entries:
                parent_id = self.folder_ids.id_of(connection, source.root_id, group.folder)
                names = [entry.name for entry in group.entries]
                catalogue.set_state(connection, parent_id, names, NodeState.STUB)

    def record_listed(self, connection: Connection, listed: Iterable[Listed]) -> None:
        """Notice what a scan has not found any more."""
        for each in listed:
            root_id = self.plan.sources[each.source].root_id
            if root_id is not None:
                folder_id = self.folder_ids.id_of(connection, root_id, each.folder)
                catalogue.note_vanished(connection, folder_id, each.after, each.last, each.names)

    def _judged(self, connection: Connection, records: Sequence[Record]) -> Sequence[Record]:
        """Files that were read again, compared with what is on record of them."""
        read = {i: record for i, record in enumerate(records) if record.outcome is Outcome.VERIFIED}
        if not read:
            return records
        judged = list(records)
        by_source: dict[int, list[int]] = {}
        for index, record in read.items():
            by_source.setdefault(record.source, []).append(index)
        for source, indexes in by_source.items():
            reference = self.plan.sources[source].storage.reference
            path_of = {i: paths.join(read[i].folder, read[i].entry.name) for i in indexes}
            known = catalogue.hashes_at(connection, reference, list(path_of.values()))
            for index, path in path_of.items():
                if known.get(path, read[index].xxh3_128) != read[index].xxh3_128:
                    judged[index] = _corrupt(read[index], path)
        return judged

    def _record_erased(
        self, connection: Connection, records: Sequence[Record], file_ids: Sequence[int | None]
    ) -> None:
        """Mark erased and freed files; unless only a mark was asked, their copies there end."""
        gone: dict[int, list[bytes]] = {}
        marked: dict[Outcome, list[int]] = {outcome: [] for outcome in _STATES}
        for record, file_id in zip(records, file_ids, strict=True):
            if record.outcome not in _STATES:
                continue
            place = paths.join(record.folder, record.entry.name)
            gone.setdefault(record.source, []).append(place)
            if file_id is not None:
                marked[record.outcome].append(file_id)
        for outcome, ids in marked.items():
            catalogue.set_state_of(connection, ids, _STATES[outcome])
        if self.plan.soft_erase:
            return
        for source, places in gone.items():
            reference = self.plan.sources[source].storage.reference
            catalogue.end_copies_at(connection, reference, places)

    def record_pruned(self, connection: Connection, removed: Iterable[FoundFolder]) -> None:
        """The folders are gone from their source; what was moved out of them lives on as copies."""
        erased = self.plan.action is WorkflowAction.ERASE
        state = NodeState.DELETED if erased else NodeState.STUB
        for found in removed:
            source = self.plan.sources[found.source]
            catalogue.end_copies_at(connection, source.storage.reference, [found.path])
            root_id = source.root_id
            if root_id is not None:
                parent, name = paths.split(found.path)
                parent_id = self.folder_ids.id_of(connection, root_id, parent)
                catalogue.set_state(connection, parent_id, [name], state)

    # ------------------------------------------------------------------ catalogue

    def _file_ids(self, connection: Connection, records: Sequence[Record]) -> list[int | None]:
        """Catalogue the files; the id of each record's file, where it has one."""
        file_ids: list[int | None] = [None] * len(records)
        in_trees: dict[Folder, list[int]] = {}
        for (source, folder), indexes in _by_folder(records).items():
            root_id = self.plan.sources[source].root_id
            if self.plan.sources[source].range_last:
                continue  # a part of a file is no copy of it
            if root_id is not None:
                in_trees.setdefault((root_id, folder), []).extend(indexes)
                continue
            for i, file_id in self._found_by_copy(connection, source, folder, records, indexes):
                file_ids[i] = file_id
        folder_ids = self.folder_ids.ids_of(connection, in_trees)
        groups = [
            Siblings(place[0], folder_ids[place], [records[i].entry for i in indexes])
            for place, indexes in in_trees.items()
        ]
        ids = node_rows.put_all(connection, groups)
        for place, indexes in in_trees.items():
            for i in indexes:
                file_ids[i] = ids[folder_ids[place], records[i].entry.name]
        return file_ids

    def _found_by_copy(
        self,
        connection: Connection,
        source: int,
        folder: bytes,
        records: Sequence[Record],
        indexes: list[int],
    ) -> Iterable[tuple[int, int]]:
        """Files on secondary storage are known by the copies that lie there."""
        by_path = {paths.join(folder, records[i].entry.name): i for i in indexes}
        reference = self.plan.sources[source].storage.reference
        found = catalogue.files_at(connection, reference, list(by_path))
        return [(by_path[path], file_id) for path, file_id in found.items() if path in by_path]

    # ------------------------------------------------------------------ copies

    def _record_copies(
        self, connection: Connection, records: Sequence[Record], file_ids: Sequence[int | None]
    ) -> None:
        """What now lies at the destinations, and in the containers that files come from."""
        lie = _Copies(self.plan)
        found = _Copies(self.plan)
        targets: dict[int, list[Record]] = {}
        for record, file_id in zip(records, file_ids, strict=True):
            source = self.plan.sources[record.source]
            destination = self.plan.destinations[source.destination]
            storage = _share(destination, record.share)
            written = record.outcome in WRITTEN
            if written:
                targets.setdefault(source.destination, []).append(record)
                if record.outcome is Outcome.OVERWRITTEN:
                    catalogue.end_other_copies(connection, storage, record.target_path, file_id)
                    _end_on_other_shares(connection, destination, record)
            if file_id is None:
                continue
            if source.storage.reference.kind is StorageKind.CONTAINER:
                # A file of a container has a copy in the container itself: its cache.
                path = paths.join(record.folder, record.entry.name)
                found.add(source.storage.reference, file_id, path, record)
            if self.plan.original_place:
                continue  # the file is back in its root: that is no further copy of it
            if written:
                lie.add(storage, file_id, record.target_path, record, lost=record.lost)
            elif record.outcome is Outcome.IDENTICAL:
                found.add(storage, file_id, record.target_path, record)
        lie.write(connection, catalogue.put_copies_in)
        for index, chosen in targets.items():
            self._catalogue_targets(connection, self.plan.destinations[index], chosen)
        found.write(connection, catalogue.put_found_copies_in)

    def _destination(self, source: int) -> Destination:
        return self.plan.destinations[self.plan.sources[source].destination]

    def _catalogue_targets(
        self, connection: Connection, destination: Destination, targets: Sequence[Record]
    ) -> None:
        """Catalogue what was written into a container or primary pool; copies in its cache."""
        root_id = destination.root_id
        if root_id is None:
            return
        by_folder: dict[Folder, dict[bytes, Record]] = {}
        for record in targets:
            path, name = paths.split(record.target_path)
            by_folder.setdefault((root_id, path), {})[name] = record
        folder_ids = self.folder_ids.ids_of(connection, by_folder)
        groups = []
        for place, by_name in by_folder.items():
            entries = [
                msgspec.structs.replace(record.entry, name=name) for name, record in by_name.items()
            ]
            groups.append(Siblings(root_id, folder_ids[place], entries))
        ids = node_rows.put_all(connection, groups)
        reference = destination.storage.reference
        if reference.kind is not StorageKind.CONTAINER:
            return
        copies = _Copies(self.plan)
        for place, by_name in by_folder.items():
            for name, record in by_name.items():
                file_id = ids[folder_ids[place], name]
                copies.add(reference, file_id, record.target_path, record, lost=record.lost)
        copies.write(connection, catalogue.put_copies_in)


@dataclass(slots=True)
class _Copies:
    """Copies of files by their storage; of several at one place the last one counts."""

    plan: ExecutionPlan
    _files: dict[StorageReference, dict[tuple[int, bytes], tuple[Record, bytes]]] = field(
        default_factory=dict
    )

    def add(
        self,
        storage: StorageReference,
        file_id: int,
        path: bytes,
        record: Record,
        *,
        lost: bytes = b"",
    ) -> None:
        files = self._files.get(storage)
        if files is None:
            files = self._files[storage] = {}
        files[file_id, path] = (record, lost)

    def write(
        self,
        connection: Connection,
        put: Callable[[Connection, StorageReference, bulk.Columns, int], None],
    ) -> None:
        for storage, files in self._files.items():
            records = [record for record, _ in files.values()]
            columns: dict[str, Sequence[object]] = {
                "file_id": [file_id for file_id, _ in files],
                "path": [path for _, path in files],
                "size": [record.entry.size for record in records],
                "mtime_ns": [record.entry.mtime_ns for record in records],
                "xxh3_128": [record.xxh3_128 or None for record in records],
                "written_ns": [record.finished_ns for record in records],
                "lost": [lost or None for _, lost in files.values()],
                **_checksums(self.plan, records),
            }
            put(connection, storage, columns, self.plan.execution_id)


def _checksums(plan: ExecutionPlan, records: Sequence[Record]) -> dict[str, Sequence[object]]:
    """The checksums of the kind that the task asks for, if it asks for one."""
    if plan.checksum is ChecksumKind.NONE:
        return {"checksum": [record.checksum or None for record in records]}
    kind = plan.checksum.value
    return {
        "checksum_kind": [kind if record.checksum else None for record in records],
        "checksum": [record.checksum or None for record in records],
    }


def _by_folder(records: Sequence[Record]) -> dict[tuple[int, bytes], list[int]]:
    """The indexes of the processed records by source and folder."""
    found: dict[tuple[int, bytes], list[int]] = {}
    for index, record in enumerate(records):
        if record.outcome in PROCESSED:
            found.setdefault((record.source, record.folder), []).append(index)
    return found


def _share(destination: Destination, number: int) -> StorageReference:
    """One of the storages of a destination."""
    return destination.shares()[number].reference


def _end_on_other_shares(connection: Connection, destination: Destination, record: Record) -> None:
    """What was replaced may have lain on another storage of the pool."""
    for number, share in enumerate(destination.shares() if destination.further else ()):
        if number != record.share:
            catalogue.end_copies_at(connection, share.reference, [record.target_path])


def _corrupt(record: Record, path: bytes) -> Record:
    text = f"check {show(path)}: its content is not what was written"
    return msgspec.structs.replace(
        record,
        outcome=Outcome.FAILED,
        failure=FileFailure(ErrorKind.CHECKSUM_MISMATCH, Stage.VERIFY, Side.SOURCE, text),
    )


def change_of(records: Sequence[Record]) -> Counters:
    """What the records add to the counters; nothing is added to what has to be processed."""
    processed = [record for record in records if record.outcome in PROCESSED]
    return Counters(
        processed_files=len(processed),
        processed_size=sum(record.entry.size for record in processed),
        finalized_files=len(processed),
        failed_files=sum(record.outcome is Outcome.FAILED for record in records),
        refused_files=sum(record.outcome is Outcome.REFUSED for record in records),
    )
