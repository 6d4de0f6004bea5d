"""Random sequences of requests and actions on a real server, against a model of what may happen.

The model knows the table of transitions and what is frozen while a task runs. There are quick
tasks, which are over by themselves, and slow ones, held back by a limit, which run until told
otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from longshore.domain.execution import RUNNING, Event, IllegalTransition, TaskStatus, after
from tests.servers import Server, serving
from tests.story import Task, add_copy_task, add_share_pool, created

SLOW_FILES, SLOW_FILE_BYTES = 200, 32 * 1024
SLOW_BYTES_PER_SECOND = 16 * 1024  # so a slow task takes minutes, and a sequence of steps seconds
ACTIVE = ("calculating", "in_progress")
FROZEN_TASK = {"base": [{"error": "frozen"}]}
SEQUENCES, STEPS = 20, 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from serving(
        tmp_path_factory.mktemp("server") / "data",
        LONGSHORE_SLICE_SECONDS="0.1",
        LONGSHORE_MOVERS="2",
        LONGSHORE_BATCH_FILES_MAXIMUM="5",
    )


@dataclass(slots=True)
class Model:
    """What the server ought to know of one task."""

    task: Task
    slow: bool
    status: TaskStatus = TaskStatus.NOT_ACTIVATED
    fields: dict[str, Any] = field(default_factory=dict)
    executions: int = 0

    @property
    def runs(self) -> bool:
        return self.status in RUNNING

    @property
    def path(self) -> str:
        return f"/tasks/{self.task.id}"

    def allows(self, event: Event) -> bool:
        if event is Event.RUN and not self.fields["activate"]:
            return False
        try:
            after(self.status, event)
        except IllegalTransition:
            return False
        return True


class Tasks(RuleBasedStateMachine):
    """Tasks of one user, driven over HTTP."""

    client: ClassVar[httpx.Client]
    failures: ClassVar[list[Exception]]
    pools: ClassVar[dict[bool, tuple[int, int]]]  # by whether the tree is that of slow tasks

    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.models: list[Model] = []

    @rule(target=known, slow=st.booleans(), priority=st.integers(1, 10))
    def create(self, slow: bool, priority: int) -> Any:
        if len(self.models) == 3:
            return multiple()
        task = add_copy_task(self.client, *self.pools[slow], priority=priority)
        fields = {"priority": priority, "activate": 1, "conflict_resolution": None}
        model = Model(task, slow, fields=fields)
        if slow:
            body = {"bandwidth": SLOW_BYTES_PER_SECOND}
            self.client.put(f"{model.path}/limits", json=body).raise_for_status()
        self.models.append(model)
        return model

    @rule(
        model=known,
        change=st.one_of(
            st.fixed_dictionaries({"priority": st.integers(1, 10)}),
            st.fixed_dictionaries({"activate": st.integers(0, 1)}),
            st.fixed_dictionaries({"comment": st.sampled_from(["one", "two", None])}),
        ),
    )
    def change_what_is_never_frozen(self, model: Model, change: dict[str, Any]) -> None:
        assert self.client.put(model.path, json=change).status_code == 200
        model.fields |= change

    @rule(model=known, wanted=st.sampled_from(["rename", "overwrite", "ignore"]))
    def change_what_a_run_depends_on(self, model: Model, wanted: str) -> None:
        change = {"conflict_resolution": wanted}
        answer = self.client.put(model.path, json=change)
        if model.runs and model.fields["conflict_resolution"] != wanted:
            assert answer.status_code == 422
            assert answer.json()["details"] == {"conflict_resolution": [{"error": "frozen"}]}
        else:
            assert answer.status_code == 200
            model.fields |= change

    @rule(model=known)
    def attach_and_detach_a_part(self, model: Model) -> None:
        parts = f"{model.path}/task_metadata"
        answer = self.client.post(parts, json={"key": "a", "value": "b"})
        if model.runs:
            assert (answer.status_code, answer.json()["details"]) == (422, FROZEN_TASK)
        else:
            part = created(answer)["id"]
            assert self.client.delete(f"{parts}/{part}").status_code == 204

    @rule(model=known, event=st.sampled_from([Event.RUN, Event.PAUSE, Event.RESUME, Event.STOP]))
    def act(self, model: Model, event: Event) -> None:
        allowed = model.allows(event)
        job = model.task.request(event.value)
        assert job["status"] == ("completed" if allowed else "failed"), (model.status, job)
        if not allowed:
            assert job["reason"]
            return
        if event is Event.RUN:
            model.executions += 1
        model.status = after(model.status, event)
        if model.status is TaskStatus.IN_QUEUE:
            self.go_on(model)

    @rule(model=known)
    def run_and_pause_at_once(self, model: Model) -> None:
        """Nobody can say which is first, the pause or the end; but job and status agree."""
        if not model.allows(Event.RUN):
            return
        model.task.act("run")
        model.executions += 1
        job = model.task.request("pause")
        if job["status"] == "completed":
            model.status = TaskStatus.PAUSED
        else:
            model.status = TaskStatus.IN_QUEUE
            self.go_on(model)

    @rule(model=consumes(known))
    def delete(self, model: Model) -> Any:
        answer = self.client.delete(model.path)
        if model.runs:
            assert (answer.status_code, answer.json()["details"]) == (422, FROZEN_TASK)
            model.task.act("stop")
            answer = self.client.delete(model.path)
        assert answer.status_code == 204
        assert self.client.get(model.path).status_code == 404
        self.models.remove(model)

    def go_on(self, model: Model) -> None:
        """Follow a task out of the queue, as far as it gets by itself."""
        if model.slow:
            model.status = TaskStatus(model.task.wait(*ACTIVE)["status"])
        else:
            model.status = TaskStatus(model.task.wait()["status"])
            assert model.status is TaskStatus.DONE

    @invariant()
    def the_server_agrees(self) -> None:
        for model in self.models:
            shown = model.task.show()
            assert {name: shown[name] for name in model.fields} == model.fields
            expected = ACTIVE if model.status in ACTIVE else (model.status,)
            assert shown["status"] in expected
            assert shown["action"] == "noop"
            # Not the other way round: a task that is paused or stopped once everything found so
            # far is processed shows 100, too (semantics, section 5).
            if model.status is TaskStatus.DONE:
                assert shown["progress"] == 100
            answer = self.client.get(f"{model.path}/task_executions?sort_by=id:desc").json()
            assert answer["count"] == model.executions
            statuses = [each["status"] for each in answer["task_executions"]]
            assert statuses[:1] == [shown["status"]][: model.executions] or model.status in ACTIVE
            assert not RUNNING.intersection(statuses[1:])

    def teardown(self) -> None:
        failure = sys.exc_info()[1]
        if isinstance(failure, Exception):
            # What a server does is not the same every time: a repetition may not fail again.
            Tasks.failures.append(failure)
        for model in self.models:
            if model.task.show()["status"] in RUNNING:
                model.task.request("stop")
            self.client.delete(model.path)


def grow(folder: Path, files: dict[str, int]) -> None:
    folder.mkdir()
    for name, size in files.items():
        (folder / name).write_bytes(os.urandom(size))


@pytest.mark.slow
def test_random_sequences_do_what_the_model_says(server: Server, tmp_path: Path) -> None:
    grow(tmp_path / "quick", {"a": 10, "b": 2_000})
    grow(tmp_path / "slow", {f"{number:03}": SLOW_FILE_BYTES for number in range(SLOW_FILES)})
    with server.client() as client:
        Tasks.client, Tasks.pools, Tasks.failures = client, {}, []
        for slow, name in ((False, "quick"), (True, "slow")):
            (tmp_path / f"{name}-archive").mkdir()
            Tasks.pools[slow] = (
                add_share_pool(client, "live", "primary", tmp_path / name),
                add_share_pool(client, "archive", "offline_archive", tmp_path / f"{name}-archive"),
            )
        try:
            run_state_machine_as_test(
                Tasks,
                settings=settings(
                    max_examples=SEQUENCES,
                    stateful_step_count=STEPS,
                    phases=[Phase.generate],  # shrinking would take minutes
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except Exception:
            raise Tasks.failures[0] from None
