"""Recording what movers report. All replies at hand go into one transaction.

Memory follows the database: the run learns of the change only after the commit, so that a
rolled-back transaction can simply be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from longshore.database import freeable, journal, runs
from longshore.database.journal import Counters, NewWork, WorkItem, WorkState
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.domain.execution import Event
from longshore.domain.record import Record, expand
from longshore.domain.task import WorkflowAction
from longshore.engine import cache_cleaning, incremental, restoring, retargeting
from longshore.engine.executors import Completion, DiedBefore, MoverDied
from longshore.engine.floor import Floor
from longshore.engine.hooking import tell_results
from longshore.engine.parts import Parts
from longshore.engine.recording import Recorder
from longshore.engine.releasing import held_everywhere
from longshore.engine.run import Run, Wish
from longshore.engine.whole_folders import record_unchanged
from longshore.observability import logger
from longshore.pipeline import links, release, splitting
from longshore.pipeline.messages import (
    CleanReply,
    CopyReply,
    FileReply,
    FolderReply,
    LookReply,
    LookWork,
    PackedWork,
    PartReply,
    PruneReply,
    ReleaseReply,
    ScanReply,
    SpeedReply,
    WorkKind,
    encode,
)
from longshore.pipeline.packing import kind_of_batches, pack_folders, unpack_folders

DEATHS_MAXIMUM = 3  # movers that may die on one item before it is split, or its file given up

_log = logger("controller")

EMPTYING = frozenset({WorkflowAction.MOVE, WorkflowAction.ERASE})
"""Actions after which a source folder may be empty, and then goes."""

AfterCommit = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Returned:
    """An order that came back, or whose mover died."""

    run: Run
    item: WorkItem
    completion: Completion | MoverDied | DiedBefore


def settle(floor: Floor, returned: Sequence[Returned]) -> None:
    """Record everything that came back, in one transaction. Raises LeaseLost."""
    settled: list[tuple[_Settling, AfterCommit]] = []
    with floor.journal() as connection:
        for each in returned:
            settling = _Settling(floor, connection, each)
            settled.append((settling, settling.settle()))
    floor.settled += len(returned)
    for _, then in settled:
        then()
    for settling, _ in settled:
        _note(floor, settling.returned)
        _tell_results(floor, settling)


@dataclass(slots=True)
class _Settling:
    floor: Floor
    connection: Connection
    returned: Returned
    decided: list[Record] | None = None  # the records, where they are not those of the reply

    def settle(self) -> AfterCommit:
        """Write what came back; what the run has to learn once that is committed."""
        completion = self.returned.completion
        if isinstance(completion, MoverDied):
            return self._mover_died(completion)
        if isinstance(completion, DiedBefore):
            return lambda: self.run.returned(self.item)
        reply = completion.reply
        if isinstance(reply, ScanReply):
            return self._scanned(reply)
        if isinstance(reply, CopyReply):
            return self._copied(reply) if reply.shared is None else self._shared(reply)
        if isinstance(reply, PartReply):
            return self._parts().part_returned(self.item, reply, completion.mover) or self._gone
        if isinstance(reply, FileReply):
            return self._done_in_place(reply)
        if isinstance(reply, SpeedReply):
            return self._measured(reply)
        if isinstance(reply, FolderReply):
            return self._settled_folders(reply)
        if isinstance(reply, LookReply):
            return self._looked(reply)
        if isinstance(reply, ReleaseReply):
            return self._released(reply)
        if isinstance(reply, PruneReply):
            return self._pruned(reply)
        return self._cleaned(reply)

    @property
    def run(self) -> Run:
        return self.returned.run

    @property
    def item(self) -> WorkItem:
        return self.returned.item

    def _recorder(self) -> Recorder:
        return Recorder(self.run.plan, self.floor.folder_ids)

    # ------------------------------------------------------------------ replies

    def _scanned(self, reply: ScanReply) -> AfterCommit:
        if not journal.remove_work(self.connection, self.item.id):
            return self._gone
        reply, freeing = self._only_freeable(reply)
        reply, to_compare = self._without_unchanged(reply)
        reply = self._retargeted(reply)
        self.decided = _all_records(reply)
        recorder = self._recorder()
        change = recorder.record(self.connection, self.item.id, reply.records)
        recorder.record_unsound(self.connection, reply.unsound)
        recorder.record_listed(self.connection, reply.listed)
        self._count(change, files=reply.found_files, size=reply.found_bytes)
        self._count(record_unchanged(recorder, self.connection, self.item.id, reply.unchanged))
        new = [
            *_new_work(WorkKind.SCAN, reply.remaining),
            *self._batches(reply),
            *_new_work(WorkKind.CHECK, to_compare),
            *_new_work(WorkKind.FREE, freeing),
            *_new_work(WorkKind.LINKS, reply.links, WorkState.HELD),
            *self._releases(reply.records),
        ]
        if self.run.plan.original_place:
            pass  # those that are missing follow, once they were looked for
        elif self.run.plan.destinations:
            new += _new_work(WorkKind.FOLDERS, reply.folders, WorkState.HELD)
        else:
            recorder.record_folders(self.connection, unpack_folders(reply.folders))
        if self.run.plan.action in EMPTYING and not self.run.plan.soft_erase:
            new += _new_work(WorkKind.PRUNE, reply.folders, WorkState.HELD)
        added = journal.add_work(self.connection, self.run.execution_id, new)

        rest = next((item for item in added if item.kind == WorkKind.SCAN), None)

        def learn() -> None:
            self.run.removed(self.item)
            self.run.added(added)
            if rest is not None and isinstance(self.returned.completion, Completion):
                # It may be the rest of a folder that this mover keeps open.
                self.run.movers[rest.id] = self.returned.completion.mover
                if reply.inside:
                    self.run.followed[rest.id] = 1
            if rest is not None and reply.retry_after_seconds:
                at = self.floor.monotonic() + reply.retry_after_seconds
                self.run.not_before[rest.id] = at

        return learn

    def _only_freeable(self, reply: ScanReply) -> tuple[ScanReply, list[PackedWork]]:
        """The reply without batches, where this cleans a cache: what may go waits for the others.

        Beside it the work of taking them in their order, if nobody has added that yet.
        """
        if self.run.plan.action is not WorkflowAction.CACHE_CLEANING:
            return reply, []
        rest_ns = round(self.floor.config.cache_retention_seconds * 1e9)
        found = cache_cleaning.eligible(
            self.connection,
            self.run.plan,
            reply.batches,
            work_id=self.item.id,
            folder_id=self._folder_id(),
            archives=cache_cleaning.Archives(self.floor.database),
            changed_before_ns=self.floor.time_ns() - rest_ns,
        )
        freeable.put(self.connection, self.run.execution_id, found.files)
        left_out_files = sum(b.files for b in reply.batches) - len(found.files)
        left_out_size = sum(b.size for b in reply.batches) - found.size
        is_new = found.files and not self.run.queues[WorkKind.FREE].count
        return msgspec.structs.replace(
            reply,
            batches=[],
            found_files=reply.found_files - left_out_files,
            found_bytes=reply.found_bytes - left_out_size,
        ), [PackedWork(0, 0, b"")] if is_new else []

    def _measured(self, reply: SpeedReply) -> AfterCommit:
        if reply.lost is not None:
            return self._replace(PackedWork(1, self.item.size, self.item.payload))
        then = self._replace(None)
        if then is self._gone:
            return then
        failed = reply.failure is not None
        change = Counters(
            processed_files=0 if failed else 1,
            processed_size=reply.size,
            finalized_files=0 if failed else 1,
            failed_files=1 if failed else 0,
        )
        self._count(change, files=1, size=reply.size)

        def learn() -> None:
            then()
            self.run.measured_size += reply.size
            self.run.measured_seconds += reply.seconds
            if reply.failure is not None:
                self.run.reason = reply.failure.text

        return learn

    def _without_unchanged(self, reply: ScanReply) -> tuple[ScanReply, list[PackedWork]]:
        """The reply without what earlier backups hold, where this is an incremental one.

        Beside it the files that have to be read before it is known whether they do.
        """
        if not self.run.plan.base_executions:
            return reply, []
        changed = incremental.leave_out(
            self.connection,
            self.run.plan,
            reply.batches,
            folder_id=self._folder_id(),
            first_place=len(reply.records),
            finished_ns=self.floor.time_ns(),
        )
        records = [*reply.records, *changed.unchanged]
        reply = msgspec.structs.replace(reply, batches=changed.batches, records=records)
        return reply, changed.to_compare

    def _folder_id(self) -> incremental.FolderId:
        return partial(self.floor.folder_ids.id_of, self.connection)

    def _retargeted(self, reply: ScanReply) -> ScanReply:
        """The reply with what the catalogue knows of the copies, where some may be read."""
        plan = self.run.plan
        if not restoring.comes_back(plan):
            return reply
        result = retargeting.Retargeted()
        if plan.action is WorkflowAction.RESTORE:
            now_ns = self.floor.time_ns()
            result = retargeting.retarget(self.connection, plan, reply, finished_ns=now_ns)
        else:
            result.batches = restoring.remember(self.connection, plan, reply.batches)
            result.records = reply.records
        found = unpack_folders(reply.folders)
        folders = restoring.with_folders(self.connection, plan, found, result.origins)
        return msgspec.structs.replace(
            reply,
            batches=result.batches,
            records=result.records,
            folders=pack_folders(folders),
            links=[*reply.links, *map(links.pack, sorted(result.linked))],
            found_files=reply.found_files - result.passed_files,
            found_bytes=reply.found_bytes - result.passed_bytes,
        )

    def _batches(self, reply: ScanReply) -> list[NewWork]:
        """What was found, as work. Into original places it waits until somebody has looked there.

        Only who knows which folders were missing before the first file went there can tell, after
        any crash, which of them are ours to give their metadata to.
        """
        if not (self.run.plan.original_place and reply.folders):
            return _new_work(kind_of_batches(self.run.plan), reply.batches)
        look = LookWork(unpack_folders(reply.folders), reply.batches)
        files = sum(each.files for each in reply.batches)
        size = sum(each.size for each in reply.batches)
        return _new_work(WorkKind.LOOK, [PackedWork(files, size, encode(look))])

    def _looked(self, reply: LookReply) -> AfterCommit:
        then = self._replace(reply.remaining)
        if then == self._gone or reply.remaining is not None:
            return then
        new = [
            *_new_work(WorkKind.COPY, reply.batches),
            *_new_work(WorkKind.FOLDERS, pack_folders(reply.missing), WorkState.HELD),
        ]
        added = journal.add_work(self.connection, self.run.execution_id, new)

        def learn() -> None:
            then()
            self.run.added(added)

        return learn

    def _done_in_place(self, reply: FileReply) -> AfterCommit:
        then = self._replace(reply.remaining)
        if then == self._gone:
            return then
        changed = self._read(reply)
        self.decided = changed.unchanged
        change = self._recorder().record(self.connection, self.item.id, changed.unchanged)
        self._count(change)
        added = journal.add_work(
            self.connection, self.run.execution_id, _new_work(WorkKind.COPY, changed.batches)
        )

        def learn() -> None:
            then()
            self.run.added(added)
            self.run.followed.pop(self.item.id, None)
            if reply.inside:
                self.run.followed[self.item.id] = 1  # any other mover would begin it anew

        return learn

    def _read(self, reply: FileReply) -> incremental.Changed:
        """What is through, and what an incremental backup copies now that its content is known."""
        if not self.run.plan.base_executions:
            return incremental.Changed(unchanged=reply.records)
        return incremental.after_reading(
            self.connection,
            self.run.plan,
            self.item.payload,
            reply.records,
            folder_id=self._folder_id(),
            sort_key=self.item.sort_key or b"",
        )

    def _copied(self, reply: CopyReply) -> AfterCommit:
        then = self._replace(reply.remaining)
        if then == self._gone:
            return then
        change = self._recorder().record(self.connection, self.item.id, reply.records, reply.whole)
        self._count(change, size=reply.size_change)
        self._recorder().record_unsound(self.connection, reply.unsound)
        # They keep the place that their batch had in the order of the task.
        key = self.item.sort_key or b""
        others = [msgspec.structs.replace(each, sort_key=key) for each in reply.others]
        new = [*self._releases(reply.records), *_new_work(WorkKind.COPY, others)]
        added = journal.add_work(self.connection, self.run.execution_id, new)

        def learn() -> None:
            then()
            self.run.added(added)
            self.run.bytes_copied += reply.bytes_copied
            self.run.followed.pop(self.item.id, None)
            if reply.inside:
                self.run.followed[self.item.id] = 1
            if reply.lost is None and reply.remaining is not None:
                self.run.ended_in_order(self.item.id)
            if reply.remaining is not None and reply.retry_after_seconds:
                at = self.floor.monotonic() + reply.retry_after_seconds
                self.run.not_before[self.item.id] = at

        return learn

    def _shared(self, reply: CopyReply) -> AfterCommit:
        return self._parts().returned(self.item, reply) or self._gone

    def _parts(self) -> Parts:
        return Parts(self.floor, self.connection, self.run)

    def _settled_folders(self, reply: FolderReply) -> AfterCommit:
        then = self._replace(reply.remaining)
        if then == self._gone:
            return then
        recorder = self._recorder()
        recorder.record_folders(self.connection, reply.done)
        change = recorder.record(self.connection, self.item.id, reply.records)
        self._count(change, files=len(reply.records))
        return then

    def _releases(self, records: Sequence[Record]) -> list[NewWork]:
        """The removal of the sources that are now recorded everywhere, if this is a move."""
        if self.run.plan.action is not WorkflowAction.MOVE:
            return []
        # Names of one file go last: until then the scan and the copy see that there are several.
        alone = [record for record in records if record.entry.links <= 1]
        shared = [record for record in records if record.entry.links > 1]
        return [
            *self._release_of(alone, WorkState.READY),
            *self._release_of(shared, WorkState.HELD),
        ]

    def _release_of(self, records: Sequence[Record], state: WorkState) -> list[NewWork]:
        if not records:
            return []
        packed = release.pack(
            held_everywhere(self.connection, self.run.plan, self.item.id, records)
        )
        return _new_work(WorkKind.RELEASE, [packed] if packed else [], state)

    def _released(self, reply: ReleaseReply) -> AfterCommit:
        then = self._replace(reply.remaining)
        if then == self._gone:
            return then
        self._recorder().record_released(self.connection, reply.released)
        journal.count(self.connection, self.run.execution_id, Counters(warnings=len(reply.kept)))
        return then

    def _pruned(self, reply: PruneReply) -> AfterCommit:
        if reply.lost is not None:
            return self._replace(PackedWork(self.item.files, self.item.size, self.item.payload))
        self._recorder().record_pruned(self.connection, reply.removed)
        return self._replace(None)

    def _cleaned(self, reply: CleanReply) -> AfterCommit:
        if reply.lost is not None:
            _log.warning(
                "staged files were left behind",
                execution=self.run.execution_id,
                reason=reply.lost.failure.text,
            )
            if self.run.cleaning:
                return self._replace(None)  # the task is to be stopped, storage or not
        return self._replace(reply.remaining)

    # ------------------------------------------------------------------ deaths

    def _mover_died(self, death: MoverDied) -> AfterCommit:
        if self.item.kind == WorkKind.PART:
            then = self._parts().died_on_part(self.item, str(death), DEATHS_MAXIMUM)
            return then or self._gone
        if self.item.kind == WorkKind.FINISH:
            then = self._parts().died_on_file(self.item, str(death), DEATHS_MAXIMUM)
            return then or self._split(replace(self.item, attempts=DEATHS_MAXIMUM), death)
        item = replace(self.item, attempts=self.item.attempts + 1)
        if item.attempts < DEATHS_MAXIMUM:
            kept = journal.replace_work(self.connection, item)
            return (lambda: self.run.returned(item)) if kept else self._gone
        if item.kind == WorkKind.COPY:
            return self._split(item, death)
        if item.kind == WorkKind.CHECK and self.run.plan.base_executions:
            return self._copy_unread(item)
        return self._give_up_on(item, death)

    def _copy_unread(self, item: WorkItem) -> AfterCommit:
        """Files whose reading kills movers: among copies the guilty one is found."""
        if not journal.remove_work(self.connection, item.id):
            return self._gone
        packed = PackedWork(item.files, item.size, item.payload, item.sort_key or b"")
        new = _new_work(WorkKind.COPY, [packed])
        added = journal.add_work(self.connection, self.run.execution_id, new)

        def learn() -> None:
            self.run.removed(item)
            self.run.added(added)

        return learn

    def _split(self, item: WorkItem, death: MoverDied) -> AfterCommit:
        """Isolate the file that kills movers: halve the batch until it is alone."""
        if not journal.remove_work(self.connection, item.id):
            return self._gone
        halves = [
            msgspec.structs.replace(half, sort_key=item.sort_key or b"")
            for half in splitting.split(item.payload)
        ]
        new = _new_work(WorkKind.COPY, halves)
        if not halves:
            # What the dead movers have written of the file lies there still.
            staged = PackedWork(0, 0, item.payload)
            new = _new_work(WorkKind.CLEAN, [staged])
            failure = FileFailure(ErrorKind.MOVER_DIED, Stage.TRANSFER, Side.NONE, str(death))
            record = splitting.failed(item.payload, failure, self.floor.time_ns(), item.attempts)
            self._count(self._recorder().record(self.connection, item.id, [record]))
        added = journal.add_work(self.connection, self.run.execution_id, new)

        def learn() -> None:
            self.run.removed(item)
            self.run.added(added)
            self.run.begun.update(each.id for each in added)

        return learn

    def _give_up_on(self, item: WorkItem, death: MoverDied) -> AfterCommit:
        """Discovery that kills movers cannot be split further: the execution ends."""
        kept = journal.replace_work(self.connection, item)

        def learn() -> None:
            if kept:
                self.run.returned(item)
            self.run.wish, self.run.ending = Wish.STOP, Event.FINISH_ERROR
            self.run.reason = f"{item.attempts} movers died on the same work: {death}"

        return learn

    # ------------------------------------------------------------------ shared

    def _replace(self, rest: PackedWork | None) -> AfterCommit:
        """Leave only the rest of the item in the journal, or nothing."""
        if rest is None:
            removed = journal.remove_work(self.connection, self.item.id)
            return (lambda: self.run.removed(self.item)) if removed else self._gone
        # A mover came back from it, so the deaths before were not the fault of what is left.
        item = replace(
            self.item, files=rest.files, size=rest.size, payload=rest.payload, attempts=0
        )
        kept = journal.replace_work(self.connection, item)
        return (lambda: self.run.returned(item)) if kept else self._gone

    def _gone(self) -> None:
        """Somebody has recorded this item already, so this reply changes nothing."""
        self.run.removed(self.item)

    def _count(self, change: Counters, *, files: int = 0, size: int = 0) -> None:
        change = replace(change, to_process_files=files, to_process_size=size)
        journal.count(self.connection, self.run.execution_id, change)


def _new_work(
    kind: WorkKind, packed: Sequence[PackedWork], state: WorkState = WorkState.READY
) -> list[NewWork]:
    return [
        NewWork(
            kind=kind,
            files=each.files,
            size=each.size,
            payload=each.payload,
            state=state,
            sort_key=each.sort_key or None,
        )
        for each in packed
    ]


def _all_records(reply: ScanReply) -> list[Record]:
    """The records of a scan, those of unchanged files among them."""
    return [*reply.records, *chain.from_iterable(map(expand, reply.unchanged))]


def _tell_results(floor: Floor, settling: _Settling) -> None:
    """Let the plug-ins know of outcomes that are committed."""
    completion = settling.returned.completion
    if floor.hooks.plugins and isinstance(completion, Completion):
        records = settling.decided
        if records is None:
            records = getattr(completion.reply, "records", [])
        tell_results(floor.hooks, settling.run.task_id, settling.run.execution_id, records)


def _note(floor: Floor, returned: Returned) -> None:
    """What a reply means for the run besides its records."""
    run, completion = returned.run, returned.completion
    run.changed = True
    if not isinstance(completion, Completion):
        return
    run.order_seconds = completion.seconds
    if returned.item.id in run.begun:  # still in the journal
        run.movers[returned.item.id] = completion.mover
    reply = completion.reply
    if reply.lost is not None:
        run.lose(reply.lost, floor.monotonic(), floor.random)
    elif run.lost_since is not None:
        run.found_again()
    if isinstance(reply, ScanReply):
        if reply.gave_up and run.wish is Wish.GO_ON:
            run.wish, run.ending, run.reason = Wish.STOP, Event.FINISH_ERROR, reply.gave_up
        if reply.log:
            _append_log(floor, run, reply.log, "info")
    elif isinstance(reply, CopyReply | PartReply | FolderReply | ReleaseReply | FileReply):
        if isinstance(reply, ReleaseReply):
            _append_log(floor, run, reply.kept, "warning")
        fresh = [text for text in reply.warnings if text not in run.warnings_told]
        run.warnings_told.update(fresh)
        _append_log(floor, run, fresh, "warning")


def _append_log(floor: Floor, run: Run, lines: Sequence[str], level: str) -> None:
    if not lines:
        return
    try:
        with floor.state() as connection:
            runs.append_log(connection, run.execution_id, lines, level=level, now=floor.now())
    except OperationalError as error:
        # The replies are on record. Rather a line less than to settle all of them once more.
        _log.warning("log lines were lost", execution=run.execution_id, error=str(error.orig))
