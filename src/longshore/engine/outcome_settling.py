"""Taking in what movers did: copied, read or removed files, folders with their metadata.

    reply ──> what is left of the item stays in the journal, in its place ──> a mover goes on there
          └─> records, counters, and the work that comes of it

Both are in one transaction: what is on record is not in the journal any more.
"""

from __future__ import annotations

import msgspec

from longshore.database import journal
from longshore.database.journal import Counters
from longshore.engine import incremental
from longshore.engine.releasing import releases
from longshore.engine.returned import AfterCommit, Settling, new_work
from longshore.observability import logger
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.replies import (
    CleanReply,
    CopyReply,
    FileReply,
    FolderReply,
    PruneReply,
    ReleaseReply,
    SpeedReply,
)
from longshore.pipeline.messages.work import PackedWork

_log = logger("controller")


def copied(settling: Settling, reply: CopyReply) -> AfterCommit:
    """A slice of a batch is through, or of a big file that one mover writes alone."""
    run, item = settling.run, settling.item
    then = settling.replace(reply.remaining)
    if then == settling.gone:
        return then
    recorder = settling.recorder()
    change = recorder.record(settling.connection, item.id, reply.records, reply.whole)
    settling.count(change, size=reply.size_change)
    recorder.record_unsound(settling.connection, reply.unsound)
    # They keep the place that their batch had in the order of the task.
    key = item.sort_key or b""
    others = [msgspec.structs.replace(each, sort_key=key) for each in reply.others]
    released = releases(settling.connection, run.plan, item.id, reply.records)
    added = settling.add([*released, *new_work(WorkKind.COPY, others)])

    def learn() -> None:
        then()
        run.added(added)
        run.bytes_copied += reply.bytes_copied
        run.followed.pop(item.id, None)
        if reply.inside:
            run.followed[item.id] = 1
        if reply.lost is None and reply.remaining is not None:
            run.ended_in_order(item.id)
        if reply.remaining is not None and reply.retry_after_seconds:
            run.not_before[item.id] = settling.floor.monotonic() + reply.retry_after_seconds

    return learn


def done_in_place(settling: Settling, reply: FileReply) -> AfterCommit:
    """Files were read or removed where they lie; what has changed since a backup is copied."""
    run, item = settling.run, settling.item
    then = settling.replace(reply.remaining)
    if then == settling.gone:
        return then
    changed = _read(settling, reply)
    settling.decided = changed.unchanged
    settling.count(settling.recorder().record(settling.connection, item.id, changed.unchanged))
    added = settling.add(new_work(WorkKind.COPY, changed.batches))

    def learn() -> None:
        then()
        run.added(added)
        run.followed.pop(item.id, None)
        if reply.inside:
            run.followed[item.id] = 1  # any other mover would begin it anew

    return learn


def _read(settling: Settling, reply: FileReply) -> incremental.Changed:
    """What is through, and what an incremental backup copies now that its content is known."""
    if not settling.run.plan.base_executions:
        return incremental.Changed(unchanged=reply.records)
    return incremental.after_reading(
        settling.connection,
        settling.run.plan,
        settling.item.payload,
        reply.records,
        folder_id=settling.folder_id(),
        sort_key=settling.item.sort_key or b"",
    )


def measured(settling: Settling, reply: SpeedReply) -> AfterCommit:
    """A file of a speed test was written and read, or could not be."""
    run, item = settling.run, settling.item
    if reply.lost is not None:
        return settling.replace(PackedWork(1, item.size, item.payload))
    then = settling.replace(None)
    if then == settling.gone:
        return then
    failed = reply.failure is not None
    change = Counters(
        processed_files=0 if failed else 1,
        processed_size=reply.size,
        finalized_files=0 if failed else 1,
        failed_files=1 if failed else 0,
    )
    settling.count(change, files=1, size=reply.size)

    def learn() -> None:
        then()
        run.measured_size += reply.size
        run.measured_seconds += reply.seconds
        if reply.failure is not None:
            run.reason = reply.failure.text

    return learn


def settled_folders(settling: Settling, reply: FolderReply) -> AfterCommit:
    """Folders have their metadata, or could not get it."""
    then = settling.replace(reply.remaining)
    if then == settling.gone:
        return then
    recorder = settling.recorder()
    recorder.record_folders(settling.connection, reply.done)
    change = recorder.record(settling.connection, settling.item.id, reply.records)
    settling.count(change, files=len(reply.records))
    run, item = settling.run, settling.item

    def learn() -> None:
        then()
        if reply.remaining is not None and reply.retry_after_seconds:
            run.not_before[item.id] = settling.floor.monotonic() + reply.retry_after_seconds

    return learn


def released(settling: Settling, reply: ReleaseReply) -> AfterCommit:
    """Sources of a move were removed, or stay with a warning."""
    then = settling.replace(reply.remaining)
    if then == settling.gone:
        return then
    settling.recorder().record_released(settling.connection, reply.released)
    warnings = Counters(warnings=len(reply.kept))
    journal.count(settling.connection, settling.run.execution_id, warnings)
    return then


def pruned(settling: Settling, reply: PruneReply) -> AfterCommit:
    """Emptied folders of the source were removed."""
    item = settling.item
    if reply.lost is not None:
        return settling.replace(PackedWork(item.files, item.size, item.payload))
    settling.recorder().record_pruned(settling.connection, reply.removed)
    return settling.replace(None)


def cleaned(settling: Settling, reply: CleanReply) -> AfterCommit:
    """Staged files were removed, as far as their storage could be reached."""
    if reply.lost is not None:
        _log.warning(
            "staged files were left behind",
            execution=settling.run.execution_id,
            reason=reply.lost.failure.text,
        )
        if settling.run.cleaning:
            return settling.replace(None)  # the task is to be stopped, storage or not
    return settling.replace(reply.remaining)
