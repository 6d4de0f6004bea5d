"""Copying one batch: one slice of it.

    stage, hash, verify … file by file ──> make durable ──> publish all ──> make durable ──> reply

Nothing gets its final name before its content is durable, and nothing is reported before its name
is. Every step may be repeated after a crash: staged names are the same for every attempt, and a
file that was published but not recorded is recognised by its content.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from longshore import faults
from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import (
    ErrorKind,
    FileFailure,
    Side,
    Stage,
    StorageError,
    StorageUnavailable,
)
from longshore.domain.outcome import WRITTEN, Outcome
from longshore.domain.record import Record
from longshore.domain.task import WorkflowAction
from longshore.pipeline import big, falling_back, transfer
from longshore.pipeline.bulk import BulkStage, CopiedStage, open_bulk
from longshore.pipeline.comparing import copied_whole
from longshore.pipeline.concurrent import Published, Result, Together, operations_at_once
from longshore.pipeline.messages.replies import CopyReply, Lost
from longshore.pipeline.messages.work import CopyGroup, CopyWork, PackedWork, PlannedFile
from longshore.pipeline.packing import pack_groups
from longshore.pipeline.publish import publish_or_again
from longshore.pipeline.small import into_store, out_of_store
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.pipeline.transfer import Again, Finished, Staged
from longshore.storage.handler import Folder

ATTEMPTS_MAXIMUM = 4  # of one file, for errors that may pass
RETRY_SECONDS = 0.25  # before the second attempt; doubles with each further one
RETRY_JITTER = 0.5  # of the pause, more or less: what failed together is not tried together
FOLDERS_OPEN_MAXIMUM = 200  # target folders with staged files; each holds a descriptor

_UNSEEN = frozenset({ErrorKind.NOT_FOUND, ErrorKind.PERMISSION})
"""Who could not open a file for these has no details of it either."""

_decoder = msgspec.msgpack.Decoder(CopyWork)


def run(payload: bytes, toolbox: Toolbox, *, fresh: bool) -> CopyReply:
    """Copy files of the batch until the slice ends; what is left comes back."""
    work = _decoder.decode(payload)
    if work.big is not None or _is_big(work.groups, toolbox):
        return big.run(work, toolbox)
    return _Slice(toolbox, fresh).run(work.groups)


def _is_big(groups: list[CopyGroup], toolbox: Toolbox) -> bool:
    """Whether the work is one file that may be moved by several slices, and by several movers."""
    group = groups[0]
    destination = toolbox.destination_of(group.source).capabilities
    whole = max(toolbox.plan.segment_bytes, destination.staged_in_memory_bytes)
    return len(groups) == 1 and group.files[0].entry.size > whole


@dataclass(slots=True)
class _Slice:
    toolbox: Toolbox
    fresh: bool
    records: list[Record] = field(default_factory=list)
    staged: list[Staged] = field(default_factory=list)  # written, waiting to be published
    bulks: list[BulkStage] = field(default_factory=list)  # the same, many at a time
    opened: list[Folder] = field(default_factory=list)  # their folders
    recognised: set[int] = field(default_factory=set)  # sources of what an earlier attempt wrote
    retried: set[int] = field(default_factory=set)  # places of files worth another attempt
    doubtful: set[int] = field(default_factory=set)  # of files that may be in the store
    others: dict[int, CopyGroup] = field(default_factory=dict)  # by place: with their next copies
    bytes_copied: int = 0
    size_change: int = 0
    retry_after_seconds: float = 0.0

    def run(self, groups: list[CopyGroup]) -> CopyReply:
        lost: Lost | None = None
        try:
            self._transfer(groups)
            self._publish()
            self._secure_identical()
        except StorageUnavailable as error:
            lost = lost_storage(error, groups[0].source, self.toolbox)
        finally:
            self._close()
        return CopyReply(
            records=self.records,
            remaining=self._remaining(groups),
            bytes_copied=self.bytes_copied,
            size_change=self.size_change,
            retry_after_seconds=self.retry_after_seconds,
            warnings=self.toolbox.warnings,
            lost=lost,
            whole=copied_whole(groups, self.records),
            others=falling_back.pack(list(self.others.values()), self.toolbox.plan.segment_bytes),
            unsound=self.toolbox.unsound,
        )

    # ------------------------------------------------------------------ transfer

    def _transfer(self, groups: list[CopyGroup]) -> None:
        width = operations_at_once(groups, self.toolbox)
        if width > 1:
            self._transfer_together(groups, width)
        else:
            self._transfer_in_turn(groups)

    def _transfer_in_turn(self, groups: list[CopyGroup]) -> None:
        for group in groups:
            if self._is_over():
                return
            if len(self.opened) >= FOLDERS_OPEN_MAXIMUM:
                self._publish()
                self._close()
            self._transfer_group(group)

    def _is_over(self) -> bool:
        """Whether the slice ends; never before it has settled something, however slow."""
        settled = self.records or self.staged or self.bulks or self.retried or self.others
        return bool(settled) and self.toolbox.time_is_up()

    def _transfer_group(self, group: CopyGroup) -> None:
        side = Side.SOURCE
        try:
            source = self.toolbox.sources[group.source].open_folder(group.folder)
            with source:
                side = Side.DESTINATION
                target = self.toolbox.destination_of(group.source).open_folder(
                    group.target, create=True
                )
                self.opened.append(target)
                self._transfer_files(group, source, target)
        except StorageUnavailable:
            raise
        except StorageError as error:
            failure = failure_of(error, Stage.TRANSFER, side)
            for planned in group.files:
                self._fail(group, planned, failure, again=may_try_again(error))

    def _transfer_files(self, group: CopyGroup, source: Folder, target: Folder) -> None:
        bulk = open_bulk(group, source, target, self.toolbox) if self.fresh else None
        place = 0
        while place < len(group.files) and not self._is_over():
            if bulk is not None:
                place = self._stage_many(bulk, place)
            if place < len(group.files) and not self._is_over():
                self._transfer_one(group, group.files[place], source, target)
                place += 1

    def _transfer_together(self, groups: list[CopyGroup], width: int) -> None:
        together = Together(
            toolbox=self.toolbox,
            width=width,
            is_fresh=self._is_fresh,
            is_over=self._is_over,
            opened=self.opened,
        )
        for begin in range(0, len(groups), FOLDERS_OPEN_MAXIMUM):
            if self._is_over():
                return
            some = groups[begin : begin + FOLDERS_OPEN_MAXIMUM]
            for each in together.results(self._without_small(some, width)):
                self._take(*each)
            self._publish()
            self._close()

    def _without_small(self, groups: list[CopyGroup], width: int) -> list[CopyGroup]:
        """Copy the small files that a store takes many at once of; all the others."""
        if not self.fresh:
            return groups
        settled: set[int] = set()
        for group, planned, finished in into_store(groups, width, self.toolbox, self.opened):
            if finished is None:
                self.doubtful.add(planned.place)
                continue
            self.bytes_copied += finished.entry.size
            self._record(group, planned, finished)
            settled.add(planned.place)
        known = len(self.bulks)
        out_of_store(groups, width, self.toolbox, self.opened, self.bulks)
        for bulk in self.bulks[known:]:
            self.bytes_copied += sum(entry.size for entry, _, _ in bulk.staged)
            settled |= {planned.place for planned in bulk.files}
        return _without(settled, groups) if settled else groups

    def _take(self, group: CopyGroup, planned: PlannedFile, result: Result) -> None:
        """Take note of what became of a file; what is only staged waits for the others."""
        if isinstance(result, Published):
            self.bytes_copied += result.staged.bytes_copied
            result = result.result
        if isinstance(result, Staged):
            self.staged.append(result)
            self.bytes_copied += result.bytes_copied
        elif isinstance(result, Finished):
            if result.outcome in WRITTEN:
                self.recognised.add(group.source)
            self._record(group, planned, result)
        else:
            self._fail(group, planned, result.failure, again=True)

    def _stage_many(self, bulk: CopiedStage, place: int) -> int:
        """Stage files from this place on, as far as they are usual; where the others begin."""
        known = len(bulk.staged)
        place = bulk.stage(place)
        if len(bulk.staged) > known:
            self.bytes_copied += sum(entry.size for entry, _, _ in bulk.staged[known:])
            if bulk not in self.bulks[-1:]:
                self.bulks.append(bulk)
        return place

    def _transfer_one(
        self, group: CopyGroup, planned: PlannedFile, source: Folder, target: Folder
    ) -> None:
        faults.at("mover.file", planned.entry.name)
        fresh = self._is_fresh(planned)
        result = transfer.transfer(planned, group, source, target, self.toolbox, fresh=fresh)
        self._take(group, planned, result)
        if isinstance(result, Staged):
            faults.at("mover.staged")

    def _is_fresh(self, planned: PlannedFile) -> bool:
        """Whether nobody can have begun the file before."""
        return self.fresh and not planned.attempts and planned.place not in self.doubtful

    def _fail(
        self, group: CopyGroup, planned: PlannedFile, failure: FileFailure, *, again: bool
    ) -> None:
        if again and planned.attempts + 1 < ATTEMPTS_MAXIMUM:
            pause = pause_seconds(planned.attempts, self.toolbox)
            self.retry_after_seconds = max(self.retry_after_seconds, pause)
            self.retried.add(planned.place)
        else:
            self._record(
                group,
                planned,
                Finished(entry=planned.entry, outcome=Outcome.FAILED, failure=failure),
            )

    # ------------------------------------------------------------------ publish, record

    def _publish(self) -> None:
        if not self.staged and not self.bulks:
            return
        faults.at("mover.before_durable")
        groups = [each.group for each in self.staged] + [each.group for each in self.bulks]
        sources = {group.source for group in groups}
        try:
            self.toolbox.make_durable(sources)
            faults.at("mover.before_publish")
            for bulk in self.bulks:
                bulk.publish(self._publish_one)
            results = [self._publish_one(staged) for staged in self.staged]
            self.toolbox.make_durable(sources)
        except StorageUnavailable:
            raise
        except StorageError as error:
            # Nobody knows which of them the medium has lost: all are made once more.
            failure = failure_of(error, Stage.PUBLISH, Side.DESTINATION)
            self._start_over(failure)
        else:
            faults.at("mover.after_publish")
            self._settle(results)
        self.staged.clear()
        self.bulks.clear()

    def _publish_one(self, staged: Staged) -> Finished | Again:
        return publish_or_again(staged, self.toolbox)

    def _start_over(self, failure: FileFailure) -> None:
        for staged in self.staged:
            staged.file.abort()
            self._fail(staged.group, staged.planned, failure, again=True)
        for bulk in self.bulks:
            bulk.abort()
            for planned in bulk.files:
                self._fail(bulk.group, planned, failure, again=True)

    def _settle(self, results: list[Finished | Again]) -> None:
        """Put on record what became of what was published."""
        for staged, result in zip(self.staged, results, strict=True):
            self._settle_one(staged.group, staged.planned, result)
        for bulk in self.bulks:
            self.size_change += bulk.size_change()
            self.records += bulk.records()
            for index, result in bulk.others.items():
                self._settle_one(bulk.group, bulk.files[index], result)

    def _settle_one(self, group: CopyGroup, planned: PlannedFile, result: Finished | Again) -> None:
        if isinstance(result, Again):
            self._fail(group, planned, result.failure, again=True)
        else:
            self._record(group, planned, result)

    def _secure_identical(self) -> None:
        """What was found equal may have been written just before a crash, by an earlier attempt."""
        found = set(self.recognised)
        if self.toolbox.plan.action is WorkflowAction.MOVE:
            found |= {r.source for r in self.records if r.outcome is Outcome.IDENTICAL}
        if found:
            self.toolbox.make_durable(found)

    def _record(self, group: CopyGroup, planned: PlannedFile, result: Finished) -> None:
        if result.failure is not None:
            other = falling_back.next_copy(group, planned, result.failure, self.toolbox)
            if other is not None:
                self.size_change += other.files[0].entry.size - planned.entry.size
                self.others[planned.place] = other
                return
        self.size_change += result.entry.size - planned.entry.size
        self.records.append(record_of(group, planned, result, self.toolbox))

    def _close(self) -> None:
        for bulk in self.bulks:
            bulk.close()
        for folder in self.opened:
            folder.close()
        self.opened.clear()

    def _remaining(self, groups: list[CopyGroup]) -> PackedWork | None:
        """The batch without what is settled, with the failed attempts counted."""
        settled = {record.place for record in self.records} | self.others.keys()
        return pack_groups(
            [
                msgspec.structs.replace(
                    group,
                    files=[self._counted(f) for f in group.files if f.place not in settled],
                )
                for group in groups
            ]
        )

    def _counted(self, planned: PlannedFile) -> PlannedFile:
        if planned.place not in self.retried and planned.place not in self.doubtful:
            return planned
        return msgspec.structs.replace(planned, attempts=planned.attempts + 1)


def _without(places: set[int], groups: list[CopyGroup]) -> list[CopyGroup]:
    """The groups with what is left of their files."""
    left = (
        msgspec.structs.replace(group, files=[f for f in group.files if f.place not in places])
        for group in groups
    )
    return [group for group in left if group.files]


def pause_seconds(attempts: int, toolbox: Toolbox) -> float:
    """How long to wait before the next attempt of what failed so often before, and now."""
    pause: float = RETRY_SECONDS * 2**attempts
    return pause * toolbox.random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER)


def record_of(group: CopyGroup, planned: PlannedFile, result: Finished, toolbox: Toolbox) -> Record:
    """The record of a file that is through."""
    further, failure = planned.further, result.failure
    if further is not None:
        failure = falling_back.told(
            further, failure, falling_back.place_of(group, planned, toolbox)
        )
    name = result.target_name or planned.target_name
    return toolbox.record(
        planned.place,
        group.source,
        group.folder,
        msgspec.structs.replace(_described(group, result, toolbox), name=planned.entry.name),
        result.outcome,
        target_path=b"" if result.failure else paths.join(group.target, name),
        xxh3_128=result.xxh3_128,
        checksum=result.checksum,
        lost=result.lost,
        failure=failure,
        attempts=falling_back.attempts_before(further) + planned.attempts + 1,
    )


def _described(group: CopyGroup, result: Finished, toolbox: Toolbox) -> Entry:
    """The entry for the record, with all details as far as they can still be had."""
    entry = result.entry
    if not entry.is_outline:
        return entry
    if result.failure is None or result.failure.kind not in _UNSEEN:
        with (
            suppress(StorageError),
            toolbox.sources[group.source].open_folder(group.folder) as folder,
        ):
            return folder.stat(entry.name)
    return msgspec.structs.replace(entry, is_outline=False)


def lost_storage(error: StorageUnavailable, source: int, toolbox: Toolbox) -> Lost:
    """Which side is gone: the source says whether it is still there."""
    side = Side.DESTINATION
    try:
        toolbox.sources[source].check(writable=False)
    except StorageUnavailable:
        side = Side.SOURCE
    return Lost(side, failure_of(error, Stage.TRANSFER, side))
