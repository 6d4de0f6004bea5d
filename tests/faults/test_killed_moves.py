"""Movers are killed before and after they remove what was moved, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from longshore.domain.execution import TaskStatus
from tests.exactness import check_records, status_of
from tests.plants import planted
from tests.story import add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 200
POINTS = ("mover.order", "mover.reply")
KINDS = ("RELEASE", "PRUNE")


def test_a_move_is_exact_when_movers_die_while_they_remove_its_sources(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow(source, FILES)
    before = describe(source)
    claims = {(point, kind): tmp_path / f"{point}.{kind}" for point in POINTS for kind in KINDS}
    deaths = [
        {"point": point, "detail": kind, "act": "kill", "claim": str(claim)}
        for (point, kind), claim in claims.items()
    ]
    for claim in claims.values():
        claim.touch()
    with planted(tmp_path / "plant", points=deaths) as plant:
        plant.lead()
        task = add_copy_task(
            plant.client,
            add_share_pool(plant.client, "live", "primary", source),
            add_share_pool(plant.client, "archive", "offline_archive", destination),
            workflow_action="move",
        )
        plant.begin(task)
        execution_id = plant.finish(task)
        assert [claim for claim in claims.values() if claim.exists()] == [], "nobody was killed"
        assert status_of(plant.database, execution_id) is TaskStatus.DONE
        check_records(plant.database, execution_id)
    assert describe(destination) == before
    assert staged_left(destination) == []
    assert describe(source) == {}
