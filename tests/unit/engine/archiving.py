"""A primary pool and archives inside a workshop, and what the catalogue knows of their files."""

from __future__ import annotations

from pathlib import Path

from longshore.domain.execution import IDLE
from tests.exactness import last_execution
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.workshop import Workshop


class Archiving:
    """A primary pool and an archive, each a folder of its own; more archives on demand."""

    def __init__(self, workshop: Workshop, folder: Path) -> None:
        self.workshop = workshop
        self.folder = folder
        self.source, self.destination = folder / "source", folder / "destination"
        self.client = workshop.client()
        self.live = self.add_pool("source", "primary")
        self.away = self.add_pool("destination", "offline_archive")

    def add_pool(self, name: str, kind: str) -> int:
        """The id of a new pool on a new folder."""
        (self.folder / name).mkdir(parents=True)
        return add_share_pool(self.client, name, kind, self.folder / name)

    def move(self) -> Task:
        return add_copy_task(self.client, self.live, self.away, workflow_action="move")

    def copy(self, away: int) -> Task:
        return add_copy_task(self.client, self.live, away)

    def erase(self, pool: int, **options: str) -> Task:
        body = {"name": "x", "workflow_type": "data_migration", "workflow_action": "erase"}
        task = Task(self.client, int(created(self.client.post("/tasks", json=body))["id"]))
        created(self.client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
        for kind, value in options.items():
            body = {"type": kind, "value": value}
            created(self.client.post(f"/tasks/{task.id}/task_options", json=body))
        return task

    def run(self, task: Task) -> int:
        """Run the task to its end; the id of its execution."""
        assert task.client.put(f"/tasks/{task.id}/action/run").status_code == 202

        def is_over() -> bool:
            shown = task.show()
            return shown["action"] == "noop" and self.workshop.status(task.id) in IDLE

        self.workshop.live(is_over)
        return last_execution(self.workshop.database, task.id)

    def state(self, *names: str) -> str:
        """What the catalogue says of the file or folder in the primary pool."""
        file_id = self.client.get(f"/pools/{self.live}").json()["primary_id"]
        for name in names:
            listed = self.client.get(f"/files/{file_id}/children").json()["files"]
            (file_id,) = (each["id"] for each in listed if each["name"] == name)
        state: str = self.client.get(f"/files/{file_id}").json()["state"]
        return state
