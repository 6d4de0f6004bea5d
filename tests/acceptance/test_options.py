"""Options of tasks and byte ranges in whole runs, on one real server that works in small steps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import Place, Site, Tree, check_run, files_of
from tests.servers import serving
from tests.story import Task
from tests.trees import grow, staged_left

SEGMENT = 64 * 1024
BIG = os.urandom(9 * SEGMENT + 1234)  # goes in parts, by several movers


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("options")
    settings = {
        "LONGSHORE_SEGMENT_BYTES": str(SEGMENT),
        "LONGSHORE_BATCH_FILES_MAXIMUM": "1",
        "LONGSHORE_MOVERS": "2",
    }
    for server in serving(folder / "data", **settings):
        with server.client() as client:
            yield Site(server.data_dir / "containers", client, folder / "shares")


def run(task: Task, status: str = "done") -> Task:
    task.act("run")
    assert task.wait()["status"] == status, (task.execution(), task.files())
    return task


def transfer(
    site: Site,
    source: Place,
    destination: Place,
    path: str = "",
    action: str = "copy",
    **options: str,
) -> Task:
    ends = [source.as_source(path)], [destination.as_destination()]
    return site.task("offline_archive", action, *ends, options=options)


def times(tree: Tree, kind: str) -> set[object]:
    return {what[2] for what in tree.values() if what[0] == kind}


# ------------------------------------------------------------------------------- conflicts


@pytest.mark.parametrize(
    ("rule", "option", "outcome", "expected"),
    [
        (None, "1", "overwritten", {"file": "new"}),
        (None, "0", "renamed", {"file": "old", "file (1)": "new"}),
        ("rename", "1", "renamed", {"file": "old", "file (1)": "new"}),
        ("ignore", "1", "kept", {"file": "old"}),
        ("overwrite", "0", "overwritten", {"file": "new"}),
    ],
)
def test_an_explicit_conflict_rule_wins_over_the_option_overwrite(
    site: Site, rule: str | None, option: str, outcome: str, expected: dict[str, str]
) -> None:
    source, destination = site.place("P"), site.place("S")
    (source.folder / "file").write_text("new")
    (destination.folder / "file").write_text("old")
    os.utime(destination.folder / "file", ns=(1, 1))
    task = transfer(site, source, destination, overwrite=option)
    site.client.put(f"/tasks/{task.id}", json={"conflict_resolution": rule}).raise_for_status()
    run(task)
    assert [each["outcome"] for each in task.files()] == [outcome]
    assert {path.name: path.read_text() for path in destination.folder.iterdir()} == expected


# ------------------------------------------------------------------------------- rename_to


@pytest.mark.parametrize("action", ["copy", "move"])
@pytest.mark.parametrize("kind", ["C", "P"])
def test_a_folder_gets_another_name_at_the_destination(site: Site, kind: str, action: str) -> None:
    source, destination = site.place(kind), site.place("S")
    grow(source.folder / "scenes", 4)
    (source.folder / "beside").write_text("not asked for")
    before = source.tree("scenes")
    task = run(transfer(site, source, destination, "scenes", action, rename_to="shots"))
    assert destination.tree("shots") == before
    assert [path.name for path in destination.folder.iterdir()] == ["shots"]
    check_run(task, {b"scenes/" + path: what for path, what in before.items()}, "copied")
    left = {path.name for path in source.folder.iterdir()}
    assert left == ({"beside"} if action == "move" else {"beside", "scenes"})
    for record in task.files():
        assert record["target_path"].startswith("/shots/")
        assert site.live_copies(record["id"])[destination.name] == 1


def test_a_whole_pool_cannot_be_renamed(site: Site) -> None:
    task = transfer(site, site.place("P"), site.place("S"), rename_to="shots")
    job = task.request("run")
    assert (job["status"], "rename_to" in job["reason"]) == ("failed", True)


# ------------------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 1),
        (1000, 2000),
        (SEGMENT - 1, 8 * SEGMENT + 3),  # itself a big file
        (5 * SEGMENT, len(BIG)),
        (len(BIG) - 10, len(BIG) + 10**12),
        (len(BIG), len(BIG) + 1),
    ],
)
@pytest.mark.parametrize("action", ["copy", "restore"])
def test_a_range_is_what_lies_in_it_and_no_copy_of_the_file(
    site: Site, action: str, first: int, last: int
) -> None:
    origin, archive, destination = site.place("P"), site.place("S"), site.place("P")
    (origin.folder / "film").write_bytes(BIG)
    (original,) = run(transfer(site, origin, archive)).files()
    source = origin if action == "copy" else archive
    to = site.place("S") if action == "copy" else destination
    ranged = source.as_source("film") | {"range": [first, last]}
    options = {"rename_to": "clip", "file_checksum": "md5"}
    task = site.task("offline_archive", action, [ranged], [to.as_destination()], options=options)
    run(task)
    assert (to.folder / "clip").read_bytes() == BIG[first:last]
    (record,) = task.files()
    assert (record["outcome"], record["size"]) == ("copied", len(BIG[first:last]))
    assert site.live_copies(original["id"]) == {archive.name: 1}
    run(task)
    assert [each["outcome"] for each in task.files()] == ["identical"]
    assert staged_left(site.folder) == []


@pytest.mark.parametrize("action", ["move", "full_backup", "erase", "scan", "restore"])
def test_a_range_goes_with_copies_and_restores_to_a_place_only(site: Site, action: str) -> None:
    source, archive = site.place("P"), site.place("S")
    (source.folder / "film").write_bytes(BIG)
    if action == "restore":
        run(transfer(site, source, archive))
    at = archive if action == "restore" else source
    ranged = at.as_source("film") | {"range": [1, 2]}
    to = [archive.as_destination()] if action in {"move", "full_backup"} else []
    flow = "maintenance" if action == "scan" else "offline_archive"
    job = site.task(flow, action, [ranged], to).request("run")
    assert (job["status"], "range" in job["reason"]) == ("failed", True), job
    assert (source.folder / "film").read_bytes() == BIG


# ------------------------------------------------------------------------------- dates


@pytest.mark.parametrize("reset", ["file", "folder"])
@pytest.mark.parametrize("action", ["copy", "move"])
def test_only_the_dates_that_are_asked_for_are_reset(site: Site, action: str, reset: str) -> None:
    source, destination = site.place("P"), site.place("S")
    grow(source.folder, 4)
    for path in sorted(source.folder.rglob("*"), reverse=True):
        os.utime(path, ns=(10**18, 10**18))
    begun = time.time_ns() - 5 * 10**9
    run(transfer(site, source, destination, "", action, **{f"reset_{reset}_date": "1"}))
    found = destination.tree()
    kept = "folder" if reset == "file" else "file"
    assert times(found, kept) == {10**18}
    assert min(int(str(each)) for each in times(found, reset)) > begun


# ------------------------------------------------------------------------------- order, report


@pytest.mark.parametrize(
    ("order", "expected"),
    [("name", ["a/3", "a/4", "b/1", "b/2"]), ("size", ["b/1", "b/2", "a/3", "a/4"]),
     ("date", ["a/4", "a/3", "b/2", "b/1"])],
)  # fmt: skip
def test_files_are_processed_in_the_order_that_is_asked_for(
    site: Site, order: str, expected: list[str]
) -> None:
    source, destination = site.place("P"), site.place("S")
    for path in ("a/3", "b/1", "a/4", "b/2"):
        file = source.folder / path
        file.parent.mkdir(exist_ok=True)
        size = int(file.name)
        file.write_bytes(b"x" * size)
        os.utime(file, ns=(0, 10**18 - size))
    task = transfer(site, source, destination, processing_order=order, parallel_processing="1")
    run(task)
    assert destination.tree() == source.tree()
    by_time = sorted(files_of(destination.tree()), key=lambda path: written(destination, path))
    assert [path.decode() for path in by_time] == expected


def written(place: Place, path: bytes) -> int:
    return Path(os.path.join(place.folder, os.fsdecode(path))).stat().st_ctime_ns


@pytest.mark.parametrize(("full", "lines"), [(None, 2), ("1", 2), ("0", 1)])
def test_a_report_shows_every_file_or_only_what_went_wrong(
    site: Site, full: str | None, lines: int
) -> None:
    source, destination = site.place("P"), site.place("S")
    (source.folder / "good").write_text("arrives")
    (source.folder / "bad").write_text("cannot")
    (destination.folder / "bad").mkdir()
    options = {"overwrite": "1"} | ({} if full is None else {"full_report": full})
    task = run(transfer(site, source, destination, **options), "finished_with_warnings")
    path = f"/task_executions/{task.execution()['id']}/report"
    report = site.client.get(path, params={"format": "jsonl"}).text
    assert report.count('"outcome"') == lines
    assert '"failed"' in report
