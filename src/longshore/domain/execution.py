"""Executions of tasks: statuses, the events that change them, and nothing else that may.

                      run              admit               begin
    idle statuses ────────> in_queue ────────> calculating ────────> in_progress
         ^                   │   ^  ^               │                     │
         │   stop            │   │  └── interrupt ──┴─────────────────────┤
         └── finish, fail ───┘   └── resume ── paused <────── pause ──────┘

"Idle" are the statuses without anything to do: not_activated, done, finished_with_warnings,
error, stopped_by_user and stopped_by_system. Source: semantics, section 6.
"""

from __future__ import annotations

from enum import StrEnum

from longshore.domain.errors import LongshoreError


class TaskStatus(StrEnum):
    """The status of a task, and of each of its executions."""

    NOT_ACTIVATED = "not_activated"
    DONE = "done"
    IN_PROGRESS = "in_progress"
    ERROR = "error"
    PAUSED = "paused"
    STOPPED_BY_SYSTEM = "stopped_by_system"
    IN_QUEUE = "in_queue"
    FINISHED_WITH_WARNINGS = "finished_with_warnings"
    CALCULATING = "calculating"
    STOPPED_BY_USER = "stopped_by_user"


class TaskAction(StrEnum):
    """What a client may ask of a task; `noop` when nothing is being carried out."""

    NOOP = "noop"
    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    RESUME = "resume"


class JobStatus(StrEnum):
    """How far a request for an action has come. The last two are final."""

    QUEUED = "queued"
    WORKING = "working"
    COMPLETED = "completed"
    FAILED = "failed"


class Event(StrEnum):
    """What may happen to an execution."""

    RUN = "run"
    ADMIT = "admit"  # a slot is free
    BEGIN = "begin"  # the first batch is ready
    FINISH_DONE = "finish_done"
    FINISH_WITH_WARNINGS = "finish_with_warnings"
    FINISH_ERROR = "finish_error"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    LOSE_STORAGE = "lose_storage"  # gone or full beyond the retry window
    INTERRUPT = "interrupt"  # shut down or crashed: goes on at the next start


class IllegalTransition(LongshoreError):
    """An event that the present status does not allow; nothing has changed."""

    def __init__(self, status: TaskStatus, event: Event) -> None:
        super().__init__(f"a task that is {status.value} cannot {event.value.replace('_', ' ')}")
        self.status = status
        self.event = event


IDLE = frozenset(
    {
        TaskStatus.NOT_ACTIVATED,
        TaskStatus.DONE,
        TaskStatus.FINISHED_WITH_WARNINGS,
        TaskStatus.ERROR,
        TaskStatus.STOPPED_BY_USER,
        TaskStatus.STOPPED_BY_SYSTEM,
    }
)
ACTIVE = frozenset({TaskStatus.CALCULATING, TaskStatus.IN_PROGRESS})
RUNNING = ACTIVE | {TaskStatus.IN_QUEUE, TaskStatus.PAUSED}
"""Statuses with an execution that is not over."""

_FINISHES = {
    Event.FINISH_DONE: TaskStatus.DONE,
    Event.FINISH_WITH_WARNINGS: TaskStatus.FINISHED_WITH_WARNINGS,
    Event.FINISH_ERROR: TaskStatus.ERROR,
    Event.LOSE_STORAGE: TaskStatus.STOPPED_BY_SYSTEM,
}

ALLOWED_TRANSITIONS: dict[TaskStatus, dict[Event, TaskStatus]] = {
    **{status: {Event.RUN: TaskStatus.IN_QUEUE} for status in IDLE},
    TaskStatus.STOPPED_BY_SYSTEM: {
        Event.RUN: TaskStatus.IN_QUEUE,
        Event.RESUME: TaskStatus.IN_QUEUE,
    },
    TaskStatus.IN_QUEUE: {
        Event.ADMIT: TaskStatus.CALCULATING,
        Event.PAUSE: TaskStatus.PAUSED,
        Event.STOP: TaskStatus.STOPPED_BY_USER,
        Event.INTERRUPT: TaskStatus.IN_QUEUE,
        Event.FINISH_ERROR: TaskStatus.ERROR,
        Event.LOSE_STORAGE: TaskStatus.STOPPED_BY_SYSTEM,
    },
    TaskStatus.CALCULATING: {
        Event.BEGIN: TaskStatus.IN_PROGRESS,
        Event.PAUSE: TaskStatus.PAUSED,
        Event.STOP: TaskStatus.STOPPED_BY_USER,
        Event.INTERRUPT: TaskStatus.IN_QUEUE,
        **_FINISHES,
    },
    TaskStatus.IN_PROGRESS: {
        Event.PAUSE: TaskStatus.PAUSED,
        Event.STOP: TaskStatus.STOPPED_BY_USER,
        Event.INTERRUPT: TaskStatus.IN_QUEUE,
        **_FINISHES,
    },
    TaskStatus.PAUSED: {
        Event.RESUME: TaskStatus.IN_QUEUE,
        Event.STOP: TaskStatus.STOPPED_BY_USER,
        Event.INTERRUPT: TaskStatus.PAUSED,
    },
}


def after(status: TaskStatus, event: Event) -> TaskStatus:
    """The status that follows. Raises IllegalTransition."""
    try:
        return ALLOWED_TRANSITIONS[status][event]
    except KeyError:
        raise IllegalTransition(status, event) from None


def final_event(*, processed_files: int, failed_files: int) -> Event:
    """How an execution ends whose work is all done (semantics, section 6)."""
    if not failed_files:
        return Event.FINISH_DONE
    return Event.FINISH_WITH_WARNINGS if processed_files else Event.FINISH_ERROR


def progress_percent(
    status: TaskStatus,
    *,
    processed_size: int,
    to_process_size: int,
    processed_files: int,
    to_process_files: int,
) -> int:
    """0 to 100 of what is found so far: by bytes, by files where there are none; 100 at `done`."""
    if status is TaskStatus.DONE:
        return 100
    done, total = (
        (processed_size, to_process_size)
        if to_process_size
        else (processed_files, to_process_files)
    )
    return min(100, 100 * done // total) if total else 0
