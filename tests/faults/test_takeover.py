"""Two controllers, stopped processes, wrong clocks, locked files: one leads, nothing is doubled."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select, update

from longshore.bootstrap import EXIT_LEASE_LOST
from longshore.database.connection import JOURNAL_FILE, STATE_FILE, reading, writing
from longshore.database.tables.engine import leases, work
from tests.exactness import check_exact
from tests.plants import SMALL_STEPS, Plant, planted
from tests.records import every_file_on_record
from tests.servers import wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import grow

PATIENCE_SECONDS = 60  # for a controller to start and to notice, on a loaded machine
FILES = 600
SLOW_BYTES_PER_SECOND = FILES * 100  # so that the task lasts longer than the test needs it
LEASE_SECONDS = float(SMALL_STEPS["LONGSHORE_LEASE_SECONDS"])
HOURS = 3600.0


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with planted(tmp_path / "plant") as plant:
        yield plant


@pytest.fixture
def task(plant: Plant, source: Path, destination: Path) -> Task:
    grow(source, FILES)
    return add_copy_task(
        plant.client,
        add_share_pool(plant.client, "live", "primary", source),
        add_share_pool(plant.client, "archive", "offline_archive", destination),
        options={"file_checksum": "md5"},
    )


def recorded(plant: Plant) -> tuple[set[int], set[int]]:
    """What the journal holds: numbers of records and of work items."""
    with reading(plant.database.journal) as connection:
        items = set(connection.execute(select(work.c.id)).scalars())
    return {each.number for each in every_file_on_record(plant.database)}, items


def test_controller_stopped_past_its_lease_is_replaced_and_nothing_is_done_twice(
    plant: Plant, task: Task, source: Path, destination: Path
) -> None:
    first = plant.lead()
    plant.begin(task)
    plant.wait_for_more(task, FILES // 10)
    first.send_signal(signal.SIGSTOP)
    movers = plant.movers()
    second = plant.lead()
    assert first.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    wait_until(lambda: not any(each.is_running() for each in movers), "the movers to be gone")
    execution_id = plant.finish(task)
    assert plant.leader() == second.pid
    check_exact(plant.database, execution_id, source, destination)


def stop_between_transactions(controller: subprocess.Popen[bytes], plant: Plant) -> None:
    """Stop the process at a moment at which it keeps nobody from writing into the journal."""
    process = psutil.Process(controller.pid)

    def stopped() -> bool:
        process.suspend()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "the controller to stop")
        if is_writable(plant.data_dir / JOURNAL_FILE):
            return True
        process.resume()
        return False

    wait_until(stopped, "the controller to stop between two transactions", PATIENCE_SECONDS)


def is_writable(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def test_controller_that_wakes_up_after_another_took_its_lease_records_nothing(
    plant: Plant, task: Task, source: Path, destination: Path
) -> None:
    first = plant.lead()
    task.limit(SLOW_BYTES_PER_SECOND)
    plant.begin(task)
    plant.wait_for_more(task, FILES // 10)
    stop_between_transactions(first, plant)
    with writing(plant.database.journal) as connection:
        connection.execute(update(leases).values(epoch=leases.c.epoch + 1, holder="elsewhere:1:1"))
    before = recorded(plant)
    first.send_signal(signal.SIGCONT)
    assert first.wait(20) == EXIT_LEASE_LOST
    assert recorded(plant) == before
    task.limit(None)
    execution_id = plant.finish(task)
    check_exact(plant.database, execution_id, source, destination)


def test_controller_without_work_ends_once_another_has_its_lease(plant: Plant) -> None:
    first = plant.lead()
    with writing(plant.database.journal) as connection:
        connection.execute(update(leases).values(epoch=leases.c.epoch + 1, holder="elsewhere:1:1"))
    assert first.wait(20) == EXIT_LEASE_LOST


def test_standby_waits_for_a_controller_that_is_alive(plant: Plant, task: Task) -> None:
    first = plant.lead()
    second = plant.start()
    plant.begin(task)
    plant.finish(task)
    assert plant.leader() == first.pid
    assert second.poll() is None
    first.kill()
    first.wait()
    wait_until(lambda: plant.leader() == second.pid, "the standby to lead")


def test_clock_that_jumps_changes_nothing_in_what_is_copied(
    plant: Plant, task: Task, source: Path, destination: Path
) -> None:
    plant.lead()
    plant.start()
    plant.begin(task)
    for hours in (2, -2, 48, -48):
        plant.wait_for_more(task, FILES // 10)
        set_clock(plant, hours * HOURS)
    execution_id = plant.finish(task)
    check_exact(plant.database, execution_id, source, destination)


def test_lease_from_the_future_is_taken_over_from_a_dead_controller(plant: Plant) -> None:
    set_clock(plant, 48 * HOURS)
    first = plant.lead()
    set_clock(plant, 0)
    first.kill()
    first.wait()
    assert plant.lead().poll() is None


@pytest.mark.parametrize("file", [JOURNAL_FILE, STATE_FILE])
def test_database_locked_by_another_process_only_delays(
    plant: Plant, task: Task, source: Path, destination: Path, file: str
) -> None:
    plant.lead()
    plant.begin(task)
    plant.wait_for_more(task, FILES // 10)
    with closing(sqlite3.connect(plant.data_dir / file, timeout=60, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        until = time.monotonic() + 2 * LEASE_SECONDS
        wait_until(lambda: time.monotonic() > until, "the lease to run out meanwhile")
        held.execute("COMMIT")
    execution_id = plant.finish(task)
    check_exact(plant.database, execution_id, source, destination)


def set_clock(plant: Plant, seconds: float) -> None:
    """Make every controller's clock wrong by so much, from one moment to the next."""
    written = plant.clock.with_suffix(".new")
    written.write_text(str(seconds))
    os.replace(written, plant.clock)
