"""A move removes a source only if its copy was read back, and it still is what was read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from longshore.domain.execution import IDLE
from longshore.domain.outcome import Outcome
from longshore.domain.storage import StorageAddress
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import Corrupt, Deed, Fault, FaultPlan
from longshore.storage.wrappers.faulty import FaultyStorage
from tests.exactness import last_execution, outcomes
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left
from tests.workshop import Workshop, open_quickly

FOR_EVER = 1_000_000


class Story:
    """A primary pool, an archive, and a move from the one to the other."""

    def __init__(self, workshop: Workshop, folder: Path) -> None:
        self.workshop = workshop
        self.source, self.destination = folder / "source", folder / "destination"
        self.source.mkdir(parents=True)
        self.destination.mkdir()
        self.client = workshop.client()
        self.live = add_share_pool(self.client, "live", "primary", self.source)
        self.away = add_share_pool(self.client, "archive", "offline_archive", self.destination)

    def move(self) -> Task:
        return add_copy_task(self.client, self.live, self.away, workflow_action="move")

    def run(self, task: Task) -> int:
        """Run the task to its end; the id of its execution."""
        assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202

        def is_over() -> bool:
            shown = task.show()
            return shown["action"] == "noop" and self.workshop.status(task.id) in IDLE

        self.workshop.live(is_over)
        return last_execution(self.workshop.database, task.id)

    def state(self, name: str) -> str:
        """What the catalogue says of the file at the top of the primary pool."""
        root = self.client.get(f"/pools/{self.live}").json()["primary_id"]
        listed = self.client.get(f"/files/{root}/children").json()["files"]
        (file_id,) = (each["id"] for each in listed if each["name"] == name)
        state: str = self.client.get(f"/files/{file_id}").json()["state"]
        return state


def test_move_reads_its_copies_back_even_if_that_is_switched_off(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.config = replace(workshop.config, verify_by_reading_back=False)
    story = Story(workshop, tmp_path / "s")
    grow(story.source, 3)
    before = describe(story.source)

    def open_storage(address: StorageAddress) -> StorageHandler:
        opened = open_quickly(address)
        damage = FaultPlan([Fault(Deed.WRITE, Corrupt(3), times=FOR_EVER)])
        is_there = address.settings["root"] == str(story.destination)
        return FaultyStorage(opened, damage) if is_there else opened

    workshop.open_storage = open_storage
    execution = story.run(story.move())
    assert outcomes(workshop.database, execution) == {Outcome.FAILED: 3}
    assert describe(story.source) == before
    assert staged_left(story.destination) == []
