"""Storages that fill up, break or go away under real movers, and come back or do not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.tables.control import waits
from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.execution import TaskStatus
from longshore.domain.outcome import Outcome
from longshore.domain.waiting import ReasonCode
from longshore.pipeline.copying import ATTEMPTS_MAXIMUM
from longshore.storage.wrappers.faults import Deed, Effect, Fault, Refuse, Truncate
from tests.exactness import check_exact, check_records, last_execution, outcomes, status_of
from tests.plants import Plant, planted
from tests.records import failed_on_record
from tests.servers import wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 300
LARGE_FILES = 24
LARGE_BYTES = 100_000
ALWAYS = 1_000_000
PATIENCE_SECONDS = 60
SLOW_BYTES_PER_SECOND = FILES * 80  # so that the storage goes away before the task ends


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with planted(tmp_path / "plant", LONGSHORE_STORAGE_RETRY_SECONDS="600") as plant:
        yield plant


def add_task(plant: Plant, source: Path, destination: Path) -> Task:
    return add_copy_task(
        plant.client,
        add_share_pool(plant.client, "live", "primary", source),
        add_share_pool(plant.client, "archive", "offline_archive", destination),
    )


def wait_for_loss(plant: Plant, task: Task) -> str:
    """Wait until the execution waits for a storage; what the controller says of it."""
    execution_id = last_execution(plant.database, task.id)

    def lost() -> str:
        with reading(plant.database.state) as connection:
            query = select(waits.c.reasons).where(waits.c.execution_id == execution_id)
            for reason in json.loads(connection.execute(query).scalar() or "[]"):
                if reason["code"] == ReasonCode.STORAGE_LOST.value:
                    return str(reason["text"])
        return ""

    found: str = wait_until(lost, "the storage to be missed", PATIENCE_SECONDS)
    return found


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a quarter of what is to be copied."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    size = LARGE_FILES * LARGE_BYTES // 4
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let its root mount: {mounted.stderr!r}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_destination_is_waited_for_until_there_is_room(
    plant: Plant, source: Path, small: Path
) -> None:
    for number in range(LARGE_FILES):
        (source / f"f{number:02}").write_bytes(os.urandom(LARGE_BYTES))
    task = add_task(plant, source, small)
    plant.lead()
    plant.begin(task)
    assert "No space left" in wait_for_loss(plant, task)
    size = 2 * LARGE_FILES * LARGE_BYTES
    subprocess.run(["mount", "-o", f"remount,size={size}", str(small)], check=True)
    execution_id = plant.finish(task)
    check_exact(plant.database, execution_id, source, small)


def test_a_destination_that_comes_back_in_time_is_gone_on_with(
    plant: Plant, source: Path, destination: Path
) -> None:
    grow(source, FILES)
    task = add_task(plant, source, destination)
    task.limit(SLOW_BYTES_PER_SECOND)
    plant.lead()
    plant.begin(task)
    plant.wait_for_more(task, FILES // 10)
    away = destination.with_name("away")
    destination.rename(away)
    assert "destination" in wait_for_loss(plant, task)
    away.rename(destination)
    task.limit(None)
    execution_id = plant.finish(task)
    check_exact(plant.database, execution_id, source, destination)


def test_a_destination_that_stays_away_stops_the_task_and_resume_goes_on(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow(source, FILES)
    with planted(tmp_path / "plant", LONGSHORE_STORAGE_RETRY_SECONDS="1") as plant:
        task = add_task(plant, source, destination)
        task.limit(SLOW_BYTES_PER_SECOND)
        plant.lead()
        plant.begin(task)
        plant.wait_for_more(task, FILES // 10)
        away = destination.with_name("away")
        destination.rename(away)
        wait_until(
            lambda: plant.status(task) is TaskStatus.STOPPED_BY_SYSTEM,
            "the task to be stopped",
            PATIENCE_SECONDS,
        )
        before = plant.processed()
        assert 0 < before < FILES
        away.rename(destination)
        task.limit(None)
        assert task.client.put(f"/tasks/{task.id}/action/resume").status_code == 202
        wait_until(
            lambda: plant.status(task) is TaskStatus.DONE, "the rest to arrive", PATIENCE_SECONDS
        )
        execution_id = plant.finish(task)
        check_exact(plant.database, execution_id, source, destination)


def fail(plant: Plant, folder: Path, *faults: Fault) -> None:
    """Let these things go wrong on the storage whose root is the folder."""
    plan = {str(folder): json.loads(msgspec.json.encode(faults))}
    plant.storages.write_text(json.dumps(plan))


@pytest.mark.parametrize(
    ("side", "deed", "kind", "retry", "attempts"),
    [
        ("source", Deed.READ, ErrorKind.INPUT_OUTPUT, RetryClass.LATER, ATTEMPTS_MAXIMUM),
        ("source", Deed.OPEN, ErrorKind.STALE, RetryClass.NOW, ATTEMPTS_MAXIMUM),
        ("source", Deed.OPEN, ErrorKind.PERMISSION, RetryClass.NEVER, 1),
        ("destination", Deed.COMMIT, ErrorKind.PERMISSION, RetryClass.NEVER, 1),
        ("destination", Deed.COMMIT, ErrorKind.STALE, RetryClass.NOW, ATTEMPTS_MAXIMUM),
    ],
)
def test_a_file_that_cannot_be_copied_fails_after_its_attempts_and_the_others_arrive(
    plant: Plant,
    source: Path,
    destination: Path,
    side: str,
    deed: Deed,
    kind: ErrorKind,
    retry: RetryClass,
    attempts: int,
) -> None:
    grow(source, FILES // 10)
    broken = Fault(deed, Refuse(kind, retry), pattern="*f000007.dat", times=ALWAYS)
    fail(plant, source if side == "source" else destination, broken)
    task = add_task(plant, source, destination)
    plant.lead()
    plant.begin(task)
    execution_id = plant.finish(task)
    assert status_of(plant.database, execution_id) is TaskStatus.FINISHED_WITH_WARNINGS
    assert outcomes(plant.database, execution_id) == {
        Outcome.COPIED: FILES // 10 - 1,
        Outcome.FAILED: 1,
    }
    check_records(plant.database, execution_id)
    failed = failed_on_record(plant.database)
    assert failed.path.endswith(b"f000007.dat")
    assert (failed.error_kind, failed.attempts) == (kind.value, attempts)
    missing = {path for path, what in describe(source).items() if what[0] == "file"} - set(
        describe(destination)
    )
    assert missing == {failed.path}
    assert staged_left(destination) == []


PASSING: dict[str, list[tuple[Deed, Effect]]] = {
    "EIO": [
        (deed, Refuse(ErrorKind.INPUT_OUTPUT, RetryClass.LATER))
        for deed in (Deed.WRITE, Deed.COMMIT, Deed.MAKE_DURABLE, Deed.READ_BACK)
    ],
    "ESTALE": [
        (deed, Refuse(ErrorKind.STALE, RetryClass.NOW))
        for deed in (Deed.OPEN_FOLDER, Deed.WRITE, Deed.COMMIT, Deed.READ_BACK)
    ],
    "writes and reads that stop short": [
        (Deed.WRITE, Truncate(5)),
        (Deed.READ_BACK, Truncate(3)),
    ],
}


@pytest.mark.parametrize("name", PASSING)
def test_writes_that_fail_for_a_while_are_repeated_until_they_succeed(
    plant: Plant, source: Path, destination: Path, name: str
) -> None:
    grow(source, FILES // 10)
    passing = [Fault(deed, effect, first=2, times=2) for deed, effect in PASSING[name]]
    fail(plant, destination, *passing)
    task = add_task(plant, source, destination)
    plant.lead()
    plant.begin(task)
    execution_id = plant.finish(task)
    check_exact(plant.database, execution_id, source, destination)
