"""Odd names, unreadable files, vanishing sources, full destinations, scripts that fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import Server, serving
from tests.story import add_copy_task, add_share_pool
from tests.trees import describe, staged_left

AS_ROOT = os.geteuid() == 0

ODD_NAMES = [
    b"new\nline",
    b"\xff\xfe not utf-8 \x80",
    b"-rf",
    b" leading and trailing ",
    "ünïcode 文件".encode(),
    b"tab\tbell\x07",
    b"back\\slash",
    b"quote'\"",
    b"x" * 255,
    b"*?[glob]",
]


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_odd_names_arrive_as_they_are(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    base = os.fsencode(source)
    for number, name in enumerate(ODD_NAMES):
        with open(os.path.join(base, name), "wb") as file:
            file.write(b"%d" % number)
        os.makedirs(os.path.join(base, b"folders", name[:200]))
        os.symlink(name, os.path.join(base, b"folders", name[:200], b"link"))
    live = add_share_pool(client, "live", "primary", source)
    task = add_copy_task(
        client,
        live,
        add_share_pool(client, "archive", "offline_archive", destination),
        script="def run(req):\n    return True\n",
    )
    task.act("run")
    assert task.wait()["status"] == "done"
    assert describe(destination) == describe(source)
    assert len(task.files()) == 2 * len(ODD_NAMES)
    pool = client.get(f"/pools/{live}").json()
    listed = client.get(f"/files/{pool['primary_id']}/children", params={"limit": 100}).json()
    assert listed["count"] == len(ODD_NAMES) + 1


@pytest.mark.skipif(AS_ROOT, reason="root may read every file")
def test_an_unreadable_file_is_an_error_of_its_own_as_an_ordinary_user(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    (source / "secret").write_text("x")
    (source / "secret").chmod(0)
    check_one_failure(client, source, destination, "permission")


def test_special_files_are_reported_and_left_alone(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    os.mkfifo(source / "pipe")
    check_one_failure(client, source, destination, "special_file")


def check_one_failure(client: httpx.Client, source: Path, destination: Path, kind: str) -> None:
    (source / "good").write_text("good")
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
    )
    task.act("run")
    assert task.wait()["status"] == "finished_with_warnings"
    by_outcome = {record["outcome"]: record for record in task.files()}
    assert by_outcome["failed"]["error"]["kind"] == kind
    assert by_outcome["copied"]["name"] == "good"
    assert os.listdir(destination) == ["good"]
    execution = task.execution()
    assert (execution["processed_files"], execution["to_process_files"]) == (1, 2)


def test_a_source_that_vanishes_stops_the_task_with_the_reason_and_resume_finishes_it(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    (source / "file").write_text("precious")
    for server in serving(tmp_path / "data", LONGSHORE_STORAGE_RETRY_SECONDS="0"):
        with server.client() as client:
            task = add_copy_task(
                client,
                add_share_pool(client, "live", "primary", source),
                add_share_pool(client, "archive", "offline_archive", destination),
            )
            source.rename(tmp_path / "elsewhere")
            task.act("run")
            assert task.wait()["status"] == "stopped_by_system"
            assert "source" in task.execution()["reason"]
            (tmp_path / "elsewhere").rename(source)
            task.act("resume")
            assert task.wait("done")["status"] == "done"
    assert describe(destination) == describe(source)


@pytest.mark.skipif(not AS_ROOT, reason="mounting a small file system needs root")
def test_a_full_destination_stops_the_task_with_the_reason(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    for number in range(20):
        (source / f"f{number:02}").write_bytes(bytes([number]) * 300_000)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(destination)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        for server in serving(tmp_path / "data", LONGSHORE_STORAGE_RETRY_SECONDS="0"):
            with server.client() as client:
                task = add_copy_task(
                    client,
                    add_share_pool(client, "live", "primary", source),
                    add_share_pool(client, "archive", "offline_archive", destination),
                )
                task.act("run")
                assert task.wait()["status"] == "stopped_by_system"
                assert "No space left" in task.execution()["reason"]
                whole = describe(source)
                for path, what in describe(destination).items():
                    assert path.startswith(b".longshore-") or whole[path] == what
                subprocess.run(["mount", "-o", "remount,size=50m", str(destination)], check=True)
                task.act("resume")
                assert task.wait("done")["status"] == "done"
                assert describe(destination) == whole
                assert staged_left(destination) == []
    finally:
        subprocess.run(["umount", str(destination)], check=False)


def test_scripts_that_fail_are_errors_of_their_files(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    for name in ("good", "bad", "odd"):
        (source / name).write_text(name)
    script = (
        "import utils\n"
        "def run(req):\n"
        "    path = utils.get_node_info(req).path\n"
        "    if path.endswith('bad'):\n"
        "        raise ValueError('no such luck')\n"
        "    return 1 if path.endswith('odd') else True\n"
    )
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        script=script,
    )
    task.act("run")
    assert task.wait()["status"] == "finished_with_warnings"
    errors = {record["name"]: record["error"] for record in task.files()}
    assert errors["good"] is None
    assert "no such luck" in errors["bad"]["text"]
    assert "line 5" in errors["bad"]["text"]
    assert "True or False" in errors["odd"]["text"]
    assert {error["kind"] for error in errors.values() if error} == {"callback"}
    assert os.listdir(destination) == ["good"]


def test_an_endless_script_ends_the_task_with_the_reason(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    for number in range(10):
        (source / f"f{number}").write_text("x")
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        script="def run(req):\n    while True:\n        pass\n",
    )
    task.act("run")
    assert task.wait()["status"] == "error"
    assert "callback" in task.execution()["reason"]
    assert os.listdir(destination) == []


@pytest.mark.parametrize(
    ("conflict", "outcomes", "content", "others"),
    [
        ("rename", ("renamed", "identical"), "old", {"report (1).txt"}),
        ("overwrite", ("overwritten", "identical"), "new!", set()),
        ("ignore", ("kept", "kept"), "old", set()),
    ],
)
def test_conflict_rules_in_a_first_and_a_second_run(
    client: httpx.Client,
    source: Path,
    destination: Path,
    conflict: str,
    outcomes: tuple[str, str],
    content: str,
    others: set[str],
) -> None:
    (source / "report.txt").write_text("new!")
    (destination / "report.txt").write_text("old")
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        conflict_resolution=conflict,
    )
    for expected in outcomes:
        task.act("run")
        assert task.wait()["status"] == "done"
        (record,) = task.files()
        assert record["outcome"] == expected
    assert (destination / "report.txt").read_text() == content
    assert set(os.listdir(destination)) == {"report.txt", *others}
    for name in others:
        assert (destination / name).read_text() == "new!"
