"""Discovery in slices: chunks, continuation, and whose fault an unreadable folder is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from longshore.domain.errors import ErrorKind, RetryClass, Side, Stage
from longshore.domain.outcome import Outcome
from longshore.pipeline import scan
from longshore.pipeline.messages.replies import ScanReply
from longshore.pipeline.messages.work import CopyWork, FoldersWork, ScanFolder, ScanWork
from longshore.storage.wrappers.faults import Deed, Fault, Refuse
from tests.pipelines import Bench
from tests.trees import grow

FILES = 30
ALWAYS = 1_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def planned(replies: list[ScanReply]) -> list[bytes]:
    """The source paths of everything planned, in the order of the plan."""
    return [
        group.folder + b"/" + file.entry.name
        for reply in replies
        for batch in reply.batches
        for group in msgspec.msgpack.decode(batch.payload, type=CopyWork).groups
        for file in group.files
    ]


def folders(reply: ScanReply) -> list[ScanFolder]:
    return [
        folder
        for each in reply.remaining
        for folder in msgspec.msgpack.decode(each.payload, type=ScanWork).folders
    ]


def every_file(root: Path) -> set[bytes]:
    return {bytes(each.relative_to(root)) for each in root.rglob("*.dat")}


def test_slices_that_end_at_once_find_every_file_exactly_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(bench.source, FILES, per_folder=10)
    monkeypatch.setattr(scan, "CHUNK_ENTRIES", 3)
    hours = itertools.count(0.0, 3600.0)
    bench.monotonic = hours.__next__  # every look at the clock finds the slice over
    replies = bench.scan_all()
    assert len(replies) > FILES // 3
    found = planned(replies)
    assert len(found) == len(set(found)) == FILES
    assert set(found) == every_file(bench.source)
    assert sum(reply.found_files for reply in replies) == FILES


@pytest.mark.parametrize(("look_seconds", "at_most"), [(0.0, FILES), (0.06, 3)])
def test_files_to_copy_do_not_wait_for_a_slow_listing(
    bench: Bench, look_seconds: float, at_most: int
) -> None:
    grow(bench.source, FILES, per_folder=3)
    bench.slice_seconds = 2.0
    bench.monotonic = itertools.count(0.0, look_seconds).__next__
    replies = bench.scan_all()
    assert max(reply.found_files for reply in replies) == at_most
    assert sorted(planned(replies)) == sorted(every_file(bench.source))


def test_the_rest_of_a_folder_is_listed_from_the_name_behind_the_last_chunk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(bench.source, FILES, per_folder=FILES)
    monkeypatch.setattr(scan, "CHUNK_ENTRIES", 10)
    monkeypatch.setattr(scan, "FOUND_FILES_MAXIMUM", 10)
    replies = bench.scan_all()
    afters = [folder.after for reply in replies for folder in folders(reply) if folder.after]
    assert afters == [b"f000009.dat", b"f000019.dat", b"f000029.dat"]
    assert all(reply.found_files <= 10 for reply in replies)


def test_another_mover_goes_on_where_a_folder_was_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(bench.source, FILES, per_folder=FILES)
    monkeypatch.setattr(scan, "CHUNK_ENTRIES", 7)
    monkeypatch.setattr(scan, "FOUND_FILES_MAXIMUM", 7)
    replies = [bench.scan()]
    while replies[-1].remaining:
        bench.mover.close()
        bench.restart()
        (rest,) = replies[-1].remaining
        replies.append(bench.scan(rest.payload))
    assert sorted(planned(replies)) == sorted(every_file(bench.source))


def test_found_folders_are_shared_among_several_items_of_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        (bench.source / f"folder-{number}").mkdir()
    monkeypatch.setattr(scan, "FOUND_FOLDERS_MAXIMUM", 8)
    reply = bench.scan()
    assert len(reply.remaining) == 4
    assert [folder.path for folder in folders(reply)] == [b"folder-%d" % n for n in range(8)]
    (found,) = reply.folders
    assert len(msgspec.msgpack.decode(found.payload, type=FoldersWork).folders) == 8


@pytest.mark.parametrize(
    ("faulty", "side", "stage"),
    [("source", Side.SOURCE, Stage.SCAN), ("destination", Side.DESTINATION, Stage.PLAN)],
)
def test_a_listing_that_breaks_off_is_charged_to_its_own_side(
    tmp_path: Path, faulty: str, side: Side, stage: Stage
) -> None:
    broken = Fault(
        Deed.LIST,
        Refuse(ErrorKind.INPUT_OUTPUT, RetryClass.NEVER),
        pattern="*f000003.dat",
        times=ALWAYS,
    )
    bench = Bench(
        tmp_path,
        source_faults=(broken,) if faulty == "source" else (),
        destination_faults=(broken,) if faulty == "destination" else (),
    )
    grow(bench.source, 6, per_folder=6)
    grow(bench.destination, 6, per_folder=6)
    records = [record for reply in bench.scan_all() for record in reply.records]
    bench.close()
    (failed,) = (record for record in records if record.outcome is Outcome.FAILED)
    assert failed.failure is not None
    assert (failed.failure.side, failed.failure.stage) == (side, stage)
    assert (failed.folder, failed.entry.name) == (b"d000", b"e00000")
    assert "f000003.dat" in failed.failure.text
