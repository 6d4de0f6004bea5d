"""Putting outcomes on record: per-file records, catalogue, copies and counters.

Everything here happens inside the transaction that takes the work item out of the journal.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import msgspec
from sqlalchemy import Connection, insert

from longshore.database import catalogue
from longshore.database.journal import Counters
from longshore.database.tables import execution_files
from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage, show
from longshore.domain.outcome import PROCESSED, WRITTEN, Outcome
from longshore.domain.storage import StorageKind, StorageReference
from longshore.domain.task import WorkflowAction
from longshore.pipeline.messages import (
    PLACES_PER_WORK,
    Destination,
    ExecutionPlan,
    FoundFolder,
    Listed,
    Record,
    ReleaseGroup,
)

FOLDER_IDS_KEPT = 20_000  # folders whose catalogue ids are remembered, about 3 MB

_STATES = {
    Outcome.ERASED: catalogue.NodeState.DELETED,
    Outcome.FREED: catalogue.NodeState.STUB,
}
"""What becomes of the catalogue's entry of a file that was removed where it lay."""

_DEFAULT_FOLDER = Entry(b"", EntryKind.FOLDER, 0, 0o40755, 0, 0, 0, 0, 0)


@dataclass(slots=True)
class FolderIds:
    """Catalogue ids of folders, remembered between transactions; forget them after a rollback."""

    _known: OrderedDict[tuple[int, bytes], int] = field(default_factory=OrderedDict)

    def id_of(self, connection: Connection, root_id: int, path: bytes) -> int:
        """The folder's id; it and the folders above are made when the catalogue lacks them."""
        if not path:
            return root_id
        found = self._known.get((root_id, path))
        if found is None:
            parent, name = paths.split(path)
            parent_id = self.id_of(connection, root_id, parent)
            entry = msgspec.structs.replace(_DEFAULT_FOLDER, name=name)
            found = catalogue.find(connection, parent_id, [name])
            if found is None:
                found = catalogue.put(connection, root_id, parent_id, [entry])[name]
            self._known[root_id, path] = found
            while len(self._known) > FOLDER_IDS_KEPT:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        self._known.clear()


@dataclass(slots=True)
class Recorder:
    """Records the outcomes of one execution."""

    plan: ExecutionPlan
    folder_ids: FolderIds

    def record(self, connection: Connection, work_id: int, records: Sequence[Record]) -> Counters:
        """Put the records of a work item on record; the change of the counters."""
        records = self._judged(connection, records)
        file_ids: list[int | None] = [None] * len(records)
        for index, file_id in self._catalogue(connection, records):
            file_ids[index] = file_id
        if self.plan.destinations:
            self._record_copies(connection, records, file_ids)
        self._record_erased(connection, records, file_ids)
        if records:
            rows = [
                self._row(work_id, record, file_id)
                for record, file_id in zip(records, file_ids, strict=True)
            ]
            connection.execute(insert(execution_files), rows)
        return change_of(records)

    def record_folders(self, connection: Connection, folders: Iterable[FoundFolder]) -> None:
        """Give catalogue folders the metadata of their sources, and note where their copies are."""
        copies: list[dict[str, object]] = []
        for found in folders:
            node_id = self._put_folder(
                connection, self.plan.sources[found.source].root_id, found.path, found
            )
            if not self.plan.destinations:
                continue
            destination = self._destination(found.source)
            self._put_folder(connection, destination.root_id, found.target, found)
            if node_id is not None and destination.root_id is None:
                copies.append(self._folder_copy(destination.storage.reference, node_id, found))
        catalogue.put_copies(connection, copies)

    def _put_folder(
        self, connection: Connection, root_id: int | None, path: bytes, found: FoundFolder
    ) -> int | None:
        """The folder's node in that root, with its metadata; None outside of the roots."""
        if root_id is None or not path:
            return None
        parent, name = paths.split(path)
        parent_id = self.folder_ids.id_of(connection, root_id, parent)
        entry = msgspec.structs.replace(found.entry, name=name, size=0)
        node_id = catalogue.put(connection, root_id, parent_id, [entry])[name]
        if found.lost and not self.plan.original_place:  # its archived copy may have lost more
            catalogue.note_lost(connection, node_id, found.lost)
        return node_id

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
                catalogue.set_state(connection, parent_id, names, catalogue.NodeState.STUB)

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
        state = catalogue.NodeState.DELETED if erased else catalogue.NodeState.STUB
        for found in removed:
            source = self.plan.sources[found.source]
            catalogue.end_copies_at(connection, source.storage.reference, [found.path])
            root_id = source.root_id
            if root_id is not None:
                parent, name = paths.split(found.path)
                parent_id = self.folder_ids.id_of(connection, root_id, parent)
                catalogue.set_state(connection, parent_id, [name], state)

    # ------------------------------------------------------------------ catalogue

    def _catalogue(
        self, connection: Connection, records: Sequence[Record]
    ) -> Iterable[tuple[int, int]]:
        """(index of the record, id of its file) for all records whose files have an id."""
        chosen = [i for i, record in enumerate(records) if record.outcome in PROCESSED]
        for (source, folder), group in groupby(
            chosen, key=lambda i: (records[i].source, records[i].folder)
        ):
            indexes = list(group)
            if self.plan.sources[source].range_last:
                continue  # a part of a file is no copy of it
            root_id = self.plan.sources[source].root_id
            if root_id is None:
                yield from self._found_by_copy(connection, source, folder, records, indexes)
                continue
            parent_id = self.folder_ids.id_of(connection, root_id, folder)
            entries = {records[i].entry.name: records[i].entry for i in indexes}
            ids = catalogue.put(
                connection, root_id, parent_id, [entries[name] for name in sorted(entries)]
            )
            yield from ((i, ids[records[i].entry.name]) for i in indexes)

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
        written: dict[tuple[int, int, bytes], dict[str, object]] = {}
        found: list[dict[str, object]] = []
        targets: dict[int, list[Record]] = {}
        for record, file_id in zip(records, file_ids, strict=True):
            index = self.plan.sources[record.source].destination
            storage = self._destination(record.source).storage.reference
            if record.outcome in WRITTEN:
                targets.setdefault(index, []).append(record)
                if record.outcome is Outcome.OVERWRITTEN:
                    catalogue.end_other_copies(connection, storage, record.target_path, file_id)
            if file_id is None:
                continue
            self._note_cache(record, file_id, found)
            row = self._copy(storage, file_id, record, record.target_path, lost=record.lost)
            if self.plan.original_place:
                continue  # the file is back in its root: that is no further copy of it
            if record.outcome in WRITTEN:
                written[index, file_id, record.target_path] = row
            elif record.outcome is Outcome.IDENTICAL:
                found.append(row)
        catalogue.put_copies(connection, list(written.values()))
        for index, chosen in targets.items():
            destination = self.plan.destinations[index]
            catalogue.put_copies(
                connection, self._catalogue_targets(connection, destination, chosen)
            )
        catalogue.put_found_copies(connection, found)

    def _destination(self, source: int) -> Destination:
        return self.plan.destinations[self.plan.sources[source].destination]

    def _note_cache(self, record: Record, file_id: int, found: list[dict[str, object]]) -> None:
        """A file of a container has a copy in the container itself: its cache."""
        reference = self.plan.sources[record.source].storage.reference
        if reference.kind is StorageKind.CONTAINER:
            path = paths.join(record.folder, record.entry.name)
            found.append(self._copy(reference, file_id, record, path))

    def _catalogue_targets(
        self, connection: Connection, destination: Destination, targets: Sequence[Record]
    ) -> list[dict[str, object]]:
        """Catalogue what was written into a container or primary pool; copies in its cache."""
        root_id = destination.root_id
        if root_id is None:
            return []
        by_folder: dict[bytes, dict[bytes, Record]] = {}
        for record in targets:
            folder, name = paths.split(record.target_path)
            by_folder.setdefault(folder, {})[name] = record
        reference = destination.storage.reference
        rows = []
        for folder, by_name in by_folder.items():
            parent_id = self.folder_ids.id_of(connection, root_id, folder)
            entries = [
                msgspec.structs.replace(by_name[name].entry, name=name) for name in sorted(by_name)
            ]
            ids = catalogue.put(connection, root_id, parent_id, entries)
            if reference.kind is StorageKind.CONTAINER:
                rows += [
                    self._copy(reference, ids[name], record, record.target_path, lost=record.lost)
                    for name, record in by_name.items()
                ]
        return rows

    def _copy(
        self,
        storage: StorageReference,
        file_id: int,
        record: Record,
        path: bytes,
        *,
        lost: bytes = b"",
    ) -> dict[str, object]:
        return {
            "file_id": file_id,
            "storage_kind": storage.kind.value,
            "storage_id": storage.id,
            "path": path,
            "path_key": catalogue.path_key(path),
            "size": record.entry.size,
            "mtime_ns": record.entry.mtime_ns,
            "checksum_kind": self._checksum_kind(record),
            "checksum": record.checksum or None,
            "xxh3_128": record.xxh3_128 or None,
            "live": True,
            "execution_id": self.plan.execution_id,
            "written_ns": record.finished_ns,
            "lost": lost or None,
        }

    # ------------------------------------------------------------------ records

    def _row(self, work_id: int, record: Record, file_id: int | None) -> dict[str, object]:
        failure = record.failure
        return {
            "execution_id": self.plan.execution_id,
            "number": work_id * PLACES_PER_WORK + record.place,
            "file_id": file_id,
            "path": paths.join(record.folder, record.entry.name),
            "kind": record.entry.kind.value,
            "size": record.entry.size,
            "mtime_ns": record.entry.mtime_ns,
            "outcome": record.outcome.value,
            "target_path": record.target_path or None,
            "checksum_kind": self._checksum_kind(record),
            "checksum": record.checksum or None,
            "xxh3_128": record.xxh3_128 or None,
            "error_kind": failure.kind.value if failure else None,
            "error_stage": failure.stage.value if failure else None,
            "error_side": failure.side.value if failure else None,
            "error_text": failure.text if failure else None,
            "callback_id": record.callback_id or None,
            "attempts": record.attempts,
            "finished_ns": record.finished_ns,
            "source": record.source,
        }

    def _checksum_kind(self, record: Record) -> str | None:
        wanted = self.plan.checksum
        return wanted.value if record.checksum and wanted is not ChecksumKind.NONE else None


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
