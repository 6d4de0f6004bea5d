"""Taking in that a mover died: the same work again, then ever less of it, until one file fails.

    anything         the same again, until DEATHS_MAXIMUM movers have died on it; and then
    a batch          its halves, counted anew ──> a file that is alone becomes an error
    files to read    a batch of the same files, where that can take their place
    a part           the file it belongs to fails
    anything else    cannot be split: the execution ends, and says why

So no file fails for another one's fault.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from longshore.database import journal
from longshore.database.journal import WorkItem
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.domain.execution import Event
from longshore.engine.executors import MoverDied
from longshore.engine.parts import Parts
from longshore.engine.returned import AfterCommit, Settling, new_work
from longshore.engine.run import Wish
from longshore.pipeline import splitting
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.work import PackedWork

DEATHS_MAXIMUM = 3  # movers that may die on one item before it is split, or its file given up


def mover_died(settling: Settling, death: MoverDied) -> AfterCommit:
    """Give the work out again, or what is left of it without the guilty."""
    item = settling.item
    parts = Parts(settling.floor, settling.connection, settling.run)
    if item.kind == WorkKind.PART:
        return parts.died_on_part(item, str(death), DEATHS_MAXIMUM) or settling.gone
    if item.kind == WorkKind.FINISH:
        then = parts.died_on_file(item, str(death), DEATHS_MAXIMUM)
        return then or _split(settling, replace(item, attempts=DEATHS_MAXIMUM), death)
    item = replace(item, attempts=item.attempts + 1)
    if item.attempts < DEATHS_MAXIMUM:
        kept = journal.replace_work(settling.connection, item)
        return (lambda: settling.run.returned(item)) if kept else settling.gone
    if item.kind == WorkKind.COPY:
        return _split(settling, item, death)
    if item.kind == WorkKind.CHECK and settling.run.plan.base_executions:
        return _copy_unread(settling, item)
    return _give_up_on(settling, item, death)


def _copy_unread(settling: Settling, item: WorkItem) -> AfterCommit:
    """Files whose reading kills movers: among copies the guilty one is found."""
    if not journal.remove_work(settling.connection, item.id):
        return settling.gone
    packed = PackedWork(item.files, item.size, item.payload, item.sort_key or b"")
    added = settling.add(new_work(WorkKind.COPY, [packed]))

    def learn() -> None:
        settling.run.removed(item)
        settling.run.added(added)

    return learn


def _split(settling: Settling, item: WorkItem, death: MoverDied) -> AfterCommit:
    """Isolate the file that kills movers: halve the batch until it is alone."""
    if not journal.remove_work(settling.connection, item.id):
        return settling.gone
    halves = [
        msgspec.structs.replace(half, sort_key=item.sort_key or b"")
        for half in splitting.split(item.payload)
    ]
    new = new_work(WorkKind.COPY, halves)
    if not halves:
        # What the dead movers have written of the file lies there still.
        staged = PackedWork(0, 0, item.payload)
        new = new_work(WorkKind.CLEAN, [staged])
        failure = FileFailure(ErrorKind.MOVER_DIED, Stage.TRANSFER, Side.NONE, str(death))
        record = splitting.failed(item.payload, failure, settling.floor.time_ns(), item.attempts)
        settling.count(settling.recorder().record(settling.connection, item.id, [record]))
    added = settling.add(new)

    def learn() -> None:
        settling.run.removed(item)
        settling.run.added(added)
        settling.run.begun.update(each.id for each in added)

    return learn


def _give_up_on(settling: Settling, item: WorkItem, death: MoverDied) -> AfterCommit:
    """Discovery that kills movers cannot be split further: the execution ends."""
    kept = journal.replace_work(settling.connection, item)
    run = settling.run

    def learn() -> None:
        if kept:
            run.returned(item)
        run.wish, run.ending = Wish.STOP, Event.FINISH_ERROR
        run.reason = f"{item.attempts} movers died on the same work: {death}"

    return learn
