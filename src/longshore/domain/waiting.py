"""Why a task waits, goes slowly or does not start: in words, and as data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

TASKS_NAMED_MAXIMUM = 10  # ids in one reason; the number of all of them stands beside


class ReasonCode(StrEnum):
    """The kinds of reasons; docs/control.md describes them."""

    # It does not run.
    NEVER_RUN = "never_run"
    NOT_ACTIVATED = "not_activated"
    NO_SCHEDULE = "no_schedule"
    SCHEDULED = "scheduled"
    RUN_REFUSED = "run_refused"
    REQUEST_FAILED = "request_failed"
    PAUSED = "paused"
    STOPPED = "stopped"
    ENDED = "ended"
    # Somebody else has to do something first.
    REQUEST_PENDING = "request_pending"
    NO_CONTROLLER = "no_controller"
    TASKS_AHEAD = "tasks_ahead"
    ACTIVE_TASKS_LIMIT = "active_tasks_limit"
    MEMORY_LIMIT = "memory_limit"
    # It runs, but not as fast as it could.
    MOVERS_BUSY = "movers_busy"
    SLOTS_TAKEN = "slots_taken"
    STORAGE_LOST = "storage_lost"
    BANDWIDTH_LIMIT = "bandwidth_limit"


class Reason(msgspec.Struct, frozen=True):
    """One reason: what programs ask for, half a sentence, and the facts in it.

    Tasks that it concerns stand in the data alone: not everybody may see them.
    """

    code: ReasonCode
    text: str
    data: dict[str, Any] = {}


def moment(seconds: float) -> str:
    """Seconds since 1970 as they stand in reasons: `2019-08-05T14:24:15Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()[:19] + "Z"


def concerning(task_ids: Sequence[int], count: int | None = None) -> dict[str, Any]:
    """The data of a reason that has to do with other tasks; `count` if there are more of them."""
    named = list(task_ids[:TASKS_NAMED_MAXIMUM])
    return {"task_ids": named, "task_count": len(task_ids) if count is None else count}


def named_tasks(ids: Sequence[int], count: int) -> str:
    """So many tasks in a sentence: `task 3`, `tasks 3 and 4`, `tasks 1, 2 and 7 more`."""
    shown = [str(each) for each in ids]
    if count > len(shown):
        shown.append(f"{count - len(shown)} more")
    if len(shown) == 1:
        return f"task {shown[0]}"
    return f"tasks {', '.join(shown[:-1])} and {shown[-1]}"


def rate(bytes_per_second: float) -> str:
    """A rate for people: `1.5 MiB/s`."""
    value, unit = float(bytes_per_second), "bytes/s"
    for larger in ("KiB/s", "MiB/s", "GiB/s", "TiB/s"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"
