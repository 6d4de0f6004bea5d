"""Giving work to free movers: which run comes next, and which of its items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from longshore.database import journal
from longshore.database.journal import WorkItem
from longshore.domain.storage import StorageReference
from longshore.engine.bandwidth import Limited, Shares
from longshore.engine.credentials import Credentials
from longshore.engine.executors import Completion, DiedBefore, Executor, MoverDied
from longshore.engine.floor import Floor
from longshore.engine.limits import LIMITED_KINDS, Limits, rates_of
from longshore.engine.returned import Returned
from longshore.engine.run import ITEMS_IN_MEMORY, May, Run
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.replies import CopyReply, FileReply, Owed, PartReply
from longshore.pipeline.packing import kind_of_batches

FOREVER = 3600.0  # seconds; nothing is due before something else happens

QUEUED_KINDS = frozenset({WorkKind.COPY, WorkKind.SCAN})
"""Kinds of which there are many short orders, so that movers get them one behind the other."""


@dataclass(slots=True)
class Dispatcher:
    """Hands out work and collects what comes back in `returned`, setting `called` each time."""

    floor: Floor
    executor: Executor
    called: asyncio.Event
    returned: list[Returned] = field(default_factory=list)
    limits: Limits = field(init=False)
    credentials: Credentials = field(init=False)

    def __post_init__(self) -> None:
        self.limits = Limits(self.floor)
        self.credentials = Credentials(self.floor)

    def dispatch(self) -> None:
        """Give every free mover something to do, as far as there is work and no limit is met."""
        self.limits.refresh()
        self._dispatch_to_free()
        self._dispatch_behind()

    def _dispatch_to_free(self) -> None:
        idle: set[int] = set()  # runs that have nothing for now
        while self.executor.free():
            candidates = [run for run in self._in_turn() if run.execution_id not in idle]
            if not candidates:
                return
            full = self.limits.full_storages(candidates[0])
            item = None if full else self._next_item(candidates[0])
            if item is None:
                idle.add(candidates[0].execution_id)
            else:
                self._submit(candidates[0], item)

    def seconds_to_next(self) -> float:
        """Until an item or a lost storage may be tried again, or used bandwidth is paid for."""
        now = self.floor.monotonic()
        paid_at = self.limits.bandwidth.next_payment(now)
        moments = [
            moment
            for run in self.floor.runs.values()
            for moment in (run.retry_at, *run.not_before.values())
            if moment > now
        ]
        if paid_at is not None:
            moments.append(paid_at)
        return min(moments) - now if moments else FOREVER

    def forget_unanswered(self) -> None:
        """The movers were ended on purpose: that was no death of theirs."""
        self.returned = [each for each in self.returned if isinstance(each.completion, Completion)]

    # ------------------------------------------------------------------ a second order

    def _dispatch_behind(self) -> None:
        """Give movers a second order of the run they work for: they go on while we record.

        So the second one takes over the first one's slots.
        """
        movers = self.executor.with_one_order()
        while movers and self._queue_one(movers):
            pass

    def _queue_one(self, movers: dict[int, int]) -> bool:
        """Put one order behind another, and take its mover out; False when none may be."""
        now = self.floor.monotonic()
        runs = [run for run in self.floor.runs.values() if run.is_waiting(now)]
        awaited: set[StorageReference] = set()
        for run in sorted(runs, key=_turn):
            if not awaited & self.limits.storages(run):
                for mover in self._movers_for_queue(run, movers):
                    item = self._item_behind(run, mover)
                    if item is not None:
                        self._submit_behind(run, item, mover, movers.pop(mover))
                        return True
            if self._wants_a_mover(run):
                return False  # the next that becomes free is for this one
            awaited.update(self.limits.full_storages(run))  # so is the next slot
        return False

    def _movers_for_queue(self, run: Run, movers: dict[int, int]) -> list[int]:
        """The movers that work for the run, if its next order may lie there already."""
        if not run.may_queue(self.floor.monotonic()) or self.limits.has_too_many_orders(run):
            return []
        if self.limits.in_force(run):
            return []  # an order behind another would keep its share of the bandwidth idle
        return [mover for mover, work_id in movers.items() if work_id in run.under_way]

    def _submit_behind(self, run: Run, item: WorkItem, mover: int, present: int) -> None:
        order = self._order(run, item, {})
        run.dispatched(item, behind=present)
        future = self.executor.submit_behind(order, mover)
        future.add_done_callback(partial(self._take_back, run, item))

    def _wants_a_mover(self, run: Run) -> bool:
        is_full = self.limits.full_storages(run) or self._shares(run) is None
        return run.wants_to_dispatch(self.floor.monotonic()) and not is_full

    def _item_behind(self, run: Run, mover: int) -> WorkItem | None:
        now = self.floor.monotonic()
        for kind in run.next_kinds(self._movers(run)):
            if not run.ready(kind):
                continue
            if kind not in QUEUED_KINDS:
                return None
            item = self._take(run, kind, now, lambda item: run.mover_wanted(item) in (None, mover))
            if item is not None:
                return item
        return None

    # ------------------------------------------------------------------ inside

    def _in_turn(self) -> list[Run]:
        now = self.floor.monotonic()
        ready = [run for run in self.floor.runs.values() if run.wants_to_dispatch(now)]
        return sorted(ready, key=_turn)

    def _next_item(self, run: Run) -> WorkItem | None:
        now = self.floor.monotonic()
        for kind in run.next_kinds(self._movers(run)):
            if kind is WorkKind.PRUNE and run.under_way:
                continue  # one after the other, so that a folder comes after those inside it
            if kind in LIMITED_KINDS and self._shares(run) is None:
                continue  # all of some bandwidth limit is given away
            item = self._take(run, kind, now, self._may(run))
            if item is not None:
                return item
        return None

    def _movers(self, run: Run) -> int:
        return self.executor.free() + run.at_work

    def _take(self, run: Run, kind: WorkKind, now: float, may: May) -> WorkItem | None:
        return run.take(kind, now, may) or self._from_journal(run, kind, now, may)

    def _from_journal(self, run: Run, kind: WorkKind, now: float, may: May) -> WorkItem | None:
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
                by_key=run.is_ordered and kind is kind_of_batches(run.plan),
            )
        queue.items.extend(items)
        return run.take(kind, now, may)

    def _may(self, run: Run) -> May:
        """An item whose mover remembers how far it is waits for that mover, which a slice ends."""
        return lambda item: not (run.is_bound(item) and self._is_busy(run.movers.get(item.id)))

    def _is_busy(self, mover: int | None) -> bool:
        return mover is not None and self.executor.is_busy(mover)

    def _shares(self, run: Run) -> Shares | None:
        return self.limits.shares(run, self.executor.free())

    def _submit(self, run: Run, item: WorkItem) -> None:
        shares = (self._shares(run) if item.kind in LIMITED_KINDS else None) or {}
        order = self._order(run, item, shares)
        self.limits.bandwidth.give(item.id, shares)
        run.dispatched(item)
        future = self.executor.submit(order, prefer=run.mover_wanted(item))
        future.add_done_callback(partial(self._take_back, run, item))

    def _order(self, run: Run, item: WorkItem, shares: Shares) -> WorkOrder:
        return WorkOrder(
            work_id=item.id,
            kind=WorkKind(item.kind),
            plan=run.plan_bytes,
            payload=item.payload,
            fresh=run.is_fresh(item),
            rates=rates_of(shares),
            credentials=self.credentials.of(run.plan),
        )

    def _take_back(self, run: Run, item: WorkItem, done: asyncio.Future[Completion]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None and not isinstance(error, MoverDied | DiedBefore):
            raise error
        completion = error if error is not None else done.result()
        run.replied(item.id)
        self.limits.bandwidth.take_back(item.id, _owed(completion), self.floor.monotonic())
        self.returned.append(Returned(run, item, completion))
        self.called.set()


def _turn(run: Run) -> tuple[int, int, int]:
    """Highest priority first; among equals the run with the least under way, then the oldest."""
    return (-run.priority, len(run.under_way), run.execution_id)


def _owed(completion: Completion | MoverDied | DiedBefore) -> Callable[[Limited], float]:
    """The bytes that the order has moved beyond its share of a limit."""
    owed: Owed | None = None
    if isinstance(completion, Completion) and isinstance(
        completion.reply, CopyReply | FileReply | PartReply
    ):
        owed = completion.reply.owed
    if owed is None:
        return lambda _: 0.0
    by_storage = {each.storage: each.bytes for each in owed.storages}

    def of(limited: Limited) -> float:
        if isinstance(limited, StorageReference):
            return by_storage.get(limited, 0.0)
        return owed.read

    return of
