"""One execution while the controller works on it: what it may dispatch, and what is under way.

The journal is the truth; this is what the controller remembers of it between two looks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from random import Random

from longshore.database.journal import WorkItem, WorkState
from longshore.domain.execution import Event, TaskStatus
from longshore.domain.task import ProcessingOrder, WorkflowAction
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.replies import Lost

BACKLOG_PER_MOVER = 3  # batches for each mover before more is scanned: at work, behind it, ready
QUICK_SECONDS = 0.5  # an order that took no longer; to wait for a second one delays nobody much
ITEMS_IN_MEMORY = 128  # of one kind and execution; payloads are at most a few hundred KB
LOST_RETRY_SECONDS = 1.0  # until a lost storage is tried again; doubles each time
LOST_RETRY_SECONDS_MAXIMUM = 30.0
LOST_RETRY_JITTER = 0.5  # of the pause, longer: tasks that lost one storage come back apart


FINDING = (WorkKind.SCAN, WorkKind.LIST, WorkKind.LOOK)
"""Work that brings further files."""

OWN = frozenset({WorkKind.LIST, WorkKind.FREE})
"""Work of the controller itself: no mover gets it."""

ORDERED = frozenset({ProcessingOrder.NAME, ProcessingOrder.SIZE, ProcessingOrder.DATE})

HELD_FOR_MOVERS = (WorkKind.LINKS, WorkKind.RELEASE, WorkKind.FOLDERS, WorkKind.PRUNE)
HELD_PHASES = (WorkKind.LIST, *HELD_FOR_MOVERS)
"""Work that waits until all other is finished, in the order in which it follows."""


May = Callable[[WorkItem], bool]


class Wish(Enum):
    """What shall become of the run once nothing is under way any more."""

    GO_ON = "go_on"
    PAUSE = "pause"
    STOP = "stop"  # on request, or because a callback gave up: `ending` says which
    SUSPEND = "suspend"  # its storage is lost: keep everything for `resume`


@dataclass(slots=True)
class Queue:
    """The ready items of one kind: how many there are, and the next ones in memory."""

    count: int = 0  # in the journal, those under way included
    items: deque[WorkItem] = field(default_factory=deque)

    def drop(self, ids: set[int]) -> None:
        """Forget these items, if they are in memory."""
        self.items = deque(item for item in self.items if item.id not in ids)


@dataclass(slots=True, kw_only=True)
class Run:
    """The state of one execution. Times are seconds of the controller's monotonic clock."""

    execution_id: int
    task_id: int
    priority: int
    status: TaskStatus
    plan: ExecutionPlan
    plan_bytes: bytes
    active_since: float
    active_seconds: float  # of before
    wish: Wish = Wish.GO_ON
    ending: Event | None = None
    reason: str | None = None
    job_id: str | None = None  # the request that `wish` fulfils
    queues: dict[WorkKind, Queue] = field(default_factory=lambda: {k: Queue() for k in WorkKind})
    held: dict[WorkKind, int] = field(default_factory=dict)  # items that wait for a later phase
    under_way: dict[int, WorkItem] = field(default_factory=dict)  # with movers, not recorded
    behind: dict[int, int] = field(default_factory=dict)
    """Work id under way that its mover has not come to -> the one of this run it works on."""
    order_seconds: float = float("inf")  # what the last order took its mover
    begun: set[int] = field(default_factory=set)  # dispatched before: not fresh any more
    fresh_orders: set[int] = field(default_factory=set)  # of `begun`: fresh when last dispatched
    untouched: set[int] = field(default_factory=set)
    """Of `begun`: every slice of them has ended in order, so nobody has begun what is left."""
    movers: dict[int, int] = field(default_factory=dict)  # work id -> mover that had it last
    followed: dict[int, int] = field(default_factory=dict)
    """Work id -> how much its mover remembers: any other would have to begin anew.

    Of a big file in parts it is the segments that were verified from its start, otherwise 1."""
    not_before: dict[int, float] = field(default_factory=dict)  # work id -> when to try again
    recovered: bool = False  # taken over from an earlier controller: nothing is known to be fresh
    cleaning: bool = False
    lost_since: float | None = None
    lost_attempts: int = 0
    retry_at: float = 0.0
    bytes_copied: int = 0
    mirrored_at: float = 0.0
    changed: bool = True  # since it was last shown on its task
    measured_size: int = 0  # bytes that a speed test has moved
    measured_seconds: float = 0.0
    warnings_told: set[str] = field(default_factory=set)  # a kind of warning is logged once

    @property
    def at_work(self) -> int:
        """How many movers work for this run."""
        return len(self.under_way) - len(self.behind)

    def may_dispatch(self, now: float) -> bool:
        if self.wish is not Wish.GO_ON and not self.cleaning:
            return False
        return now >= self.retry_at

    def wants_to_dispatch(self, now: float) -> bool:
        return self.at_work < self.plan.workers and self.may_dispatch(now)

    def may_queue(self, now: float) -> bool:
        """Whether a mover that works for this run may get its next order before it has replied.

        Pause, stop and what goes before this run wait for that one too, so both have to be short.
        Where the task asks for an order, each batch waits until it is known what is left of others.
        """
        is_quick = self.order_seconds <= QUICK_SECONDS
        return is_quick and not self.is_ordered and not self.cleaning and self.may_dispatch(now)

    def is_waiting(self, now: float) -> bool:
        """Whether there is an item that no mover has and that may be tried now."""
        if not self.may_dispatch(now):
            return False
        kinds = [kind for kind in WorkKind if kind not in OWN]
        later = 0
        if self.not_before:
            items = chain.from_iterable(self.queues[kind].items for kind in kinds)
            later = sum(self.not_before.get(item.id, 0.0) > now for item in items)
        return sum(map(self.ready, kinds)) > later

    def next_kinds(self, movers: int) -> list[WorkKind]:
        """Kinds of work in the order in which they are wanted just now.

        Copying goes before scanning as soon as there is enough of it, so that the journal holds
        the frontier and a few batches instead of the whole tree.
        """
        if self.cleaning:
            return [WorkKind.CLEAN, WorkKind.LINKS]
        either = (WorkKind.ERASE, WorkKind.SPEEDTEST, WorkKind.CLEAN)
        if self.is_ordered:
            return self._kinds_in_order(either)
        # Parts before the next file: what is begun ends soon, and few files are open at once.
        copying = [WorkKind.PART, WorkKind.COPY, WorkKind.CHECK]
        if sum(self.queues[kind].count for kind in copying) < BACKLOG_PER_MOVER * movers:
            order = [WorkKind.SCAN, *copying]
        else:
            order = [*copying, WorkKind.SCAN]
        # Looking is short, and batches wait for it; what was just written is read back from memory.
        return [WorkKind.LOOK, WorkKind.FINISH, *order, *either, *HELD_FOR_MOVERS]

    @property
    def is_ordered(self) -> bool:
        """Whether the task asks for an order of its files; cleaning a cache has its own."""
        return self.plan.order in ORDERED and self.plan.action is not WorkflowAction.CACHE_CLEANING

    def _kinds_in_order(self, either: tuple[WorkKind, ...]) -> list[WorkKind]:
        """As `next_kinds`: what comes first is known only when everything is found."""
        first = [WorkKind.LOOK, WorkKind.FINISH, WorkKind.PART, WorkKind.SCAN]
        finding = set(FINDING)
        if self.plan.base_executions:
            first.append(WorkKind.CHECK)  # what is not the same as in a backup is copied then
            finding.add(WorkKind.CHECK)
        if any(self.queues[kind].count for kind in finding):
            return first
        return [*first, WorkKind.COPY, WorkKind.CHECK, *either, *HELD_FOR_MOVERS]

    def is_finished(self) -> bool:
        return not self.under_way and not any(self.held.values()) and not self.unfinished()

    def unfinished(self) -> int:
        """Ready items, those under way included."""
        return sum(queue.count for queue in self.queues.values())

    def ready(self, kind: WorkKind) -> int:
        """Items of this kind that no mover has."""
        return self.queues[kind].count - self._under_way_of(kind)

    def next_phase(self) -> WorkKind | None:
        """The kind of held work whose time has come; None while anything else is to be done."""
        if self.unfinished() or self.under_way:
            return None
        return next((kind for kind in HELD_PHASES if self.held.get(kind)), None)

    # ------------------------------------------------------------------ items come and go

    def added(self, items: list[WorkItem]) -> None:
        """Items were put into the journal."""
        for item in items:
            if item.state is WorkState.HELD:
                self.held[WorkKind(item.kind)] = self.held.get(WorkKind(item.kind), 0) + 1
                continue
            queue = self.queues[WorkKind(item.kind)]
            if item.sort_key is not None:
                queue.count += 1  # the journal knows its place among the others
                continue
            everything = queue.count == len(queue.items) + self._under_way_of(item.kind)
            if everything and len(queue.items) < ITEMS_IN_MEMORY:
                queue.items.append(item)  # otherwise it waits in the journal, behind older ones
            queue.count += 1

    def dispatched(self, item: WorkItem, *, behind: int | None = None) -> None:
        """A mover has the item, behind another one of this run or at once."""
        self.under_way[item.id] = item
        if self.is_fresh(item):
            self.fresh_orders.add(item.id)
        else:
            self.fresh_orders.discard(item.id)
        self.untouched.discard(item.id)
        self.begun.add(item.id)
        if behind is not None:
            self.behind[item.id] = behind

    def replied(self, work_id: int) -> None:
        """The mover that had this item has gone on to the one behind it, if it has one."""
        self.behind = {
            waiting: first
            for waiting, first in self.behind.items()
            if work_id not in (waiting, first)
        }

    def returned(self, item: WorkItem) -> None:
        """The item is not under way any more, and still in the journal."""
        self.under_way.pop(item.id, None)
        items = self.queues[WorkKind(item.kind)].items
        # A part that is left lying holds up a store that wants to put the parts behind it, which
        # others go on to send, into their order.
        if item.sort_key is None and item.kind != WorkKind.PART:
            items.append(item)
        else:
            items.appendleft(item)  # it was the first in the order, and still is

    def removed(self, item: WorkItem) -> None:
        """The item has left the journal."""
        self.under_way.pop(item.id, None)
        self.queues[WorkKind(item.kind)].count -= 1
        self._forget(item.id)

    def came_back(self, item: WorkItem) -> None:
        """The item is not under way any more; `place` says what has become of it."""
        self.under_way.pop(item.id, None)
        self.queues[WorkKind(item.kind)].count -= 1

    def place(self, item: WorkItem, *, counted: bool) -> None:
        """A file's item is in the journal like this now. `counted`: as ready, until now."""
        if item.id in self.under_way:
            return  # its reply is still to come
        queue = self.queues[WorkKind(item.kind)]
        if counted:
            queue.count -= 1
            queue.drop({item.id})
        if item.state is WorkState.READY:
            queue.count += 1
            queue.items.append(item)

    def forget_parts(self, ids: list[int]) -> None:
        """These parts, which no mover is at work on, have left the journal."""
        queue = self.queues[WorkKind.PART]
        queue.count -= len(ids)
        queue.drop(set(ids))
        for work_id in ids:
            self._forget(work_id)

    def take(self, kind: WorkKind, now: float, may: May = lambda _: True) -> WorkItem | None:
        """The next item in memory that may be tried now."""
        queue = self.queues[kind].items
        found: WorkItem | None = None
        passed_over: list[WorkItem] = []
        while queue and found is None:
            item = queue.popleft()
            if self.not_before.get(item.id, 0.0) <= now and may(item):
                found = item
            else:
                passed_over.append(item)
        queue.extendleft(reversed(passed_over))
        return found

    def mover_wanted(self, item: WorkItem) -> int | None:
        """The mover that has the item's pass over its file, or its open folder, in memory."""
        known = self.movers.get(item.id)
        return known if known is not None else self.movers.get(item.parent_id or 0)

    def is_bound(self, item: WorkItem) -> bool:
        """Whether another mover would have to begin the file anew, or to list the folder again."""
        return bool(self.followed.get(item.id))

    def is_fresh(self, item: WorkItem) -> bool:
        is_begun = item.id in self.begun and item.id not in self.untouched
        return not (self.recovered or is_begun)

    def ended_in_order(self, work_id: int) -> None:
        """A slice of a batch has told of everything that it began."""
        if work_id in self.fresh_orders:
            self.untouched.add(work_id)

    def _forget(self, work_id: int) -> None:
        for kept in (self.not_before, self.movers, self.followed):
            kept.pop(work_id, None)
        for known in (self.begun, self.fresh_orders, self.untouched):
            known.discard(work_id)

    def _under_way_of(self, kind: int) -> int:
        return sum(item.kind == kind for item in self.under_way.values())

    # ------------------------------------------------------------------ lost storages

    def lose(self, lost: Lost, now: float, random: Random) -> None:
        """A storage did not answer: wait, longer each time."""
        self.lost_since = now if self.lost_since is None else self.lost_since
        pause = min(LOST_RETRY_SECONDS * 2**self.lost_attempts, LOST_RETRY_SECONDS_MAXIMUM)
        self.lost_attempts += 1
        self.retry_at = now + pause * random.uniform(1, 1 + LOST_RETRY_JITTER)
        self.reason = f"{lost.side.name.lower()}: {lost.failure.text}"

    def found_again(self) -> None:
        self.lost_since, self.lost_attempts, self.retry_at = None, 0, 0.0
        if self.wish is Wish.GO_ON:
            self.reason = None
