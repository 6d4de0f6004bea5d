"""A report of a real run says what is there, and `verify-manifest` finds what is not any more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from longshore.cli.manifest_check import lines_of
from longshore.domain.manifest import FileRecord, Header, unescape
from longshore.domain.manifest_chain import Problem, verified
from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import grow

FILES = 2500
FORMS = ["jsonl", "csv", "parquet"]
REFUSE_TMP = """
import utils


def run(req):
    return not utils.get_node_info(req).path.endswith(".tmp")
"""
ODD = b'od\xff\\d "\n=,.txt'


@pytest.fixture
def task(server: Server, source: Path, destination: Path) -> Iterator[Task]:
    """A finished task over a tree with odd names, a link, and a file that its callback refuses."""
    grow(source, FILES)
    (source / "link").symlink_to("d000")
    (source / "refused.tmp").write_bytes(b"no")
    with open(os.path.join(os.fsencode(source), ODD), "wb") as file:
        file.write(b"odd")
    with server.client() as client:
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
            options={"file_checksum": "sha256"},
            script=REFUSE_TMP,
        )
        task.client.post(f"/tasks/{task.id}/task_metadata", json={"key": "project", "value": "x"})
        task.act("run")
        assert task.wait()["status"] == "done"
        yield task


def fetch(task: Task, form: str, folder: Path) -> Path:
    """The report as a file, as a browser would keep it."""
    path = f"/task_executions/{task.execution()['id']}/report"
    with task.client.stream("GET", path, params={"format": form}) as answer:
        assert answer.status_code == 200
        name = answer.headers["content-disposition"].partition('"')[2].rstrip('"')
        file = folder / name
        with file.open("wb") as kept:
            for piece in answer.iter_bytes():
                kept.write(piece)
    return file


def verify(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "longshore", "verify-manifest", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_report_is_the_tree_and_differences_are_found(
    task: Task, source: Path, destination: Path, tmp_path: Path
) -> None:
    files = {form: fetch(task, form, tmp_path) for form in FORMS}
    found = {form: list(verified(lines_of(file))) for form, file in files.items()}
    records = [each for each in found["jsonl"] if isinstance(each, FileRecord)]
    for form in FORMS:
        assert not [each for each in found[form] if isinstance(each, Problem)]
        assert [each for each in found[form] if isinstance(each, FileRecord)] == records
    header = found["jsonl"][0]
    assert isinstance(header, Header)
    assert header.final
    assert header.execution["status"] == "done"
    assert header.facts["options"] == {"file_checksum": "sha256"}
    assert header.facts["metadata"] == {"project": "x"}
    assert header.sources[0]["storage"]["name"].startswith("live-")
    assert header.destinations[0]["storage"]["name"].startswith("archive-")

    written = {unescape(each.path): each for each in records if each.outcome == "copied"}
    assert set(written) == content_of(destination)
    for path, record in written.items():
        whole = os.fsencode(destination) + path
        state = os.lstat(whole)
        assert (record.size, record.mtime_ns) == (state.st_size, state.st_mtime_ns)
        assert unescape(record.target_path or "") == path
        if record.kind == "file":
            with open(whole, "rb") as file:
                assert record.xxh3_128 == xxhash.xxh3_128_hexdigest(file.read())
    (refused,) = [each for each in records if each.outcome == "refused"]
    assert refused.path == "/refused.tmp"
    assert refused.callback_id is not None

    for form in FORMS:
        checked = verify(files[form], "--root", destination)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
        assert f"{FILES + 2} files read: all as written" in checked.stdout
    victims = sorted(destination.rglob("*.dat"), key=lambda path: path.stat().st_size)[-3:]
    corrupted, missing, truncated = victims
    for victim in victims:
        victim.chmod(0o600)
    damaged = bytearray(corrupted.read_bytes())
    damaged[7] ^= 1
    corrupted.write_bytes(damaged)
    missing.unlink()
    os.truncate(truncated, 3)
    for form in FORMS:
        checked = verify(files[form], "--root", destination)
        *differences, summary = checked.stdout.splitlines()
        assert checked.returncode == 1
        assert sorted(each.partition(": ")[0] for each in differences) == sorted(
            f"/{victim.relative_to(destination)}" for victim in victims
        )
        assert "its content is another one" in line_about(differences, corrupted)
        assert "missing" in line_about(differences, missing)
        assert "3 bytes instead of" in line_about(differences, truncated)
        assert "3 problems" in summary


def test_a_report_of_a_paused_task_says_that_more_may_come(
    server: Server, source: Path, destination: Path, tmp_path: Path
) -> None:
    grow(source, 30)
    with server.client() as client:
        task = add_copy_task(
            client,
            add_share_pool(client, "live", "primary", source),
            add_share_pool(client, "archive", "offline_archive", destination),
        )
        client.put(f"/tasks/{task.id}/action/run").raise_for_status()
        task.request("pause")  # fails where the task was faster, which changes nothing here
        file = fetch(task, "jsonl", tmp_path)
        header = next(verified(lines_of(file)))
        assert isinstance(header, Header)
        over = task.show()["status"] == "done"
        assert header.final is over
        assert ("was not over" in verify(file).stdout) is not over


def content_of(root: Path) -> set[bytes]:
    """Everything below the root that is not a folder, as `/path`."""
    base = os.fsencode(root)
    found = set()
    for folder, folders, names in os.walk(base):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            found.add(b"/" + os.path.relpath(os.path.join(folder, name), base))
    return found


def line_about(differences: list[str], path: Path) -> str:
    (line,) = [each for each in differences if path.name in each]
    return line
