"""Starting tasks when their schedules say so."""

from __future__ import annotations

from longshore.database import runs, schedules
from longshore.database.schedules import TaskSchedule
from longshore.domain.execution import RUNNING, TaskStatus
from longshore.domain.recurrence_rule import InvalidRule
from longshore.domain.schedule import Decision, Situation, decide, parse_schedule
from longshore.engine import actions
from longshore.engine.ends import CannotStart
from longshore.engine.floor import Floor
from longshore.engine.occurrences import state_of, write
from longshore.observability import logger

_log = logger("scheduler")


def run_due(floor: Floor) -> None:
    """Look at every schedule whose time has come; start tasks, count what was missed."""
    now = floor.now()
    with floor.state() as connection:
        due = schedules.pending(connection, now)
    for schedule in due:
        _look_at(floor, schedule, now)


def _look_at(floor: Floor, schedule: TaskSchedule, now: int) -> None:
    with floor.state() as connection:
        task = runs.task(connection, schedule.task_id)
        if task is None:
            return
        decision = _decide(schedule, task, now)
        if decision.state != state_of(schedule):
            write(connection, schedule, decision.state)
        if not decision.run:
            return
        try:
            left = actions.start(floor, connection, task)
        except CannotStart as refusal:
            _log.warning("a scheduled task cannot start", task=task.id, reason=str(refusal))
            return
    _log.info("scheduled", task=task.id)
    if left is not None:
        actions.abandon(floor, left)


def _decide(schedule: TaskSchedule, task: runs.TaskRow, now: int) -> Decision:
    situation = Situation(
        now=now,
        activated=task.activate == 1,
        running=TaskStatus(task.status) in RUNNING,
        last_end=task.job_finished,
    )
    try:
        rule = parse_schedule(schedule.rrule, schedule.creation_date)
    except InvalidRule as error:  # accepted by an earlier version
        _log.warning("a schedule cannot be read", task=task.id, reason=str(error))
        return Decision(False, state_of(schedule))
    return decide(rule, state_of(schedule), situation)
