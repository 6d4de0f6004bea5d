"""Taking in what a scan has found: what is settled at once goes on record, the rest becomes work.

    scan's reply ──> less what may not leave a cache, and what earlier backups hold
                 ──> with what the catalogue knows of the copies, for what comes back
                 ──> records, and work: copies, folders, what is left of the scan

All of it stands in the journal in the transaction that takes the scan out, so that nothing found is
lost and nothing is found twice.
"""

from __future__ import annotations

from itertools import chain

import msgspec

from longshore.database import freeable, journal
from longshore.database.journal import NewWork, WorkItem, WorkState
from longshore.domain.record import Record, expand
from longshore.domain.task import WorkflowAction
from longshore.engine import cache_cleaning, incremental, restoring, retargeting
from longshore.engine.executors import Completion
from longshore.engine.recording import Recorder
from longshore.engine.releasing import releases
from longshore.engine.returned import AfterCommit, Settling, new_work
from longshore.engine.whole_folders import record_unchanged
from longshore.pipeline import links
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.replies import LookReply, ScanReply
from longshore.pipeline.messages.work import LookWork, PackedWork, encode
from longshore.pipeline.packing import kind_of_batches, pack_folders, unpack_folders

EMPTYING = frozenset({WorkflowAction.MOVE, WorkflowAction.ERASE})
"""Actions after which a source folder may be empty, and then goes."""


def scanned(settling: Settling, reply: ScanReply) -> AfterCommit:
    """A slice of a scan is through."""
    connection, item = settling.connection, settling.item
    if not journal.remove_work(connection, item.id):
        return settling.gone
    reply, freeing = _only_freeable(settling, reply)
    reply, to_compare = _without_unchanged(settling, reply)
    reply = _retargeted(settling, reply)
    settling.decided = _all_records(reply)
    recorder = settling.recorder()
    change = recorder.record(connection, item.id, reply.records)
    recorder.record_unsound(connection, reply.unsound)
    recorder.record_listed(connection, reply.listed)
    settling.count(change, files=reply.found_files, size=reply.found_bytes)
    settling.count(record_unchanged(recorder, connection, item.id, reply.unchanged))
    new = [
        *new_work(WorkKind.SCAN, reply.remaining),
        *_batches(settling, reply),
        *new_work(WorkKind.CHECK, to_compare),
        *new_work(WorkKind.FREE, freeing),
        *new_work(WorkKind.LINKS, reply.links, WorkState.HELD),
        *releases(connection, settling.run.plan, item.id, reply.records),
        *_folders(settling, reply, recorder),
    ]
    return _learning(settling, reply, settling.add(new))


def looked(settling: Settling, reply: LookReply) -> AfterCommit:
    """It is known which folders were missing at original places: their files may go there now."""
    then = settling.replace(reply.remaining)
    if then == settling.gone or reply.remaining is not None:
        return then
    added = settling.add(
        [
            *new_work(WorkKind.COPY, reply.batches),
            *new_work(WorkKind.FOLDERS, pack_folders(reply.missing), WorkState.HELD),
        ]
    )

    def learn() -> None:
        then()
        settling.run.added(added)

    return learn


# ------------------------------------------------------------------------------- the reply


def _only_freeable(settling: Settling, reply: ScanReply) -> tuple[ScanReply, list[PackedWork]]:
    """The reply without batches, where this cleans a cache: what may go waits for the others.

    Beside it the work of taking them in their order, if nobody has added that yet.
    """
    run, floor = settling.run, settling.floor
    if run.plan.action is not WorkflowAction.CACHE_CLEANING:
        return reply, []
    rest_ns = round(floor.config.cache_retention_seconds * 1e9)
    found = cache_cleaning.eligible(
        settling.connection,
        run.plan,
        reply.batches,
        work_id=settling.item.id,
        folder_id=settling.folder_id(),
        archives=cache_cleaning.Archives(floor.database),
        changed_before_ns=floor.time_ns() - rest_ns,
    )
    freeable.put(settling.connection, run.execution_id, found.files)
    left_out_files = sum(b.files for b in reply.batches) - len(found.files)
    left_out_size = sum(b.size for b in reply.batches) - found.size
    is_new = found.files and not run.queues[WorkKind.FREE].count
    return msgspec.structs.replace(
        reply,
        batches=[],
        found_files=reply.found_files - left_out_files,
        found_bytes=reply.found_bytes - left_out_size,
    ), [PackedWork(0, 0, b"")] if is_new else []


def _without_unchanged(settling: Settling, reply: ScanReply) -> tuple[ScanReply, list[PackedWork]]:
    """The reply without what earlier backups hold, where this is an incremental one.

    Beside it the files that have to be read before it is known whether they do.
    """
    if not settling.run.plan.base_executions:
        return reply, []
    changed = incremental.leave_out(
        settling.connection,
        settling.run.plan,
        reply.batches,
        folder_id=settling.folder_id(),
        first_place=len(reply.records),
        finished_ns=settling.floor.time_ns(),
    )
    records = [*reply.records, *changed.unchanged]
    reply = msgspec.structs.replace(reply, batches=changed.batches, records=records)
    return reply, changed.to_compare


def _retargeted(settling: Settling, reply: ScanReply) -> ScanReply:
    """The reply with what the catalogue knows of the copies, where some may be read."""
    connection, plan = settling.connection, settling.run.plan
    if not restoring.comes_back(plan):
        return reply
    result = retargeting.Retargeted()
    if plan.action is WorkflowAction.RESTORE:
        now_ns = settling.floor.time_ns()
        result = retargeting.retarget(connection, plan, reply, finished_ns=now_ns)
    else:
        result.batches = restoring.remember(connection, plan, reply.batches)
        result.records = reply.records
    found = unpack_folders(reply.folders)
    folders = restoring.with_folders(connection, plan, found, result.origins)
    return msgspec.structs.replace(
        reply,
        batches=result.batches,
        records=result.records,
        folders=pack_folders(folders),
        links=[*reply.links, *map(links.pack, sorted(result.linked))],
        found_files=reply.found_files - result.passed_files,
        found_bytes=reply.found_bytes - result.passed_bytes,
    )


def _all_records(reply: ScanReply) -> list[Record]:
    """The records of a scan, those of unchanged files among them."""
    return [*reply.records, *chain.from_iterable(map(expand, reply.unchanged))]


# ------------------------------------------------------------------------------- work


def _batches(settling: Settling, reply: ScanReply) -> list[NewWork]:
    """What was found, as work. Into original places it waits until somebody has looked there.

    Only who knows which folders were missing before the first file went there can tell, after
    any crash, which of them are ours to give their metadata to.
    """
    plan = settling.run.plan
    if not (plan.original_place and reply.folders):
        return new_work(kind_of_batches(plan), reply.batches)
    look = LookWork(unpack_folders(reply.folders), reply.batches)
    files = sum(each.files for each in reply.batches)
    size = sum(each.size for each in reply.batches)
    return new_work(WorkKind.LOOK, [PackedWork(files, size, encode(look))])


def _folders(settling: Settling, reply: ScanReply, recorder: Recorder) -> list[NewWork]:
    """What is to be done with the folders in the end; those that go nowhere are put on record."""
    plan, new = settling.run.plan, list[NewWork]()
    if plan.original_place:
        pass  # those that are missing follow, once they were looked for
    elif plan.destinations:
        new += new_work(WorkKind.FOLDERS, reply.folders, WorkState.HELD)
    else:
        recorder.record_folders(settling.connection, unpack_folders(reply.folders))
    if plan.action in EMPTYING and not plan.soft_erase:
        new += new_work(WorkKind.PRUNE, reply.folders, WorkState.HELD)
    return new


def _learning(settling: Settling, reply: ScanReply, added: list[WorkItem]) -> AfterCommit:
    run, completion = settling.run, settling.returned.completion
    rest = next((item for item in added if item.kind == WorkKind.SCAN), None)

    def learn() -> None:
        run.removed(settling.item)
        run.added(added)
        if rest is not None and isinstance(completion, Completion):
            # It may be the rest of a folder that this mover keeps open.
            run.movers[rest.id] = completion.mover
            if reply.inside:
                run.followed[rest.id] = 1
        if rest is not None and reply.retry_after_seconds:
            run.not_before[rest.id] = settling.floor.monotonic() + reply.retry_after_seconds

    return learn
