"""One file that kills or stops every mover that touches it: it fails alone, the others arrive."""

from __future__ import annotations

from pathlib import Path

import pytest

from longshore.domain.execution import TaskStatus
from longshore.domain.outcome import Outcome
from tests.exactness import check_records, outcomes, status_of
from tests.plants import planted
from tests.records import failed_on_record
from tests.story import add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 20
GUILTY = "f000017.dat"


@pytest.mark.parametrize(
    ("act", "point", "timeout"),
    [("kill", "mover.file", "600"), ("stop", "mover.file", "1")],
)
def test_a_poisonous_file_fails_alone(
    tmp_path: Path, source: Path, destination: Path, act: str, point: str, timeout: str
) -> None:
    grow(source, FILES)
    poison = {"point": point, "act": act, "detail": GUILTY}
    settings = {
        "LONGSHORE_ORDER_TIMEOUT_SECONDS": timeout,
        "LONGSHORE_BATCH_FILES_MAXIMUM": "2",
        "LONGSHORE_MOVERS": "1",
    }
    with planted(tmp_path / "plant", points=[poison], **settings) as plant:
        task = add_copy_task(
            plant.client,
            add_share_pool(plant.client, "live", "primary", source),
            add_share_pool(plant.client, "archive", "offline_archive", destination),
        )
        plant.lead()
        plant.begin(task)
        execution_id = plant.finish(task)
        plant.stop()
        assert status_of(plant.database, execution_id) is TaskStatus.FINISHED_WITH_WARNINGS
        assert outcomes(plant.database, execution_id) == {
            Outcome.COPIED: FILES - 1,
            Outcome.FAILED: 1,
        }
        check_records(plant.database, execution_id)
        failed = failed_on_record(plant.database)
    assert (failed.path.endswith(GUILTY.encode()), failed.error_kind) == (True, "mover_died")
    arrived = {path: what for path, what in describe(destination).items() if what[0] == "file"}
    expected = {path: what for path, what in describe(source).items() if what[0] == "file"}
    assert arrived == {
        path: what for path, what in expected.items() if not path.endswith(GUILTY.encode())
    }
    assert staged_left(destination) == []
