"""Putting outcomes on record: per-file records, catalogue, copies and counters.

Everything here happens inside the transaction that takes the work item out of the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue, copy_ends, copy_rows, known_copies, record_blocks
from longshore.database.journal import Counters
from longshore.database.node_rows import NodeState
from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.errors import UNSOUND, ErrorKind, FileFailure, Side, Stage, show
from longshore.domain.outcome import PROCESSED, Outcome
from longshore.domain.record import Record, kind_on_record
from longshore.domain.task import WorkflowAction
from longshore.engine import whole_folders
from longshore.engine.cataloguing import Cataloguing, by_folder
from longshore.engine.copy_recording import CopyRecording
from longshore.engine.folder_ids import FolderIds
from longshore.engine.folder_recording import FolderRecording
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.replies import Listed, UnsoundCopy, WholeFolder
from longshore.pipeline.messages.work import FoundFolder, ReleaseGroup

_STATES = {
    Outcome.ERASED: NodeState.DELETED,
    Outcome.FREED: NodeState.STUB,
}
"""What becomes of the catalogue's entry of a file that was removed where it lay."""


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
        if self.plan.action is WorkflowAction.RESTORE:
            self.record_unsound(connection, _unsound(records))
        file_ids = self.catalogue(connection, records)
        counted = record_blocks.count_outcomes(records)
        if not counted.keys().isdisjoint(_STATES):
            self._record_erased(connection, records, file_ids)
        if whole and len({record.source for record in records}) == 1:
            whole_folders.note_copied(self, connection, file_ids, whole)
        kind = kind_on_record(self.plan.checksum, records)
        record_blocks.put_records(
            connection,
            self.plan.execution_id,
            work_id,
            records,
            file_ids,
            checksum_kind=None if kind is ChecksumKind.NONE else kind.value,
        )
        return _change(records, counted)

    def catalogue(self, connection: Connection, records: Sequence[Record]) -> list[int | None]:
        """Catalogue the files and their copies; the id of each record's file, where it has one."""
        counted = record_blocks.count_outcomes(records)
        cataloguing = Cataloguing(self.plan, self.folder_ids)
        groups = by_folder(records)
        file_ids = cataloguing.file_ids(
            connection, records, groups, every=counted.keys() <= PROCESSED
        )
        if self.plan.destinations:
            only = next(iter(counted)) if len(counted) == 1 else None
            copies = CopyRecording(self.plan, cataloguing)
            copies.record(connection, records, file_ids, groups, only=only)
        return file_ids

    def record_folders(self, connection: Connection, folders: Iterable[FoundFolder]) -> None:
        """Give catalogue folders the metadata of their sources, and note where their copies are."""
        cataloguing = Cataloguing(self.plan, self.folder_ids)
        FolderRecording(self.plan, cataloguing).record(connection, folders)

    def record_unsound(self, connection: Connection, unsound: Iterable[UnsoundCopy]) -> None:
        """These copies are not what is on record of them: they count as not verified.

        They stay, whatever is wrong: an archive that is not mounted looks like an empty one.
        """
        by_source: dict[int, list[bytes]] = {}
        for each in unsound:
            by_source.setdefault(each.source, []).append(each.path)
        for number, places in by_source.items():
            reference = self.plan.sources[number].storage.reference
            copy_rows.note_checked(connection, reference, places, sound=False)

    def record_released(self, connection: Connection, released: Iterable[ReleaseGroup]) -> None:
        """The files are not at their source any more; the catalogue knows them by their copies."""
        for group in released:
            source = self.plan.sources[group.source]
            places = [paths.join(group.folder, entry.name) for entry in group.entries]
            copy_rows.end_copies_at(connection, source.storage.reference, places)
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

    def record_pruned(self, connection: Connection, removed: Iterable[FoundFolder]) -> None:
        """The folders are gone from their source; what was moved out of them lives on as copies."""
        erased = self.plan.action is WorkflowAction.ERASE
        state = NodeState.DELETED if erased else NodeState.STUB
        for found in removed:
            source = self.plan.sources[found.source]
            reference, root_id = source.storage.reference, source.root_id
            if erased and root_id is None:
                copy_ends.end_erased_at(connection, reference, [found.path])
                continue
            copy_rows.end_copies_at(connection, reference, [found.path])
            if root_id is not None:
                parent, name = paths.split(found.path)
                parent_id = self.folder_ids.id_of(connection, root_id, parent)
                catalogue.set_state(connection, parent_id, [name], state)

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
            known = known_copies.hashes_at(connection, reference, list(path_of.values()))
            damaged = {
                i: path
                for i, path in path_of.items()
                if known.get(path) not in {None, read[i].xxh3_128}
            }
            for index, path in damaged.items():
                judged[index] = _corrupt(read[index], path)
            sound = list(known.keys() - damaged.values())
            copy_rows.note_checked(connection, reference, sound, sound=True)
            copy_rows.note_checked(connection, reference, list(damaged.values()), sound=False)
        return judged

    def _record_erased(
        self, connection: Connection, records: Sequence[Record], file_ids: Sequence[int | None]
    ) -> None:
        """Mark erased and freed files; unless only a mark was asked, their copies there end.

        A copy on secondary storage has no mark but its end, and the file ends with its last one.
        """
        gone: dict[int, list[bytes]] = {}
        marked: dict[Outcome, list[int]] = {outcome: [] for outcome in _STATES}
        for record, file_id in zip(records, file_ids, strict=True):
            if record.outcome not in _STATES:
                continue
            place = paths.join(record.folder, record.entry.name)
            gone.setdefault(record.source, []).append(place)
            if file_id is not None and self.plan.sources[record.source].root_id is not None:
                marked[record.outcome].append(file_id)
        for outcome, ids in marked.items():
            catalogue.set_state_of(connection, ids, _STATES[outcome])
        for number, places in gone.items():
            source = self.plan.sources[number]
            if source.root_id is None:
                copy_ends.end_erased_at(connection, source.storage.reference, places)
            elif not self.plan.soft_erase:
                copy_rows.end_copies_at(connection, source.storage.reference, places)


def _unsound(records: Sequence[Record]) -> Iterator[UnsoundCopy]:
    """The copies that these records tell have failed."""
    for record in records:
        failure = record.failure
        if record.outcome is not Outcome.FAILED or failure is None:
            continue
        if failure.side is Side.SOURCE and failure.kind in UNSOUND:
            yield UnsoundCopy(record.source, paths.join(record.folder, record.entry.name))


def _corrupt(record: Record, path: bytes) -> Record:
    text = f"check {show(path)}: its content is not what was written"
    return msgspec.structs.replace(
        record,
        outcome=Outcome.FAILED,
        failure=FileFailure(ErrorKind.CHECKSUM_MISMATCH, Stage.VERIFY, Side.SOURCE, text),
    )


def change_of(records: Sequence[Record]) -> Counters:
    """What the records add to the counters; nothing is added to what has to be processed."""
    return _change(records, record_blocks.count_outcomes(records))


def _change(records: Sequence[Record], counted: Mapping[Outcome, int]) -> Counters:
    processed = records
    if not counted.keys() <= PROCESSED:
        processed = [record for record in records if record.outcome in PROCESSED]
    return Counters(
        processed_files=len(processed),
        processed_size=sum([record.entry.size for record in processed]),
        finalized_files=len(processed),
        failed_files=counted.get(Outcome.FAILED, 0),
        refused_files=counted.get(Outcome.REFUSED, 0),
    )
