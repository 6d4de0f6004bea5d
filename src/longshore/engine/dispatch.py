"""Giving work to free movers: which run comes next, and which of its items."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from longshore.database import journal
from longshore.database.journal import WorkItem
from longshore.engine.executors import Completion, Executor, MoverDied
from longshore.engine.floor import Floor
from longshore.engine.run import ITEMS_IN_MEMORY, Run
from longshore.engine.settling import Returned
from longshore.pipeline.messages import WorkKind, WorkOrder

FOREVER = 3600.0  # seconds; nothing is due before something else happens


@dataclass(slots=True)
class Dispatcher:
    """Hands out work and collects what comes back in `returned`, setting `called` each time."""

    floor: Floor
    executor: Executor
    called: asyncio.Event
    returned: list[Returned] = field(default_factory=list)

    def dispatch(self) -> None:
        """Give every free mover something to do, as far as there is work."""
        idle: set[int] = set()  # runs that have nothing for now
        while self.executor.free():
            candidates = [run for run in self._in_turn() if run.execution_id not in idle]
            if not candidates:
                return
            item = self._next_item(candidates[0])
            if item is None:
                idle.add(candidates[0].execution_id)
            else:
                self._submit(candidates[0], item)

    def seconds_to_next(self) -> float:
        """Until an item or a lost storage may be tried again."""
        now = self.floor.monotonic()
        moments = [
            moment
            for run in self.floor.runs.values()
            for moment in (run.retry_at, *run.not_before.values())
            if moment > now
        ]
        return min(moments) - now if moments else FOREVER

    def forget_unanswered(self) -> None:
        """The movers were ended on purpose: that was no death of theirs."""
        self.returned = [
            each for each in self.returned if not isinstance(each.completion, MoverDied)
        ]

    # ------------------------------------------------------------------ inside

    def _in_turn(self) -> list[Run]:
        """Highest priority first; inside one the run with the least under way, then the oldest."""
        now = self.floor.monotonic()
        ready = [run for run in self.floor.runs.values() if run.wants_to_dispatch(now)]
        return sorted(ready, key=lambda r: (-r.priority, len(r.under_way), r.execution_id))

    def _next_item(self, run: Run) -> WorkItem | None:
        now = self.floor.monotonic()
        for kind in run.next_kinds(self._movers(run)):
            if kind is WorkKind.PRUNE and run.under_way:
                continue  # one after the other, so that a folder comes after those inside it
            item = run.take(kind, now) or self._from_journal(run, kind, now)
            if item is not None:
                return item
        return None

    def _movers(self, run: Run) -> int:
        return self.executor.free() + len(run.under_way)

    def _from_journal(self, run: Run, kind: WorkKind, now: float) -> WorkItem | None:
        """Load more items into memory, if there are any that are not there yet."""
        queue = run.queues[kind]
        known = [item.id for item in queue.items]
        under_way = [item.id for item in run.under_way.values() if item.kind == kind]
        if queue.count <= len(known) + len(under_way):
            return None
        with self.floor.journal() as connection:
            items = journal.ready_work(
                connection,
                run.execution_id,
                kind,
                limit=ITEMS_IN_MEMORY,
                without=[*known, *under_way],
                newest_first=kind is WorkKind.PRUNE,
            )
        queue.items.extend(items)
        return run.take(kind, now)

    def _submit(self, run: Run, item: WorkItem) -> None:
        order = WorkOrder(
            work_id=item.id,
            kind=WorkKind(item.kind),
            plan=run.plan_bytes,
            payload=item.payload,
            fresh=run.is_fresh(item),
        )
        run.dispatched(item)
        future = self.executor.submit(order, prefer=run.movers.get(item.id))
        future.add_done_callback(lambda done: self._take_back(run, item, done))

    def _take_back(self, run: Run, item: WorkItem, done: asyncio.Future[Completion]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None and not isinstance(error, MoverDied):
            raise error
        completion = error if isinstance(error, MoverDied) else done.result()
        self.returned.append(Returned(run, item, completion))
        self.called.set()
