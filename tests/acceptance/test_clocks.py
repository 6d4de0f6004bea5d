"""A whole server whose clocks, in every process, jump by hours while a task runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore import faults
from longshore.database.connection import open_database
from tests.exactness import check_exact
from tests.servers import Server, serving, wait_until
from tests.story import add_copy_task, add_share_pool
from tests.trees import grow

FILES = 300
HOUR = 3600.0
BYTES_PER_SECOND = 400_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    plan = json.dumps({"clock": str(tmp_path / "clock")})
    yield from serving(
        tmp_path / "data",
        LONGSHORE_SLICE_SECONDS="0.1",
        LONGSHORE_BATCH_FILES_MAXIMUM="20",
        LONGSHORE_MOVERS="2",
        LONGSHORE_LEASE_SECONDS="2",
        **{faults.VARIABLE: plan},
    )


def test_a_server_keeps_at_work_when_the_clocks_of_all_its_processes_jump(
    server: Server, tmp_path: Path, source: Path, destination: Path
) -> None:
    grow(source, FILES)
    processes = {each.pid for each in server.processes()}
    with server.client() as client:
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
        )
        task.limit(BYTES_PER_SECOND)
        task.act("run")
        for hours in (5, -7, 30, -30):
            set_clock(tmp_path / "clock", hours * HOUR)
            wait_until(server.is_healthy, "a controller that is seen to lead")
            task.act("pause")
            task.act("resume")
            assert client.get("/tasks").status_code == 200, "the login counts"
        task.limit(None)
        assert task.wait()["status"] == "done"
        execution = task.execution()
    assert {each.pid for each in server.processes()} == processes, "nobody was ended for it"
    database = open_database(None, server.data_dir)
    try:
        check_exact(database, int(execution["id"]), source, destination)
    finally:
        database.dispose()


def set_clock(file: Path, seconds: float) -> None:
    """Make every clock of the server wrong by so much, from one moment to the next."""
    written = file.with_suffix(".new")
    written.write_text(str(seconds))
    os.replace(written, file)
