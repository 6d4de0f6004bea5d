"""What comes back is settled once, whoever has settled it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from longshore.database import journal
from longshore.engine import controller
from longshore.engine.executors import Completion
from longshore.engine.floor import Floor
from longshore.engine.returned import Returned
from longshore.engine.settling import settle
from longshore.pipeline.messages.replies import SpeedReply
from tests.story import Task, created
from tests.unit.engine.archiving import Archiving
from tests.workshop import Workshop


def test_a_measured_speed_does_not_count_where_its_item_is_settled_already(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[bool] = []

    def settle_late(floor: Floor, returned: Sequence[Returned]) -> None:
        with floor.journal() as connection:
            removed.extend(
                journal.remove_work(connection, each.item.id)
                for each in returned
                if _is_measured(each)
            )
        settle(floor, returned)

    monkeypatch.setattr(controller, "settle", settle_late)
    archiving = Archiving(workshop, tmp_path / "s")
    body = {"name": "x", "workflow_type": "maintenance", "workflow_action": "speedtest"}
    task = Task(archiving.client, int(created(archiving.client.post("/tasks", json=body))["id"]))
    source = {"pool_id": archiving.live}
    created(archiving.client.post(f"/tasks/{task.id}/task_sources", json=source))
    archiving.run(task)
    shown = task.execution()
    assert removed == [True]
    counts = [shown[f"{kind}_files"] for kind in ("to_process", "processed", "finalized")]
    assert counts == [0, 0, 0]


def _is_measured(returned: Returned) -> bool:
    completion = returned.completion
    return isinstance(completion, Completion) and isinstance(completion.reply, SpeedReply)
