"""Sending what a restore has found to where it belongs, each file once.

    the first copy of its file      ──> the batch, with the copies that may be tried after it
    another one of the same content ──> passed over: no record, and not counted
    one of an older content         ──> on record as `kept`
    one that nobody knows           ──> copied as it is; fails where it is to go to its own place

A file whose first copy is not found is passed over as well. What no scan has taken in hand is asked
for by name in the end: see `file_lists`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue
from longshore.database.catalogue import Place
from longshore.domain import paths
from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage, show
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.engine.choosing import Choosing, Found, Part
from longshore.engine.restoring import Origin, source_to
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.replies import ScanReply
from longshore.pipeline.messages.work import CopyGroup, CopyWork, PackedWork, PlannedFile
from longshore.pipeline.packing import pack_anew

_decoder = msgspec.msgpack.Decoder(CopyWork)


@dataclass(slots=True)
class Retargeted:
    """Batches that know where they go, the records of the other files, and what is left out."""

    batches: list[PackedWork] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    origins: dict[int, Origin] = field(default_factory=dict)  # by node: whose folders are wanted
    linked: set[int] = field(default_factory=set)  # sources with files of several names
    passed_files: int = 0  # of those that the scan has counted
    passed_bytes: int = 0


def retarget(
    connection: Connection, plan: ExecutionPlan, reply: ScanReply, *, finished_ns: int
) -> Retargeted:
    """What becomes of the files that a scan has found."""
    work = _Retargeting(Choosing(connection, plan), finished_ns)
    work.take_records(reply)
    for packed in reply.batches:
        work.take_batch(packed)
    return work.result


@dataclass(slots=True)
class _Retargeting:
    choosing: Choosing
    finished_ns: int
    result: Retargeted = field(default_factory=Retargeted)

    @property
    def _plan(self) -> ExecutionPlan:
        return self.choosing.plan

    # ------------------------------------------------------------------ records

    def take_records(self, reply: ScanReply) -> None:
        """Keep the records of files, each one's once; places follow each other anew."""
        chosen = set(reply.chosen)
        by_source: dict[int, dict[int, bytes]] = {}
        for index, record in enumerate(reply.records):
            if record.place not in chosen and record.entry.kind is not EntryKind.FOLDER:
                path = paths.join(record.folder, record.entry.name)
                by_source.setdefault(record.source, {})[index] = path
        passed: set[int] = set()
        for source, path_of in by_source.items():
            found = self._found(source, list(path_of.values()))
            taken = self._take(source, list(found.values()))
            passed |= {
                index
                for index, path in path_of.items()
                if path in found and _is_passed_over(found[path], taken)
            }
        for index, record in enumerate(reply.records):
            if index not in passed:
                self._add(record)
            elif record.outcome is not Outcome.REFUSED:
                self._pass_over(record.entry.size)

    def _add(self, record: Record) -> None:
        place = len(self.result.records)
        self.result.records.append(msgspec.structs.replace(record, place=place))

    def _pass_over(self, size: int) -> None:
        self.result.passed_files += 1
        self.result.passed_bytes += size

    # ------------------------------------------------------------------ batches

    def take_batch(self, packed: PackedWork) -> None:
        groups: dict[tuple[int, bytes, bytes], CopyGroup] = {}
        for group in _decoder.decode(packed.payload).groups:
            wanted = [paths.join(group.folder, planned.entry.name) for planned in group.files]
            found = self._found(group.source, wanted)
            places = self._places(found)
            chosen = {path for path, each in zip(wanted, group.files, strict=True) if each.further}
            open_ones = [each for path, each in found.items() if path not in chosen]
            taken = self._take(group.source, open_ones)
            for path, planned in zip(wanted, group.files, strict=True):
                each = found.get(path)
                place = places.get(each.file_id) if each is not None else None
                self._take_file(groups, group, planned, each, place, taken)
        batch = pack_anew(list(groups.values()))
        if batch is not None:
            self.result.batches.append(msgspec.structs.replace(batch, sort_key=packed.sort_key))

    def _take_file(
        self,
        groups: dict[tuple[int, bytes, bytes], CopyGroup],
        group: CopyGroup,
        planned: PlannedFile,
        found: Found | None,
        place: Place | None,
        taken: set[int],
    ) -> None:
        is_chosen = planned.further is not None
        if found is not None and not is_chosen and _is_passed_over(found, taken):
            self._pass_over(planned.entry.size)
            return
        goal = self._goal(group, planned, place)
        if isinstance(goal, str):
            self._add(self._unknown(group, planned, goal))
            return
        if found is not None and not is_chosen and found.part is Part.OLDER:
            self._add(self._kept(group, planned, goal))
            return
        source, target, name = goal
        if self._plan.original_place and found is not None:
            self.result.origins[found.file_id] = Origin(source, group.folder)
        if self._plan.original_place and planned.entry.links > 1:
            self.result.linked.add(source)  # the scan does not know where they go
        into = groups.setdefault(
            (source, group.folder, target), CopyGroup(source, group.folder, target, [])
        )
        into.files.append(self._described(planned, found, source, name))

    def _described(
        self, planned: PlannedFile, found: Found | None, source: int, name: bytes
    ) -> PlannedFile:
        """The file with all that is known of the copy, and with those behind it."""
        if found is None or planned.further is not None:
            return msgspec.structs.replace(planned, target_name=name)
        base = source - source % self.choosing.sources_each
        same_size = planned.entry.size == found.copy.size
        return msgspec.structs.replace(
            planned,
            target_name=name,
            expected=found.choice.expected,
            unkept=found.copy.unkept if same_size else b"",
            further=found.choice.further(base),
        )

    def _found(self, source: int, wanted: list[bytes]) -> dict[bytes, Found]:
        if self._plan.sources[source].range_last:
            return {}  # a part of a file is no copy of it
        return self.choosing.of_found(source, wanted)

    def _places(self, found: Mapping[bytes, Found]) -> dict[int, Place]:
        if not self._plan.original_place:
            return {}
        file_ids = [each.file_id for each in found.values()]
        return catalogue.places_of(self.choosing.connection, file_ids)

    def _take(self, source: int, found: list[Found]) -> set[int]:
        """Take the files in hand whose first copies these are; those that were not before."""
        first = [each.file_id for each in found if each.part is Part.FIRST]
        # Original places are one destination together.
        destination = 0 if self._plan.original_place else self._plan.sources[source].destination
        return self.choosing.take(destination, first)

    # ------------------------------------------------------------------ where files go

    def _goal(
        self, group: CopyGroup, planned: PlannedFile, place: Place | None
    ) -> tuple[int, bytes, bytes] | str:
        """(source index, target folder, name) of a file, or why it cannot be restored."""
        if not self._plan.original_place or planned.further is not None:
            return group.source, group.target, planned.target_name
        if place is None:
            return "the catalogue does not know whose copy it is"
        source = source_to(self._plan, group.source, place.root_id)
        if source is None:
            return "the container or pool that it came from is not there any more"
        return source, place.folder, place.name

    def _kept(
        self, group: CopyGroup, planned: PlannedFile, goal: tuple[int, bytes, bytes]
    ) -> Record:
        source, target, name = goal
        return Record(
            place=0,
            source=source,
            folder=group.folder,
            entry=planned.entry,
            outcome=Outcome.KEPT,
            target_path=paths.join(target, name),
            xxh3_128=b"",
            checksum=b"",
            failure=None,
            callback_id=0,
            attempts=1,
            finished_ns=self.finished_ns,
        )

    def _unknown(self, group: CopyGroup, planned: PlannedFile, why: str) -> Record:
        path = paths.join(group.folder, planned.entry.name)
        text = f"restore {show(path)}: {why}"
        return Record(
            place=0,
            source=group.source,
            folder=group.folder,
            entry=planned.entry,
            outcome=Outcome.FAILED,
            target_path=b"",
            xxh3_128=b"",
            checksum=b"",
            failure=FileFailure(ErrorKind.NOT_FOUND, Stage.PLAN, Side.DESTINATION, text),
            callback_id=0,
            attempts=1,
            finished_ns=self.finished_ns,
        )


def _is_passed_over(found: Found, taken: set[int]) -> bool:
    """Whether another copy is restored instead, or this one is in hand already."""
    if found.part is Part.FIRST:
        return found.file_id not in taken
    return found.part is Part.SAME
