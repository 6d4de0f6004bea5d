"""A controller that has lost its lease commits nothing, neither in the journal nor in the state."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future

import pytest
from sqlalchemy import insert, select

from longshore.config import Config
from longshore.database import leases
from longshore.database.connection import Database, reading, writing
from longshore.database.leases import LeaseLost
from longshore.database.tables.control import fences, waits
from longshore.database.tables.engine import counters
from longshore.engine import lease
from longshore.engine.floor import Floor

LEASE_SECONDS = 10.0
LATER = 3600.0


def lead(database: Database, *, ahead: float = 0.0) -> Floor:
    """A controller that has just taken the lease, so many seconds ahead of the real time."""

    def clock() -> float:
        return time.time() + ahead

    held = asyncio.run(lease.acquire(database, clock, LEASE_SECONDS))
    return Floor(
        config=Config(lease_seconds=LEASE_SECONDS),
        database=database,
        lease=held,
        callbacks_test=Future(),
        clock=clock,
        monotonic=time.monotonic,
        time_ns=time.time_ns,
    )


def write_state(floor: Floor, number: int) -> None:
    with floor.state() as connection:
        connection.execute(insert(waits).values(execution_id=number, reasons="[]"))


def write_journal(floor: Floor, number: int) -> None:
    zeros = {column.name: 0 for column in counters.c if column.name != "execution_id"}
    with floor.journal() as connection:
        connection.execute(insert(counters).values(execution_id=number, **zeros))


def written(database: Database) -> tuple[set[int], set[int]]:
    with reading(database.state) as connection:
        in_state = set(connection.execute(select(waits.c.execution_id)).scalars())
    with reading(database.journal) as connection:
        return in_state, set(connection.execute(select(counters.c.execution_id)).scalars())


def test_a_controller_writes_while_it_holds_the_lease(database: Database) -> None:
    first = lead(database)
    write_state(first, 1)
    write_journal(first, 2)
    assert written(database) == ({1}, {2})


def test_a_controller_that_lost_its_lease_commits_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lead(database)
    monkeypatch.setattr(lease, "_end_silent_holder", lambda holder: None)
    monkeypatch.setattr(lease, "_has_ended", lambda holder: False)
    second = lead(database, ahead=LATER)
    for write in (write_state, write_journal):
        with pytest.raises(LeaseLost):
            write(first, 1)
    assert written(database) == (set(), set())
    write_state(second, 3)
    write_journal(second, 4)
    assert written(database) == ({3}, {4})


def test_a_lease_that_is_lost_between_the_look_and_the_transaction_commits_nothing(
    database: Database,
) -> None:
    first = lead(database)
    with writing(database.state) as connection:
        # The state's own fence is what counts: the lease may lie in another file.
        leases.raise_fence(connection, leases.Lease(first.lease.epoch + 1, "other:1:1", 0.0))
    with pytest.raises(LeaseLost):
        write_state(first, 1)
    assert written(database) == (set(), set())


def test_the_fence_is_not_raised_while_an_earlier_holder_writes(database: Database) -> None:
    first = lead(database)
    next_lease = leases.Lease(first.lease.epoch + 1, "other:1:1", 0.0)
    order: list[str] = []

    def take_over() -> None:
        with writing(database.state) as connection:
            leases.raise_fence(connection, next_lease)
        order.append("raised")

    other = threading.Thread(target=take_over)
    with first.state() as connection:
        other.start()
        connection.execute(insert(waits).values(execution_id=1, reasons="[]"))
        other.join(0.3)
        assert order == [], "it has to wait for the transaction that has passed the fence"
        order.append("wrote")
    other.join()
    assert order == ["wrote", "raised"]
    assert written(database)[0] == {1}
    with reading(database.state) as connection:
        assert connection.execute(select(fences.c.epoch)).scalar_one() == next_lease.epoch


def test_a_later_fence_is_never_lowered(database: Database) -> None:
    first = lead(database)
    with writing(database.state) as connection:
        leases.raise_fence(connection, leases.Lease(first.lease.epoch + 5, "other:1:1", 0.0))
    with pytest.raises(LeaseLost), writing(database.state) as connection:
        leases.raise_fence(connection, first.lease)
