"""The documented example of a plug-in, installed as a package, in a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server, serving
from tests.story import add_copy_task, add_share_pool, created
from tests.trees import staged_left

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "site_policy"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder that the example is installed into."""
    package = shutil.copytree(EXAMPLE, tmp_path / "package")
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--no-build-isolation", "--disable-pip-version-check", "--target", str(target),
         str(package)],
        check=True,
        timeout=120,
    )  # fmt: skip
    return target


@pytest.fixture
def server(tmp_path: Path, installed: Path) -> Iterator[Server]:
    settings = {
        "PYTHONPATH": str(installed),
        "SITE_POLICY_JOURNAL": str(tmp_path / "journal.jsonl"),
    }
    yield from serving(tmp_path / "data", **settings)


def test_the_example_refuses_changes_and_is_told(
    server: Server, tmp_path: Path, source: Path, destination: Path
) -> None:
    (source / "a.txt").write_text("a")
    (source / "a.tmp").write_text("discarded")
    films = {f"film number {number}" for number in range(30)}
    for film in sorted(films):
        (source / film).mkdir()
        (source / film / "whatever.mov").write_text(film)
    with server.client() as client:
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
        )
        job = task.request("run")
        assert job["status"] == "failed"
        assert "site-policy refuses the start: metadata cost_centre is missing" in job["reason"]
        assert not list(destination.iterdir())
        created(
            client.post(
                f"/tasks/{task.id}/task_metadata", json={"key": "cost_centre", "value": "4711"}
            )
        )
        task.act("run")
        assert task.wait()["status"] == "done"
        assert (destination / "a.txt").read_text() == "a"
        assert not (destination / "a.tmp").exists()
        # Thirty files come to one name at the same time, and the conflict rule keeps all of them.
        sorted_in = list((destination / "films").iterdir())
        assert {file.read_text() for file in sorted_in} == films
        assert "film.mov" in {file.name for file in sorted_in}
        assert not list(destination.rglob("whatever.mov"))
        assert not staged_left(destination)
        assert task.execution()["processed_files"] == 31
        outcomes = {file["name"]: file["outcome"] for file in task.files()}
        assert outcomes["a.tmp"] == "refused"
        assert {file["checksum_type"] for file in task.files()} == {"sha256", None}
        assert client.get(f"/tasks/{task.id}/task_options").json()["count"] == 0
        execution = int(task.execution()["id"])
    assert server.stop() == 0
    (line,) = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "task": task.id,
        "execution": execution,
        "status": "done",
        "failed_files": 0,
    }
    assert "a plug-in is loaded" in server.log.read_text()
