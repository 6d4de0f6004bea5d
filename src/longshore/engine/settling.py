"""Recording what movers report. All replies at hand go into one transaction.

Memory follows the database: the run learns of the change only after the commit, so that a
rolled-back transaction can simply be repeated. What one reply means is told where its kind is at
home: `scan_settling`, `outcome_settling`, `parts` and `deaths`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import OperationalError

from longshore.database import runs
from longshore.domain.execution import Event
from longshore.engine import outcome_settling, scan_settling
from longshore.engine.deaths import mover_died
from longshore.engine.executors import Completion, DiedBefore, MoverDied
from longshore.engine.floor import Floor
from longshore.engine.hooking import tell_results
from longshore.engine.parts import Parts
from longshore.engine.returned import AfterCommit, Returned, Settling
from longshore.engine.run import Run, Wish
from longshore.observability import logger
from longshore.pipeline.messages.replies import (
    CopyReply,
    FileReply,
    FolderReply,
    LookReply,
    PartReply,
    PruneReply,
    ReleaseReply,
    ScanReply,
    SpeedReply,
)

_log = logger("controller")


def settle(floor: Floor, returned: Sequence[Returned]) -> None:
    """Record everything that came back, in one transaction. Raises LeaseLost."""
    settled: list[tuple[Settling, AfterCommit]] = []
    with floor.journal() as connection:
        for each in returned:
            settling = Settling(floor, connection, each)
            settled.append((settling, _settle(settling)))
    floor.settled += len(returned)
    for _, then in settled:
        then()
    for settling, _ in settled:
        _note(floor, settling.returned)
        _tell_results(floor, settling)


def _settle(settling: Settling) -> AfterCommit:
    """Write what came back; what the run has to learn once that is committed."""
    completion = settling.returned.completion
    if isinstance(completion, MoverDied):
        return mover_died(settling, completion)
    if isinstance(completion, DiedBefore):
        return lambda: settling.run.returned(settling.item)
    reply = completion.reply
    if isinstance(reply, ScanReply):
        return scan_settling.scanned(settling, reply)
    if isinstance(reply, CopyReply):
        if reply.shared is None:
            return outcome_settling.copied(settling, reply)
        return _parts(settling).returned(settling.item, reply) or settling.gone
    if isinstance(reply, PartReply):
        then = _parts(settling).part_returned(settling.item, reply, completion.mover)
        return then or settling.gone
    if isinstance(reply, FileReply):
        return outcome_settling.done_in_place(settling, reply)
    if isinstance(reply, SpeedReply):
        return outcome_settling.measured(settling, reply)
    if isinstance(reply, FolderReply):
        return outcome_settling.settled_folders(settling, reply)
    if isinstance(reply, LookReply):
        return scan_settling.looked(settling, reply)
    if isinstance(reply, ReleaseReply):
        return outcome_settling.released(settling, reply)
    if isinstance(reply, PruneReply):
        return outcome_settling.pruned(settling, reply)
    return outcome_settling.cleaned(settling, reply)


def _parts(settling: Settling) -> Parts:
    return Parts(settling.floor, settling.connection, settling.run)


def _tell_results(floor: Floor, settling: Settling) -> None:
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
