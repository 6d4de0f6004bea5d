"""Putting on record what lies at the destinations, and in the containers that files come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from longshore.database import bulk, copy_rows
from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.outcome import WRITTEN, Outcome
from longshore.domain.record import Record, kind_on_record
from longshore.domain.storage import StorageKind, StorageReference
from longshore.engine.cataloguing import Cataloguing, Groups
from longshore.pipeline.messages.plan import Destination, ExecutionPlan

Held = tuple[int, bytes, Record]
"""A file's id, where its copy lies, and what is known of it."""

Put = Callable[[Connection, StorageReference, bulk.Columns, int], None]


@dataclass(frozen=True, slots=True)
class CopyRecording:
    """Writes the copies that the records of one execution are about."""

    plan: ExecutionPlan
    cataloguing: Cataloguing

    def record(
        self,
        connection: Connection,
        records: Sequence[Record],
        file_ids: Sequence[int | None],
        groups: Groups,
        *,
        only: Outcome | None,
    ) -> None:
        """Record the copies of all groups; `only` is the outcome that every record has, if one."""
        lie, found = _Copies(self.plan), _Copies(self.plan)
        targets: dict[int, list[Record]] = {}
        for (number, _), indexes in groups.items():
            source = self.plan.sources[number]
            destination = self.plan.destinations[source.destination]
            inside = [(file_ids[i], records[i]) for i in indexes]
            written = inside
            if only not in _ONLY_NEW:
                written = [each for each in inside if each[1].outcome in WRITTEN]
                self._end_replaced(connection, destination, written)
            if destination.root_id is not None and written:
                wanted = targets.setdefault(source.destination, [])
                wanted += [record for _, record in written]
            reference = source.storage.reference
            if reference.kind is StorageKind.CONTAINER:
                # A file of a container has a copy in the container itself: its cache.
                found.add(reference, _at_source(inside))
            if self.plan.original_place:
                continue  # the file is back in its root: that is no further copy of it
            _add(lie, destination, written)
            if written is not inside:
                identical = [each for each in inside if each[1].outcome is Outcome.IDENTICAL]
                _add(found, destination, identical)
        lie.write(connection, self._put, with_lost=True)
        for index, chosen in targets.items():
            self._record_targets(connection, self.plan.destinations[index], chosen)
        found.write(connection, copy_rows.put_found_copies_in, with_lost=False)

    def _end_replaced(
        self,
        connection: Connection,
        destination: Destination,
        written: Iterable[tuple[int | None, Record]],
    ) -> None:
        """What was overwritten lies nowhere any more."""
        for file_id, record in written:
            if record.outcome is Outcome.OVERWRITTEN:
                storage = destination.shares()[record.share].reference
                copy_rows.end_other_copies(connection, storage, record.target_path, file_id)
                _end_on_other_shares(connection, destination, record)

    def _record_targets(
        self, connection: Connection, destination: Destination, targets: Sequence[Record]
    ) -> None:
        """Catalogue what was written into a container or primary pool; copies in its cache."""
        assert destination.root_id is not None
        nodes = self.cataloguing.put_targets(connection, destination.root_id, targets)
        reference = destination.storage.reference
        if reference.kind is StorageKind.CONTAINER:
            copies = _Copies(self.plan)
            held = [(node_id, record.target_path, record) for record, node_id in nodes]
            copies.add(reference, held)
            copies.write(connection, self._put, with_lost=True)

    @property
    def _put(self) -> Put:
        """Writes copies that this execution has made, which were read back if its plan says so."""
        return partial(copy_rows.put_copies_in, verified=self.plan.verify)


_ONLY_NEW = frozenset({Outcome.COPIED, Outcome.RENAMED})
"""Where all records have one of these nothing but new copies is to be written."""


def _at_source(inside: Iterable[tuple[int | None, Record]]) -> list[Held]:
    return [
        (file_id, paths.join(record.folder, record.entry.name), record)
        for file_id, record in inside
        if file_id is not None
    ]


def _add(
    copies: _Copies, destination: Destination, inside: Sequence[tuple[int | None, Record]]
) -> None:
    """Add the copies at the destination, each to the storage of it that has the file."""
    for number, share in enumerate(destination.shares()):
        held = [
            (file_id, record.target_path, record)
            for file_id, record in inside
            if file_id is not None and record.share == number
        ]
        copies.add(share.reference, held)


@dataclass(slots=True)
class _Copies:
    """Copies of files by their storage; of several at one place the last one counts."""

    plan: ExecutionPlan
    _files: dict[StorageReference, list[Held]] = field(default_factory=dict)

    def add(self, storage: StorageReference, held: list[Held]) -> None:
        if held:
            self._files.setdefault(storage, []).extend(held)

    def write(
        self,
        connection: Connection,
        put: Put,
        *,
        with_lost: bool,
    ) -> None:
        for storage, held in self._files.items():
            file_ids, places, records = zip(*_last_of_each(held), strict=True)
            columns: dict[str, Sequence[object]] = {
                "file_id": file_ids,
                "path": places,
                "size": [record.entry.size for record in records],
                "mtime_ns": [record.entry.mtime_ns for record in records],
                "xxh3_128": [record.xxh3_128 or None for record in records],
                "written_ns": [record.finished_ns for record in records],
                **_checksums(self.plan, records),
            }
            if with_lost:
                columns["lost"] = [record.lost or None for record in records]
            put(connection, storage, columns, self.plan.execution_id)


def _last_of_each(held: list[Held]) -> Iterable[Held]:
    if len({path for _, path, _ in held}) == len(held):
        return held
    return {(file_id, path): (file_id, path, record) for file_id, path, record in held}.values()


def _checksums(plan: ExecutionPlan, records: Sequence[Record]) -> dict[str, Sequence[object]]:
    """The checksums on record, each with its kind."""
    checksums = [record.checksum or None for record in records]
    kind = kind_on_record(plan.checksum, records)
    if kind is ChecksumKind.NONE:
        return {"checksum": checksums}
    return {"checksum_kind": [each and kind.value for each in checksums], "checksum": checksums}


def _end_on_other_shares(connection: Connection, destination: Destination, record: Record) -> None:
    """What was replaced may have lain on another storage of the pool."""
    for number, share in enumerate(destination.shares() if destination.further else ()):
        if number != record.share:
            copy_rows.end_copies_at(connection, share.reference, [record.target_path])
