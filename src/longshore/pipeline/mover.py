"""A mover: executes one slice of work after the other, and knows no database.

It keeps what is dear to make anew: opened storages and started callback workers, each for the
executions it last worked for.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from random import Random

import msgspec

from longshore.callbacks import FilterChain
from longshore.domain.cloud import with_credentials
from longshore.domain.errors import LongshoreError
from longshore.domain.storage import StorageAddress
from longshore.hooks import NO_HOOKS, Hooks
from longshore.pipeline import (
    clean,
    copying,
    folders,
    in_place,
    links,
    parts,
    release,
    scan,
    speedtest,
)
from longshore.pipeline.listing import KeptListings
from longshore.pipeline.messages.orders import StorageCredentials, WorkOrder
from longshore.pipeline.messages.plan import ExecutionPlan, Source, WorkKind, decode_plan
from longshore.pipeline.messages.replies import Reply
from longshore.pipeline.throttle import Throttle
from longshore.pipeline.toolbox import BUFFER_BYTES, Dispatch, Toolbox
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.pool_memory import PoolMemory
from longshore.storage.wrappers.pooled import PooledStorage
from longshore.storage.wrappers.ranged import RangedStorage
from longshore.storage.wrappers.refused import RefusedStorage

PLANS_KEPT = 8  # executions a mover holds open files and callback workers for; more are reopened

OpenStorage = Callable[[StorageAddress], StorageHandler]
OpenFilter = Callable[[ExecutionPlan], FilterChain | None]


@dataclass(slots=True)
class _Opened:
    """What one execution has open in this mover."""

    plan: ExecutionPlan
    sources: list[StorageHandler]
    destinations: list[list[StorageHandler]]  # the storages of each
    memories: list[PoolMemory]  # of each destination
    chain: FilterChain | None = None
    chain_opened: bool = False

    def close(self) -> None:
        for handler in chain(self.sources, *self.destinations):
            handler.close()
        if self.chain is not None:
            self.chain.close()


@dataclass(slots=True)
class Mover:
    """Call it with a WorkOrder; it works for at most the plan's slice and replies."""

    open_storage: OpenStorage
    open_filter: OpenFilter
    monotonic: Callable[[], float]
    time_ns: Callable[[], int]
    sleep: Callable[[float], None] = time.sleep
    random: Random = field(default_factory=Random)
    hooks: Hooks = NO_HOOKS
    _opened: OrderedDict[bytes, _Opened] = field(default_factory=OrderedDict)
    _buffer: bytearray = field(default_factory=lambda: bytearray(BUFFER_BYTES))
    _passes: dict[bytes, object] = field(default_factory=dict)
    _dispatch: Dispatch | None = None
    _listings: KeptListings = field(default_factory=KeptListings)
    _anchors: dict[bytes, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.hooks.wants_requests():
            self._dispatch = self.hooks.before_request_dispatched

    def __call__(self, order: WorkOrder) -> Reply:
        opened = self._for_plan(order.plan, order.credentials)
        deadline = self.monotonic() + opened.plan.slice_seconds
        throttle = Throttle(
            order.rates, monotonic=self.monotonic, sleep=self.sleep, deadline=deadline
        )
        toolbox = Toolbox(
            plan=opened.plan,
            work_id=order.work_id,
            sources=[throttle.source(each) for each in opened.sources],
            destinations=[
                _as_one([throttle.destination(each) for each in shares], memory)
                for shares, memory in zip(opened.destinations, opened.memories, strict=True)
            ],
            chain=lambda: self._chain(opened),
            deadline=deadline,
            monotonic=self.monotonic,
            time_ns=self.time_ns,
            buffer=memoryview(self._buffer),
            passes=self._passes,
            listings=self._listings,
            anchors=self._anchors,
            random=self.random,
            dispatch=self._dispatch,
        )
        if order.kind is WorkKind.SCAN:
            return scan.run(order.payload, toolbox)
        if order.kind is WorkKind.PART:
            part = parts.run(order.payload, toolbox)
            return msgspec.structs.replace(part, owed=throttle.owed())
        if order.kind in {WorkKind.COPY, WorkKind.FINISH}:
            reply = copying.run(order.payload, toolbox, fresh=order.fresh)
            return msgspec.structs.replace(reply, owed=throttle.owed())
        if order.kind is WorkKind.FOLDERS:
            return folders.run(order.payload, toolbox)
        if order.kind is WorkKind.LOOK:
            return folders.look(order.payload, toolbox)
        if order.kind is WorkKind.ERASE:
            return in_place.erase(order.payload, toolbox)
        if order.kind is WorkKind.CHECK:
            checked = in_place.check(order.payload, toolbox)
            return msgspec.structs.replace(checked, owed=throttle.owed())
        if order.kind is WorkKind.SPEEDTEST:
            return speedtest.run(order.payload, toolbox)
        if order.kind is WorkKind.RELEASE:
            return release.run(order.payload, toolbox)
        if order.kind is WorkKind.PRUNE:
            return release.prune(order.payload, toolbox)
        if order.kind is WorkKind.LINKS:
            return links.run(order.payload, toolbox)
        return clean.run(order.payload, toolbox)

    def close(self) -> None:
        self._listings.close()
        while self._opened:
            self._opened.popitem()[1].close()

    def _for_plan(self, encoded: bytes, credentials: list[StorageCredentials]) -> _Opened:
        # With other keys everything is opened anew: what is open goes on with the old ones.
        key = encoded + msgspec.msgpack.encode(credentials) if credentials else encoded
        opened = self._opened.pop(key, None)
        if opened is None:
            plan = decode_plan(encoded)
            open_storage = or_refused(with_keys(self.open_storage, credentials))
            opened = _Opened(
                plan=plan,
                sources=[_open_source(source, open_storage) for source in plan.sources],
                destinations=[
                    [open_storage(share) for share in each.shares()] for each in plan.destinations
                ],
                memories=[PoolMemory(self.monotonic) for _ in plan.destinations],
            )
        self._opened[key] = opened
        while len(self._opened) > PLANS_KEPT:
            self._opened.popitem(last=False)[1].close()
        return opened

    def _chain(self, opened: _Opened) -> FilterChain | None:
        """The execution's callbacks; their workers start with the first file to be asked about."""
        if not opened.chain_opened:
            opened.chain = self.open_filter(opened.plan)
            opened.chain_opened = True
        return opened.chain


def with_keys(open_storage: OpenStorage, credentials: Sequence[StorageCredentials]) -> OpenStorage:
    """The function, given addresses as plans have them: without keys."""
    if not credentials:
        return open_storage
    settings = {each.storage: each.settings for each in credentials}

    def open_with_keys(address: StorageAddress) -> StorageHandler:
        return open_storage(with_credentials(address, settings.get(address.reference, {})))

    return open_with_keys


def or_refused(open_storage: OpenStorage) -> OpenStorage:
    """The function; what cannot be opened as it is declared is a storage that says why.

    A mover that ended for that would say nothing, and neither would the ones after it.
    """

    def open_or_refuse(address: StorageAddress) -> StorageHandler:
        try:
            return open_storage(address)
        except (LongshoreError, ValueError) as error:
            return RefusedStorage(address.reference, str(error))

    return open_or_refuse


def _open_source(source: Source, open_storage: OpenStorage) -> StorageHandler:
    storage = open_storage(source.storage)
    if not source.range_last:
        return storage
    return RangedStorage(storage, source.range_first, source.range_last)


def _as_one(shares: list[StorageHandler], memory: PoolMemory) -> StorageHandler:
    return shares[0] if len(shares) == 1 else PooledStorage(shares, memory)


def encode_reply(reply: Reply) -> bytes:
    return msgspec.msgpack.encode(reply)
