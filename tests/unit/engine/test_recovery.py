"""What a controller does with executions that the one before it left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from longshore.domain.execution import TaskStatus
from tests.exactness import check_exact, last_execution
from tests.unit.engine.test_crashes import FILES, add_task, files_in, request
from tests.workshop import Crash, CrashAt, Workshop, reaching


def test_a_run_stops_at_a_crash_where_that_is_set_and_resume_finishes_it(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.config = replace(workshop.config, recovery_stops_tasks=True)
    task, source, destination = add_task(workshop.client(), tmp_path / "tree")
    request(task, "run")
    in_the_middle = CrashAt(("mover.published",), 2)

    def crash(point: str, detail: bytes) -> None:
        # The mover is gone at its second batch, and the controller before it hears of that.
        if in_the_middle.has_happened and point.endswith(".commit"):
            raise Crash
        in_the_middle(point, detail)

    with reaching(crash), pytest.raises(Crash):
        workshop.live(lambda: False)
    assert workshop.status(task.id) is TaskStatus.IN_PROGRESS
    assert 0 < len(files_in(destination)) < FILES

    workshop.live(lambda: workshop.status(task.id) is TaskStatus.STOPPED_BY_SYSTEM)
    assert 0 < len(files_in(destination)) < FILES, "nothing went on by itself"
    execution_id = last_execution(workshop.database, task.id)
    request(task, "resume")
    workshop.live(lambda: workshop.status(task.id) is TaskStatus.DONE)
    assert last_execution(workshop.database, task.id) == execution_id
    check_exact(workshop.database, execution_id, source, destination)
