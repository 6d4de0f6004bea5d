"""Movers as processes of this machine. A mover that dies or hangs is replaced by a new one."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from longshore.domain.errors import LongshoreError
from longshore.engine.executors import Completion, DiedBefore, MoverDied, frames
from longshore.engine.executors.mover_process import HELLO, LOCK_FILE
from longshore.observability import logger
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.replies import REPLIES, Reply

ORDERS_PER_MOVER = 2  # one at work, and the next; with more, pause and stop would wait longer
START_TIMEOUT_SECONDS = 60.0  # imports on a cold, slow disk take a few seconds
RESTART_SECONDS = 0.2  # before a dead mover is replaced; doubles while starting fails
RESTART_SECONDS_MAXIMUM = 30.0
LOCK_POLL_SECONDS = 0.05  # how often to look whether the movers of before are gone
LOCK_TIMEOUT_SECONDS = (
    60.0  # the kernel kills them at once; one in uninterruptible I/O takes longer
)
UNKILLABLE_SECONDS = 30.0
"""For a killed mover to be gone. One in uninterruptible I/O is then left to the kernel: what it
has staged gets a new file from whoever stages it again."""

_log = logger("executor")
_decoders = {kind: msgspec.msgpack.Decoder(reply) for kind, reply in REPLIES.items()}


class MoversStillRunning(LongshoreError):
    """Movers of an earlier controller do not end, so nothing may be written beside them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """An order that a mover has and has not replied to."""

    work_id: int
    kind: WorkKind
    future: asyncio.Future[Completion]

    def fail(self, error: LongshoreError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True, eq=False)
class _Mover:
    """One mover process and its orders: the first is the one it works on."""

    number: int
    process: asyncio.subprocess.Process | None = None
    orders: deque[_Order] = field(default_factory=deque)
    begun_at: float = 0.0  # by the clock of the event loop, of the first order
    alarm: asyncio.TimerHandle | None = None  # goes off when the first order takes too long

    @property
    def is_free(self) -> bool:
        return self.process is not None and not self.orders


@dataclass(slots=True)
class LocalExecutor:
    """A fixed number of mover processes, started with `command`.

    One that works on an order for longer than `order_seconds` hangs, and is ended.
    """

    command: Sequence[str]
    data_dir: Path
    count: int
    order_seconds: float
    _movers: list[_Mover] = field(default_factory=list)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False
    _became_free: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        await wait_for_earlier_movers(self.data_dir)
        self._movers = [_Mover(number) for number in range(self.count)]
        self._keepers = [asyncio.create_task(self._keep(mover)) for mover in self._movers]
        await self._became_free.wait()

    def free(self) -> int:
        return sum(mover.is_free for mover in self._movers)

    def is_busy(self, mover: int) -> bool:
        return bool(self._movers[mover].orders)

    async def wait_free(self) -> None:
        """Return when a mover has become free since the last call."""
        await self._became_free.wait()
        self._became_free.clear()

    def submit(self, order: WorkOrder, *, prefer: int | None = None) -> asyncio.Future[Completion]:
        free = [mover for mover in self._movers if mover.is_free]
        if not free:
            raise RuntimeError("no mover is free")
        mover = next((each for each in free if each.number == prefer), free[0])
        future = self._send(order, mover)
        self._expect_reply(mover)
        return future

    def with_one_order(self) -> dict[int, int]:
        return {
            mover.number: mover.orders[0].work_id
            for mover in self._movers
            if mover.process is not None and 0 < len(mover.orders) < ORDERS_PER_MOVER
        }

    def submit_behind(self, order: WorkOrder, mover: int) -> asyncio.Future[Completion]:
        if mover not in self.with_one_order():
            raise RuntimeError("the mover has no order, or one behind it already")
        return self._send(order, self._movers[mover])

    async def stop(self, *, timeout_seconds: float) -> None:
        self._stopping = True
        under_way = [order.future for mover in self._movers for order in mover.orders]
        if under_way:
            await asyncio.wait(under_way, timeout=timeout_seconds)
        for mover in self._movers:
            if mover.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    mover.process.kill()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for mover in self._movers:
            if mover.process is not None:
                await mover.process.wait()

    # ------------------------------------------------------------------ one mover

    def _send(self, order: WorkOrder, mover: _Mover) -> asyncio.Future[Completion]:
        assert mover.process is not None
        assert mover.process.stdin is not None
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        mover.orders.append(_Order(order.work_id, order.kind, future))
        mover.process.stdin.write(frames.pack(msgspec.msgpack.encode(order)))
        return future

    def _expect_reply(self, mover: _Mover) -> None:
        """The mover begins the first of its orders now: that one may take so long from here on."""
        loop = asyncio.get_running_loop()
        mover.begun_at = loop.time()
        first = mover.orders[0]
        mover.alarm = loop.call_later(self.order_seconds, self._end_hanging, mover, first)

    async def _keep(self, mover: _Mover) -> None:
        """Start the mover, hand out its replies, and start it again when it dies."""
        pause = RESTART_SECONDS
        while True:
            try:
                await self._start(mover)
                pause = RESTART_SECONDS
                await self._read_replies(mover)
            except (frames.BrokenStream, msgspec.MsgspecError, TimeoutError, OSError) as error:
                await self._bury(mover, error)
            if self._stopping:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, RESTART_SECONDS_MAXIMUM)

    async def _start(self, mover: _Mover) -> None:
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=frames.FRAME_BYTES_MAXIMUM,
        )
        assert process.stdout is not None
        try:
            hello = await asyncio.wait_for(frames.receive(process.stdout), START_TIMEOUT_SECONDS)
            if hello != HELLO:
                raise frames.BrokenStream("no greeting")
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        mover.process = process
        self._became_free.set()

    async def _read_replies(self, mover: _Mover) -> None:
        assert mover.process is not None
        assert mover.process.stdout is not None
        while True:
            message = await frames.receive(mover.process.stdout)
            if not mover.orders:
                raise frames.BrokenStream("a reply that nobody asked for")
            reply = _decoders[mover.orders[0].kind].decode(message)
            self._take_reply(mover, reply)
            self._became_free.set()

    def _take_reply(self, mover: _Mover, reply: Reply) -> None:
        _call_off(mover)
        seconds = asyncio.get_running_loop().time() - mover.begun_at
        answered = mover.orders.popleft()
        if mover.orders:
            self._expect_reply(mover)
        if not answered.future.done():
            answered.future.set_result(Completion(reply, mover.number, seconds))

    def _end_hanging(self, mover: _Mover, order: _Order) -> None:
        """The order has taken too long: end its mover, and go on as if it had died."""
        if not mover.orders or mover.orders[0] is not order or mover.process is None:
            return
        _log.warning("mover hangs, so it is ended", mover=mover.number, pid=mover.process.pid)
        with contextlib.suppress(ProcessLookupError):
            mover.process.kill()
        assert mover.process.stdout is not None
        why = f"no answer within {self.order_seconds:.0f} s"
        mover.process.stdout.set_exception(frames.BrokenStream(why))

    async def _bury(self, mover: _Mover, error: Exception) -> None:
        process, mover.process = mover.process, None
        status: int | None = None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with contextlib.suppress(TimeoutError):
                status = await asyncio.wait_for(process.wait(), UNKILLABLE_SECONDS)
        if not self._stopping:
            _log.warning("mover died", mover=mover.number, status=status, error=str(error))
        self._fail_orders(mover, f"a mover died (status {status}): {error}")

    def _fail_orders(self, mover: _Mover, why: str) -> None:
        """The mover worked on the first of its orders, and on no other."""
        _call_off(mover)
        orders, mover.orders = mover.orders, deque()
        for order in orders:
            order.fail(MoverDied(why) if order is orders[0] else DiedBefore(why))


def _call_off(mover: _Mover) -> None:
    """Nobody waits for the reply to the first order any more."""
    if mover.alarm is not None:
        mover.alarm.cancel()
        mover.alarm = None


async def wait_for_earlier_movers(data_dir: Path) -> None:
    """Return when no mover of an earlier controller is left. Raises MoversStillRunning."""
    lock = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(round(LOCK_TIMEOUT_SECONDS / LOCK_POLL_SECONDS)):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            await asyncio.sleep(LOCK_POLL_SECONDS)
        raise MoversStillRunning("movers of an earlier controller are still running")
    finally:
        os.close(lock)
