"""Starting, holding and ending executions: every change of a status happens here."""

from __future__ import annotations

from longshore.database import files_in_hand, freeable, journal, runs
from longshore.database.connection import reading
from longshore.database.journal import Counters, WorkState
from longshore.domain.execution import (
    ACTIVE,
    IDLE,
    Event,
    TaskStatus,
    after,
    final_event,
    progress_percent,
)
from longshore.domain.task import WorkflowAction
from longshore.engine import cache_cleaning, file_lists
from longshore.engine.beginning import first_work
from longshore.engine.floor import Floor
from longshore.engine.hooking import tell_end
from longshore.engine.occurrences import note_success
from longshore.engine.run import Run, Wish
from longshore.observability import logger
from longshore.pipeline.messages.plan import WorkKind, decode_plan, was_to_read_back

MIRROR_SECONDS = 0.5  # how often a running execution's progress is written to its task

_log = logger("controller")


def load(floor: Floor, execution_id: int, *, recovered: bool) -> Run:
    """The run of an execution as the database has it."""
    with floor.state() as connection:
        row = runs.execution(connection, execution_id)
    assert row is not None
    run = Run(
        execution_id=row.id,
        task_id=row.task_id,
        priority=row.priority,
        status=TaskStatus(row.status),
        plan=decode_plan(row.plan),
        plan_bytes=bytes(row.plan),
        active_since=floor.monotonic(),
        active_seconds=row.active_seconds,
        recovered=recovered,
    )
    with floor.journal() as connection:
        count_work(run, journal.work_counts(connection, execution_id))
    return run


def count_work(run: Run, counts: dict[tuple[int, WorkState], int]) -> None:
    """Make the run's numbers those of the journal."""
    for kind in WorkKind:
        run.queues[kind].count = counts.get((kind, WorkState.READY), 0)
    run.held = {
        WorkKind(kind): number
        for (kind, state), number in counts.items()
        if state is WorkState.HELD
    }


def start(floor: Floor, execution_id: int) -> None:
    """A slot is free: take the execution out of the queue."""
    run = load(floor, execution_id, recovered=True)
    with floor.journal() as connection:
        # Counters without work are an execution that has finished, so both come at once.
        new = journal.start_counting(connection, execution_id)
        added = journal.add_work(connection, execution_id, first_work(run.plan)) if new else []
    run.recovered = not new
    run.added(added)
    floor.runs[execution_id] = run  # `advance` admits it, as often as the database wants


def hold_back_callbacks(floor: Floor, run: Run) -> None:
    """Stop a run that would go on with callbacks which this machine cannot hold any more."""
    report = floor.callbacks_test.result()
    refused = [report.refusal(callback.script) for callback in run.plan.callbacks]
    reason = next(filter(None, refused), None)
    if reason is not None and run.wish is Wish.GO_ON:
        run.wish, run.reason = Wish.SUSPEND, reason


def hold_back_unverified(floor: Floor, run: Run) -> None:
    """Stop a move of which an older version has copied files that it did not read back.

    Their sources are not to go. The next run finds them at the destination, and compares them.
    """
    is_sound = run.plan.action is not WorkflowAction.MOVE or was_to_read_back(run.plan_bytes)
    if run.wish is Wish.GO_ON and not is_sound and _counters(floor, run).processed_files:
        run.wish = Wish.SUSPEND
        run.reason = (
            "an older version has begun this move without reading its copies back: "
            "run it anew, which compares what lies at the destination"
        )


def advance(floor: Floor, run: Run) -> None:
    """Take the run as far as it can go without a mover."""
    if run.wish is not Wish.GO_ON:
        if not run.under_way:
            _fulfil(floor, run)
        return
    if run.status is TaskStatus.IN_QUEUE:
        change_status(floor, run, Event.ADMIT)
    if run.status is TaskStatus.CALCULATING and _has_begun(floor, run):
        change_status(floor, run, Event.BEGIN)
    file_lists.advance(floor, run)
    cache_cleaning.advance(floor, run)
    phase = run.next_phase()
    if phase is not None:
        with floor.journal() as connection:
            journal.release_held(connection, run.execution_id, phase)
            counts = journal.work_counts(connection, run.execution_id)
        count_work(run, counts)
    if run.is_finished():
        _finish(floor, run)
    elif run.lost_since is not None and _is_lost_for_good(floor, run):
        run.wish, run.ending = Wish.SUSPEND, Event.LOSE_STORAGE


def show_progress(floor: Floor, run: Run) -> None:
    """Write the run's counters to its execution and task, not too often."""
    now = floor.monotonic()
    if run.changed and now - run.mirrored_at >= MIRROR_SECONDS:
        run.mirrored_at, run.changed = now, False
        _write_progress(floor, run, run.status)


def change_status(floor: Floor, run: Run, event: Event, *, reason: str | None = None) -> None:
    """Apply an event of the state machine and write the result."""
    status = after(run.status, event)
    if status not in ACTIVE and run.status in ACTIVE:
        run.active_seconds += floor.monotonic() - run.active_since
    run.active_since = floor.monotonic()
    _write_progress(floor, run, status)
    with floor.state() as connection:
        runs.set_status(
            connection,
            run.execution_id,
            status,
            now=floor.now(),
            reason=reason,
            finished=status in IDLE,
        )
        if reason:
            runs.append_log(
                connection, run.execution_id, [reason], level="warning", now=floor.now()
            )
        if status is TaskStatus.DONE:
            # Together with the status: a task that is done and to be deleted is never seen.
            runs.remove_one_shot(connection, run.task_id, run.execution_id)
    _log.info("status", task=run.task_id, execution=run.execution_id, status=status.value)
    run.status = status
    if status in IDLE:
        tell_end(floor.hooks, run.task_id, run.execution_id, status.value, reason)


def finish_job(floor: Floor, run: Run, *, reason: str | None = None) -> None:
    """Answer the request that the run was asked to fulfil, if there was one."""
    if run.job_id is not None:
        with floor.state() as connection:
            runs.finish_job(connection, run.job_id, run.task_id, reason=reason)
        run.job_id = None


def interrupt(floor: Floor) -> None:
    """The controller ends: what runs goes back to the queue, for the next start."""
    for run in floor.runs.values():
        if run.status in ACTIVE:
            change_status(floor, run, Event.INTERRUPT)


# ------------------------------------------------------------------------------- inside


def _has_begun(floor: Floor, run: Run) -> bool:
    return bool(run.queues[WorkKind.COPY].count or _counters(floor, run).processed_files)


def _is_lost_for_good(floor: Floor, run: Run) -> bool:
    assert run.lost_since is not None
    return floor.monotonic() - run.lost_since >= floor.config.storage_retry_seconds


def _fulfil(floor: Floor, run: Run) -> None:
    """Nothing is under way any more: pause, stop or suspend the run, as was wished."""
    if run.wish is Wish.PAUSE:
        if run.status is not TaskStatus.PAUSED:
            change_status(floor, run, Event.PAUSE)
        _leave(floor, run)
    elif run.wish is Wish.SUSPEND:
        if run.status not in IDLE:
            change_status(floor, run, Event.LOSE_STORAGE, reason=run.reason)
        _leave(floor, run)
    elif not run.cleaning:
        # The end goes on record before any work is thrown away. The other way round, a crash
        # between the two would leave a journal without work: an execution that is done.
        if run.status not in IDLE:
            change_status(floor, run, run.ending or Event.STOP, reason=run.reason)
        begin_cleaning(floor, run)
    elif not run.unfinished():
        _leave(floor, run)


def begin_cleaning(floor: Floor, run: Run) -> None:
    """Turn begun batches into the removal of what they have staged; forget all other work."""
    with floor.journal() as connection:
        if not run.recovered:
            journal.remove_work_but(connection, run.execution_id, WorkKind.COPY, run.begun)
        staging = (WorkKind.COPY, WorkKind.FINISH)
        others = set(WorkKind) - {*staging, WorkKind.CLEAN, WorkKind.LINKS}
        journal.remove_all_work(connection, run.execution_id, others)
        freeable.forget(connection, run.execution_id)
        for kind in staging:
            journal.change_kind(connection, run.execution_id, kind, WorkKind.CLEAN)
        journal.release_held(connection, run.execution_id, WorkKind.LINKS)
        files_in_hand.forget(connection, run.execution_id)
        counts = journal.work_counts(connection, run.execution_id)
    for queue in run.queues.values():
        queue.items.clear()
    run.not_before.clear()
    run.retry_at = 0.0
    count_work(run, counts)
    run.cleaning = True


def _finish(floor: Floor, run: Run) -> None:
    with floor.journal() as connection:
        left = journal.work_counts(connection, run.execution_id)
        if not left and run.plan.action is WorkflowAction.RESTORE:
            files_in_hand.forget(connection, run.execution_id)
    if left:
        # The answer to a commit got lost, and with it what the run should have learned of it.
        count_work(run, left)
        return
    sums = _counters(floor, run)
    imperfect = sums.failed_files + sums.warnings
    event = final_event(processed_files=sums.processed_files, failed_files=imperfect)
    reason = _imperfection(sums)
    change_status(floor, run, event, reason=reason)
    if event is not Event.FINISH_ERROR:
        with floor.state() as connection:
            note_success(connection, run.task_id)
    _leave(floor, run)


def _imperfection(sums: Counters) -> str | None:
    parts = []
    if sums.failed_files:
        parts.append(f"{sums.failed_files} files failed")
    if sums.warnings:
        parts.append(f"{sums.warnings} sources were changed meanwhile and stay")
    return ", ".join(parts) or None


def _leave(floor: Floor, run: Run) -> None:
    finish_job(floor, run)
    floor.runs.pop(run.execution_id, None)


def _counters(floor: Floor, run: Run) -> Counters:
    with reading(floor.database.journal) as connection:
        return journal.read_counters(connection, run.execution_id) or Counters()


def _write_progress(floor: Floor, run: Run, status: TaskStatus) -> None:
    sums = _counters(floor, run)
    seconds = run.active_seconds
    if run.status in ACTIVE:
        seconds += floor.monotonic() - run.active_since
    bandwidth = round(sums.processed_size / seconds) if seconds > 0 else None
    if run.measured_seconds:
        bandwidth = round(run.measured_size / run.measured_seconds)
    left = sums.to_process_size - sums.processed_size
    progress = progress_percent(
        status,
        processed_size=sums.processed_size,
        to_process_size=sums.to_process_size,
        processed_files=sums.processed_files,
        to_process_files=sums.to_process_files,
    )
    with floor.state() as connection:
        runs.set_progress(
            connection,
            run.execution_id,
            sums,
            progress=progress,
            bandwidth=bandwidth,
            estimation_time=round(left / bandwidth) if bandwidth else None,
            active_seconds=seconds,
        )
