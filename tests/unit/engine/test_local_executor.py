"""Mover processes: they answer, they are replaced when they die, and none outlives the executor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from longshore import faults
from longshore.bootstrap import process_command
from longshore.engine.executors import DiedBefore, MoverDied
from longshore.engine.executors.local import LocalExecutor
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.replies import ScanReply
from longshore.pipeline.messages.work import encode, first_scan
from tests.pipelines import Bench
from tests.servers import wait_until
from tests.trees import grow

FILES = 3


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    grow(bench.source, FILES)
    yield bench
    bench.close()


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this file, and the next mover dies before it replies."""
    return arm(tmp_path, monkeypatch, act="kill")


def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **point: str | int) -> Path:
    """What movers do before they reply, if the returned file can be removed."""
    claim = tmp_path / "claim"
    point = {"point": "mover.reply", "claim": str(claim), **point}
    monkeypatch.setenv(faults.VARIABLE, json.dumps({"points": [point]}))
    monkeypatch.setenv("LONGSHORE_DATA_DIR", str(tmp_path))
    return claim


def scan(bench: Bench, work_id: int = 1) -> WorkOrder:
    plan = bench.plan()
    return WorkOrder(
        work_id=work_id,
        kind=WorkKind.SCAN,
        plan=encode(plan),
        payload=encode(first_scan(plan)),
        fresh=True,
    )


def movers() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if _is_mover(each)]


def _is_mover(process: psutil.Process) -> bool:
    try:
        return process.is_running() and "mover" in process.cmdline()
    except psutil.NoSuchProcess:  # it has ended, or waits to be taken note of
        return False


def with_movers(
    tmp_path: Path,
    count: int,
    work: Callable[[LocalExecutor], Awaitable[None]],
    *,
    order_seconds: float = 600.0,
) -> None:
    async def live() -> None:
        executor = LocalExecutor(
            command=process_command("mover", str(os.getpid())),
            data_dir=tmp_path,
            count=count,
            order_seconds=order_seconds,
        )
        await executor.start()
        try:
            await work(executor)
        finally:
            await executor.stop(timeout_seconds=0)

    asyncio.run(live())
    wait_until(lambda: not movers(), "the movers to end")


def test_mover_that_dies_fails_its_order_only_and_is_replaced(
    tmp_path: Path, bench: Bench, claim: Path
) -> None:
    async def work(executor: LocalExecutor) -> None:
        claim.touch()
        with pytest.raises(MoverDied):
            await executor.submit(scan(bench))
        assert not claim.exists()
        while not executor.free():
            await executor.wait_free()
        completion = await executor.submit(scan(bench))
        assert isinstance(completion.reply, ScanReply)

    with_movers(tmp_path, 1, work)


def test_idle_mover_that_is_killed_is_replaced(tmp_path: Path, bench: Bench, claim: Path) -> None:
    async def work(executor: LocalExecutor) -> None:
        (before,) = movers()
        before.send_signal(signal.SIGKILL)
        while not [each for each in movers() if each.pid != before.pid] or not executor.free():
            await asyncio.sleep(0.01)
        completion = await executor.submit(scan(bench))
        assert isinstance(completion.reply, ScanReply)

    with_movers(tmp_path, 1, work)


def test_order_is_refused_while_no_mover_is_free(tmp_path: Path, bench: Bench, claim: Path) -> None:
    async def work(executor: LocalExecutor) -> None:
        under_way = executor.submit(scan(bench))
        assert executor.free() == 0
        with pytest.raises(RuntimeError, match="no mover is free"):
            executor.submit(scan(bench))
        await under_way

    with_movers(tmp_path, 1, work)


def test_mover_that_hangs_is_ended_and_replaced(tmp_path: Path, bench: Bench, claim: Path) -> None:
    async def work(executor: LocalExecutor) -> None:
        (before,) = movers()
        before.send_signal(signal.SIGSTOP)
        with pytest.raises(MoverDied, match="no answer within"):
            await executor.submit(scan(bench))
        assert not before.is_running()
        while not executor.free():
            await executor.wait_free()
        # The new one has as much time for its own order.
        completion = await executor.submit(scan(bench))
        assert isinstance(completion.reply, ScanReply)

    with_movers(tmp_path, 1, work, order_seconds=2.0)


# --------------------------------------------------------------------------- a second order


def test_a_mover_goes_on_to_its_second_order_by_itself(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_reply = tmp_path / "may reply"
    arm(tmp_path, monkeypatch, act="wait", skip=1, until=str(may_reply)).touch()

    async def work(executor: LocalExecutor) -> None:
        assert executor.with_one_order() == {}
        first = executor.submit(scan(bench, 7))
        assert executor.with_one_order() == {0: 7}
        second = executor.submit_behind(scan(bench, 8), 0)
        assert executor.with_one_order() == {}
        await first
        assert (executor.free(), executor.is_busy(0)) == (0, True)
        assert executor.with_one_order() == {0: 8}
        may_reply.touch()
        assert isinstance((await second).reply, ScanReply)
        assert (executor.free(), executor.with_one_order()) == (1, {})

    with_movers(tmp_path, 1, work)


def test_only_a_mover_at_work_on_a_single_order_takes_one_behind_it(
    tmp_path: Path, bench: Bench, claim: Path
) -> None:
    async def work(executor: LocalExecutor) -> None:
        with pytest.raises(RuntimeError, match="no order, or one behind it"):
            executor.submit_behind(scan(bench), 0)
        orders = [executor.submit(scan(bench)), executor.submit_behind(scan(bench), 0)]
        with pytest.raises(RuntimeError, match="no order, or one behind it"):
            executor.submit_behind(scan(bench), 0)
        await asyncio.gather(*orders)

    with_movers(tmp_path, 1, work)


def test_a_mover_that_dies_loses_the_order_behind_without_blame(
    tmp_path: Path, bench: Bench, claim: Path
) -> None:
    async def work(executor: LocalExecutor) -> None:
        claim.touch()
        first = executor.submit(scan(bench, 1))
        second = executor.submit_behind(scan(bench, 2), 0)
        with pytest.raises(MoverDied):
            await first
        with pytest.raises(DiedBefore):
            await second

    with_movers(tmp_path, 1, work)


def test_a_mover_that_dies_on_its_second_order_has_replied_to_its_first(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(tmp_path, monkeypatch, act="kill", skip=1).touch()

    async def work(executor: LocalExecutor) -> None:
        first = executor.submit(scan(bench, 1))
        second = executor.submit_behind(scan(bench, 2), 0)
        assert isinstance((await first).reply, ScanReply)
        with pytest.raises(MoverDied):
            await second

    with_movers(tmp_path, 1, work)


def test_a_mover_that_hangs_in_its_second_order_is_ended_for_that(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(tmp_path, monkeypatch, act="stop", skip=1).touch()

    async def work(executor: LocalExecutor) -> None:
        first = executor.submit(scan(bench, 1))
        second = executor.submit_behind(scan(bench, 2), 0)
        assert isinstance((await first).reply, ScanReply)
        with pytest.raises(MoverDied, match="no answer within"):
            await second
        while not executor.free():
            await executor.wait_free()
        await executor.submit(scan(bench))

    with_movers(tmp_path, 1, work, order_seconds=2.0)
