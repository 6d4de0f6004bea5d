"""A task with `delete` goes together with its end, whatever dies in between."""

from __future__ import annotations

from pathlib import Path

from tests.exactness import check_exact, last_execution
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import grow
from tests.workshop import CrashAt, Workshop, reaching

FILES = 3
COMMITS_MAXIMUM = 200


def test_a_one_shot_task_is_gone_after_a_crash_at_any_commit(
    workshop: Workshop, tmp_path: Path
) -> None:
    client = workshop.client()
    for number in range(1, COMMITS_MAXIMUM):
        source, destination = tmp_path / str(number) / "a", tmp_path / str(number) / "b"
        for each in (source, destination):
            each.mkdir(parents=True)
        grow(source, FILES)
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
            delete=1,
        )
        crash = CrashAt(("state.commit", "state.committed"), number)

        def is_gone(task: Task = task) -> bool:
            answer = client.get(f"/tasks/{task.id}")
            if answer.status_code == 404:
                return True
            shown = answer.json()
            assert shown["status"] != "done", "it is done, and still there"
            if shown["status"] == "not_activated" and shown["action"] == "noop":
                client.put(f"/tasks/{task.id}/action/run").raise_for_status()
            return False

        with reaching(crash):
            workshop.live_through_crashes(is_gone)
        execution_id = last_execution(workshop.database, task.id)
        check_exact(workshop.database, execution_id, source, destination)
        if not crash.has_happened:
            return
    raise AssertionError("it goes on for ever")
