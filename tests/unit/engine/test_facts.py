"""What a manifest says of where files came from and went to, for tasks with several of each."""

from __future__ import annotations

from pathlib import Path

from longshore.domain.execution import TaskStatus
from longshore.domain.manifest import FileRecord, Header
from longshore.domain.manifest_chain import verified
from tests.story import add_copy_task, add_share_pool, created
from tests.workshop import Workshop


def test_records_name_their_source_and_their_destination(
    workshop: Workshop, tmp_path: Path
) -> None:
    folders = {name: tmp_path / name for name in ("north", "south", "one", "two")}
    for folder in folders.values():
        folder.mkdir()
    (folders["north"] / "n").write_bytes(b"n")
    (folders["south"] / "s").write_bytes(b"s")
    client = workshop.client()
    pools = {
        name: add_share_pool(
            client, name, "primary" if name in {"north", "south"} else "offline_archive", folder
        )
        for name, folder in folders.items()
    }
    task = add_copy_task(client, pools["north"], pools["one"])
    base = f"/tasks/{task.id}"
    created(client.post(f"{base}/task_sources", json={"pool_id": pools["south"]}))
    created(client.post(f"{base}/task_destinations", json={"pool_id": pools["two"]}))
    client.put(f"{base}/action/run").raise_for_status()
    workshop.live(lambda: workshop.status(task.id) is TaskStatus.DONE)
    created(client.post(f"{base}/task_options", json={"type": "full_report", "value": "0"}))
    report = client.get(f"{base}/task_executions/{task.execution()['id']}/report")
    header, *found = verified(report.content.splitlines(keepends=True))
    assert isinstance(header, Header)
    assert header.full, "what the task says now does not change what it said"
    records = [each for each in found if isinstance(each, FileRecord)]
    ways = {
        (
            each.path,
            header.sources[each.source or 0]["storage"]["name"].partition("-")[0],
            header.destinations[each.destination or 0]["storage"]["name"].partition("-")[0],
        )
        for each in records
    }
    assert len(records) == 4
    assert ways == {
        ("/n", "north", "one"),
        ("/n", "north", "two"),
        ("/s", "south", "one"),
        ("/s", "south", "two"),
    }
