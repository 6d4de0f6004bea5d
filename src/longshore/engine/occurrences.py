"""What the database keeps of a schedule: read and written as the rules want it."""

from __future__ import annotations

from sqlalchemy import Connection

from longshore.database import rows, schedules
from longshore.database.schedules import TaskSchedule
from longshore.database.tables.tasks import task_schedules
from longshore.domain.schedule import ScheduleState, after_success


def note_success(connection: Connection, task_id: int) -> None:
    """A run of the task has ended well: what it missed before is made up for."""
    schedule = schedules.of_task(connection, task_id)
    if schedule is not None and schedule.missed_count:
        write(connection, schedule, after_success(state_of(schedule)))


def state_of(schedule: TaskSchedule) -> ScheduleState:
    """The row as the rules know it."""
    return ScheduleState(
        next=schedule.next,
        done=schedule.done,
        missed_count=schedule.missed_count,
        missed_first=schedule.missed_first,
        missed_last=schedule.missed_last,
        skipped_count=schedule.skipped_count,
    )


def write(connection: Connection, schedule: TaskSchedule, state: ScheduleState) -> None:
    """Keep the new state."""
    values = {name: getattr(state, name) for name in ScheduleState.__slots__}
    rows.change(connection, task_schedules, schedule.id, values)
