"""Writing down why executions wait, so that the api can explain it.

What is seen once every half second is written if it is not what was written last: the cost depends
on how often the picture changes, and on the number of runs, never on the length of the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection

from longshore.database import waits
from longshore.database.connection import reading
from longshore.database.storage_names import name_of
from longshore.domain.storage import StorageReference
from longshore.domain.waiting import (
    Reason,
    ReasonCode,
    concerning,
    moment,
    rate,
)
from longshore.engine.bandwidth import Limited
from longshore.engine.executors import Executor
from longshore.engine.floor import Floor
from longshore.engine.limits import Limits
from longshore.engine.run import Run, Wish

LOOK_SECONDS = 0.5  # between two looks; what is over sooner was not worth explaining


@dataclass(slots=True)
class Waiting:
    """Sees the runs from outside, after the free movers have got their orders."""

    floor: Floor
    limits: Limits
    executor: Executor
    queue: Reason | None = None  # why nothing more is taken out of the queue
    _written: dict[int, list[Reason]] = field(default_factory=dict)
    _looked_at: float = float("-inf")

    def note(self) -> None:
        """Write what has changed, not too often."""
        now = self.floor.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        if not (self.floor.runs or self.queue or self._written):
            return  # as on most looks of a server that has nothing to do
        with reading(self.floor.database.state) as connection:
            seen = self._seen(connection)
        changed = {
            execution_id: seen.get(execution_id, [])
            for execution_id in seen.keys() | self._written.keys()
            if seen.get(execution_id) != self._written.get(execution_id)
        }
        if changed:
            with self.floor.state() as connection:
                for execution_id, reasons in changed.items():
                    waits.put(connection, execution_id, reasons)
        self._written = seen

    def _seen(self, connection: Connection) -> dict[int, list[Reason]]:
        seen = {
            run.execution_id: list(self._reasons(connection, run))
            for run in self.floor.runs.values()
            if run.wish is Wish.GO_ON
        }
        seen[waits.QUEUE] = [self.queue] if self.queue is not None else []
        return {execution_id: reasons for execution_id, reasons in seen.items() if reasons}

    def _reasons(self, connection: Connection, run: Run) -> Iterator[Reason]:
        if run.lost_since is not None:
            yield self._lost(run)
        elif run.unfinished() and not run.under_way:
            full = self.limits.full_storages(run)
            for storage in full:
                yield self._slots_taken(connection, storage)
            if not full and not self.executor.free():
                yield self._movers_busy()
        for limited, limit in self.limits.in_force(run).items():
            yield self._bandwidth_limit(connection, limited, limit)

    # ------------------------------------------------------------------ one reason each

    def _lost(self, run: Run) -> Reason:
        assert run.lost_since is not None
        since = moment(self._wall(run.lost_since))
        retry_at = moment(self._wall(run.retry_at))
        ends_at = moment(self._wall(run.lost_since + self.floor.config.storage_retry_seconds))
        return Reason(
            ReasonCode.STORAGE_LOST,
            f"a storage is gone or full since {since} ({run.reason}); it is tried again at "
            f"{retry_at}, and the task stops at {ends_at} if that does not help",
            {"error": run.reason, "since": since, "retry_at": retry_at, "ends_at": ends_at},
        )

    def _wall(self, monotonic: float) -> float:
        return self.floor.clock() + monotonic - self.floor.monotonic()

    def _slots_taken(self, connection: Connection, storage: StorageReference) -> Reason:
        shown = _shown(connection, storage)
        slots, users = self.limits.slots_of(storage), self.limits.users_of(storage)
        ids = sorted({run.task_id for run in users})
        return Reason(
            ReasonCode.SLOTS_TAKEN,
            f"all {slots} slots of storage {shown['name']} are taken"
            if slots > 1
            else f"the only slot of storage {shown['name']} is taken",
            {"storage": shown, "slots": slots, **concerning(ids)},
        )

    def _movers_busy(self) -> Reason:
        ids = sorted({run.task_id for run in self.floor.runs.values() if run.under_way})
        return Reason(ReasonCode.MOVERS_BUSY, "all movers are at work", concerning(ids))

    def _bandwidth_limit(self, connection: Connection, limited: Limited, limit: float) -> Reason:
        data: dict[str, object] = {"bytes_per_second": int(limit)}
        if isinstance(limited, StorageReference):
            shown = _shown(connection, limited)
            of, data = f"storage {shown['name']}", {"limit_of": "storage", "storage": shown, **data}
        elif limited is None:
            of, data = "the whole server", {"limit_of": "server", **data}
        else:
            of, data = "the task", {"limit_of": "task", **data}
        return Reason(
            ReasonCode.BANDWIDTH_LIMIT, f"the bandwidth of {of} is limited to {rate(limit)}", data
        )


def _shown(connection: Connection, storage: StorageReference) -> dict[str, object]:
    return {
        "kind": storage.kind.name.lower(),
        "id": storage.id,
        "name": name_of(connection, storage),
    }
