"""What runs are limited by: bandwidth and slots, as the configuration and people have set them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from longshore.config import TextsByName
from longshore.database import limits as limit_rows
from longshore.database.connection import reading
from longshore.database.storage_names import name_of
from longshore.domain.bandwidth import Timetable, parse_timetable
from longshore.domain.storage import StorageReference
from longshore.engine.bandwidth import Bandwidth, Limited, Shares
from longshore.engine.floor import Floor
from longshore.engine.run import Run
from longshore.pipeline.messages.orders import Rates, StorageRate
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind

LIMITS_SECONDS = 0.25  # how old what is known of the limits may be

LIMITED_KINDS = frozenset({WorkKind.COPY, WorkKind.PART, WorkKind.FINISH, WorkKind.CHECK})
"""Kinds of work that read or write content, so that bandwidth limits hold them back."""


@dataclass(slots=True)
class Limits:
    """The limits of the present runs."""

    floor: Floor
    bandwidth: Bandwidth = field(default_factory=Bandwidth)
    _timetable: Timetable = field(init=False)
    _of_tasks: dict[str, Timetable] = field(init=False)  # by the names of tasks
    _of_storages: dict[str, Timetable] = field(init=False)
    _slots: dict[StorageReference, int] = field(default_factory=dict)
    _known: dict[int, frozenset[StorageReference]] = field(default_factory=dict)
    _read_at: float = float("-inf")

    def __post_init__(self) -> None:
        config = self.floor.config
        self._timetable = parse_timetable(config.bandwidth_timetable)
        self._of_tasks = _parsed(config.task_bandwidth_timetables)
        self._of_storages = _parsed(config.storage_bandwidth_timetables)

    # ------------------------------------------------------------------ reading them

    def refresh(self) -> None:
        """Look at the limits again, unless that was done a moment ago for the same runs."""
        runs, now = self.floor.runs, self.floor.monotonic()
        if not runs.keys() - self._known.keys() and now - self._read_at < LIMITS_SECONDS:
            return
        self._read_at = now
        self._known = {run.execution_id: storages_of(run.plan) for run in runs.values()}
        if runs:
            self._read({run.task_id for run in runs.values()})

    def _read(self, task_ids: set[int]) -> None:
        storages = frozenset[StorageReference]().union(*self._known.values())
        with reading(self.floor.database.state) as connection:
            of_tasks = limit_rows.bandwidths_of_tasks(connection, task_ids)
            of_storages = limit_rows.of_storages(connection, storages)
            timetables = self._timetables(connection, task_ids, storages)
        limits: dict[Limited, int] = dict(of_tasks.items())
        self._slots = dict.fromkeys(storages, self.floor.config.storage_slots_default)
        for storage, found in of_storages.items():
            if found.bandwidth is not None:
                limits[storage] = found.bandwidth
            if found.slots is not None:
                self._slots[storage] = found.slots
        of_server = self.of_server()
        if of_server is not None:
            limits[None] = of_server
        local = self._local_time()
        for key, timetable in timetables.items():
            limit = timetable.limit_at(local, limits.pop(key, None))
            if limit is not None:
                limits[key] = limit
        self.bandwidth.set_limits(limits)

    def _timetables(
        self, connection: Connection, task_ids: set[int], storages: frozenset[StorageReference]
    ) -> dict[Limited, Timetable]:
        """Those of the tasks and storages that the configuration names."""
        found: dict[Limited, Timetable] = {}
        if self._of_tasks:
            for task_id, name in limit_rows.names_of_tasks(connection, task_ids).items():
                if name in self._of_tasks:
                    found[task_id] = self._of_tasks[name]
        if self._of_storages:
            for storage in storages:
                name = name_of(connection, storage)
                if name in self._of_storages:
                    found[storage] = self._of_storages[name]
        return found

    def of_server(self) -> int | None:
        """The limit of all tasks together at this time of the week, in bytes per second."""
        otherwise = self.floor.config.bandwidth_bytes_per_second or None
        return self._timetable.limit_at(self._local_time(), otherwise)

    def _local_time(self) -> datetime:
        return datetime.fromtimestamp(self.floor.clock())  # noqa: DTZ006 - the server's own zone

    # ------------------------------------------------------------------ slots

    def full_storages(self, run: Run) -> list[StorageReference]:
        """The storages of the run that have no slot left for one more order."""
        return [
            storage
            for storage in sorted(self.storages(run), key=lambda each: (each.kind, each.id))
            if (slots := self._slots.get(storage, 0)) and self._used(storage) >= slots
        ]

    def has_too_many_orders(self, run: Run) -> bool:
        """Whether a storage of the run has fewer slots than orders at work, since lately."""
        slots = ((storage, self._slots.get(storage, 0)) for storage in self.storages(run))
        return any(limit and self._used(storage) > limit for storage, limit in slots)

    def slots_of(self, storage: StorageReference) -> int:
        return self._slots.get(storage, 0)

    def users_of(self, storage: StorageReference) -> list[Run]:
        """The runs with orders under way that may touch the storage."""
        return [
            run
            for run in self.floor.runs.values()
            if run.under_way and storage in self.storages(run)
        ]

    def _used(self, storage: StorageReference) -> int:
        return sum(run.at_work for run in self.users_of(storage))

    # ------------------------------------------------------------------ bandwidth

    def shares(self, run: Run, free_movers: int) -> Shares | None:
        """What one more order of the run would get; None when it has to wait."""
        return self.bandwidth.divide(
            self.keys(run),
            self.floor.monotonic(),
            lambda key: min(free_movers, self._wanted(key)),
        )

    def in_force(self, run: Run) -> dict[Limited, float]:
        """The bandwidth limits that hold the run back, in bytes per second."""
        return self.bandwidth.limits(self.keys(run))

    def keys(self, run: Run) -> list[Limited]:
        return [None, run.task_id, *self.storages(run)]

    def _wanted(self, key: Limited) -> int:
        """How many orders could be dispatched at once if there were movers for all."""
        now = self.floor.monotonic()
        return sum(
            min(_ready(run), run.plan.workers - run.at_work)
            for run in self.floor.runs.values()
            if run.wants_to_dispatch(now) and key in self.keys(run)
        )

    def storages(self, run: Run) -> frozenset[StorageReference]:
        """All storages that an order of the run may touch."""
        return self._known.get(run.execution_id) or storages_of(run.plan)


def _parsed(texts: TextsByName) -> dict[str, Timetable]:
    return {name: parse_timetable(text) for name, text in texts.entries}


def _ready(run: Run) -> int:
    """Items of limited work that are not under way."""
    under_way = sum(item.kind in LIMITED_KINDS for item in run.under_way.values())
    return sum(run.queues[kind].count for kind in LIMITED_KINDS) - under_way


def storages_of(plan: ExecutionPlan) -> frozenset[StorageReference]:
    """All storages that an order of the plan may touch: nobody looks into what it really does."""
    sources = {source.storage.reference for source in plan.sources}
    return frozenset(
        sources | {share.reference for each in plan.destinations for share in each.shares()}
    )


def rates_of(shares: Shares) -> Rates | None:
    """The shares as the mover gets them; None without any."""
    if not shares:
        return None
    storages = [
        StorageRate(key, share)
        for key, share in shares.items()
        if isinstance(key, StorageReference)
    ]
    of_reading = [share for key, share in shares.items() if not isinstance(key, StorageReference)]
    return Rates(storages, read=min(of_reading, default=None))
