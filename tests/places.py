"""The ends of tasks on a server under test: containers and pools of one share, as folders here."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.story import Task, add_share_pool, created
from tests.trees import describe

Tree = dict[bytes, tuple[object, ...]]

TYPES = {"C": "container", "P": "primary_nas", "S": "secondary_nas"}
"""The storage types of the three kinds of ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A container (C), or a primary (P) or secondary (S) pool, with its folder on this machine."""

    kind: str
    id: int
    name: str
    folder: Path

    @property
    def type(self) -> str:
        return TYPES[self.kind]

    def as_source(self, path: str = "") -> dict[str, Any]:
        return self._end("file_path", path)

    def as_destination(self, path: str = "") -> dict[str, Any]:
        return self._end("folder_path", path)

    def _end(self, attribute: str, path: str) -> dict[str, Any]:
        if self.kind == "C":
            return {attribute: f"/{self.name}/{path}".rstrip("/")}
        return {"pool_id": self.id, **({attribute: f"/{path}"} if path else {})}

    def tree(self, path: str = "") -> Tree:
        return describe(self.folder / path)


@dataclass(slots=True)
class Site:
    """A server, and places on it that every test makes anew."""

    containers: Path  # the folder in which the server has them
    client: httpx.Client
    folder: Path  # for the shares
    places: Iterator[int] = field(default_factory=lambda: iter(range(10**6)))

    def place(self, kind: str, pool_type: str = "offline_archive") -> Place:
        """A new, empty place; `pool_type` is that of secondary storage."""
        if kind == "C":
            return self._container()
        folder = self.folder / f"{kind}{next(self.places)}"
        folder.mkdir(parents=True)
        pool = add_share_pool(
            self.client, kind.lower(), "primary" if kind == "P" else pool_type, folder
        )
        name = self.client.get(f"/pools/{pool}").json()["name"]
        return Place(kind=kind, id=pool, name=name, folder=folder)

    def _container(self) -> Place:
        before = self._container_folders()
        name = f"c-{uuid.uuid4().hex[:8]}"
        made = created(self.client.post("/containers", json={"name": name}))
        (folder,) = self._container_folders() - before
        return Place(kind="C", id=made["id"], name=name, folder=folder)

    def _container_folders(self) -> set[Path]:
        return set(self.containers.iterdir()) if self.containers.exists() else set()

    def task(
        self,
        workflow_type: str,
        workflow_action: str,
        sources: list[dict[str, Any]],
        destinations: list[dict[str, Any]] | None = None,
        *,
        options: dict[str, str] | None = None,
        **fields: Any,
    ) -> Task:
        body = {
            "name": f"{workflow_type} {workflow_action}",
            "workflow_type": workflow_type,
            "workflow_action": workflow_action,
            **fields,
        }
        task = Task(self.client, int(created(self.client.post("/tasks", json=body))["id"]))
        parts = [("task_sources", each) for each in sources]
        parts += [("task_destinations", each) for each in destinations or []]
        parts += [("task_options", {"type": k, "value": v}) for k, v in (options or {}).items()]
        for part, values in parts:
            created(self.client.post(f"/tasks/{task.id}/{part}", json=values))
        return task

    def node(self, file_id: int) -> dict[str, Any]:
        """What the catalogue knows of a file."""
        answer = self.client.get(f"/files/{file_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def live_copies(self, file_id: int) -> Counter[str]:
        """The names of the storages on which the file has live copies."""
        copies = self.node(file_id)["copies"]
        return Counter(each["storage"]["name"] for each in copies if each["state"] == "live")

    def catalogued(self, place: Place) -> dict[str, dict[str, Any]]:
        """The files of the place's tree in the catalogue, by their path there."""
        owner = "containers" if place.kind == "C" else "pools"
        shown = self.client.get(f"/{owner}/{place.id}").json()
        root = shown.get("primary_id") or self._root_of(place.name)
        return dict(self._below(root, ""))

    def _root_of(self, name: str) -> int:
        roots = self.client.get("/files", params={"limit": 10_000}).json()["files"]
        (found,) = (each["id"] for each in roots if each["name"] == name)
        return int(found)

    def _below(self, folder_id: int, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        answer = self.client.get(f"/files/{folder_id}/children", params={"limit": 10_000})
        for each in answer.json()["files"]:
            inside = f"{path}/{each['name']}"
            if each["type"] == "folder":
                yield from self._below(each["id"], inside)
            else:
                yield inside.lstrip("/"), self.node(each["id"])


def files_of(tree: Tree) -> Tree:
    return {path: what for path, what in tree.items() if what[0] != "folder"}


def check_run(task: Task, expected: Tree, outcome: str, *, status: str = "done") -> None:
    """The last run has each file of the tree on record once, and counts what it has on record."""
    execution, records = task.execution(), task.files()
    assert execution["status"] == status, execution
    found = Counter(each["file_path"].lstrip("/") for each in records)
    assert found == Counter(path.decode() for path in files_of(expected))
    assert {each["outcome"] for each in records} == {outcome}
    size = sum(each["size"] for each in records)
    counted = {
        "to_process_files": len(records),
        "processed_files": len(records),
        "finalized_files": len(records),
        "failed_files": 0,
        "to_process_size": size,
        "processed_size": size,
    }
    assert {name: execution[name] for name in counted} == counted
