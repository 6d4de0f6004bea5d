"""A mover with the native loops beside one without: the same files, the same records."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.checksum import ChecksumKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.task import ConflictResolution
from longshore.native import loops
from longshore.storage.backends.posix import PosixStorage
from tests import fidelity
from tests.native.conftest import open_descriptors
from tests.pipelines import Bench
from tests.trees import describe, grow, staged_left
from tests.unit.storage.backends.conftest import ordinary_user

Counts = dict[str, int]
FAR_AWAY_NS = 2_500_000_000 * 10**9


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """How many files the native loops have staged and published."""
    counts = {"staged": 0, "published": 0}
    stage, publish = loops.stage, loops.publish

    def count_staged(*arguments: Any) -> Any:
        done = stage(*arguments)
        counts["staged"] += len(done[0])
        return done

    def count_published(*arguments: Any) -> int:
        done = publish(*arguments)
        counts["published"] += done
        return done

    monkeypatch.setattr(loops, "stage", count_staged)
    monkeypatch.setattr(loops, "publish", count_published)
    return counts


def known(record: Record) -> Record:
    """The record without what differs from one run to the next."""
    failure = record.failure
    if failure is not None:
        failure = msgspec.structs.replace(failure, text=failure.text.split("(")[0])
    return msgspec.structs.replace(record, finished_ns=0, place=0, failure=failure)


def both_ways(folder: Path, arrange: Callable[[Bench], None]) -> tuple[list[Record], list[Record]]:
    """The records of copying one source natively and in Python, to a destination each."""
    results = []
    for native in (True, False):
        bench = Bench(folder / str(native), native=native)
        os.rmdir(bench.source)
        bench.source.symlink_to(folder / "source")
        arrange(bench)
        bench.restart()
        results.append(sorted(map(known, bench.copy_all()), key=lambda r: (r.folder, r.entry.name)))
        bench.close()
        left = [path for path in staged_left(bench.destination) if "-links/" not in path]
        assert left == []
    return results[0], results[1]


def copied(folder: Path, native: bool) -> dict[bytes, tuple[object, ...]]:
    """What stands at a destination, without folders: their metadata is not this work's."""
    found = describe(folder / str(native) / "destination")
    return {path: what for path, what in found.items() if what[0] != "folder"}


def nothing(_: Bench) -> None:
    """Nothing stands at the destination."""


def source_in(folder: Path) -> Path:
    source = folder / "source"
    source.mkdir()
    return source


def test_records_and_files_are_the_same_both_ways(tmp_path: Path, counted: Counts) -> None:
    source = source_in(tmp_path)
    fidelity.grow_all(source)
    grow(source, 120)
    natively, in_python = both_ways(tmp_path, nothing)
    assert natively == in_python
    one, other = (tmp_path / name / "destination" for name in ("True", "False"))
    # The times first: looking at the contents changes them.
    for feature in sorted(fidelity.FEATURES, key=lambda each: each.of is fidelity.content):
        if (one / feature.name).is_file():
            assert feature.of(one / feature.name) == feature.of(other / feature.name), feature.title
    assert copied(tmp_path, True) == copied(tmp_path, False)
    assert counted["staged"] == counted["published"] >= 120


@pytest.mark.parametrize("rule", list(ConflictResolution))
def test_files_in_the_way_are_treated_alike(tmp_path: Path, rule: ConflictResolution) -> None:
    source = source_in(tmp_path)
    grow(source, 60)

    def stand_in_the_way(bench: Bench) -> None:
        bench.conflict = rule
        for number, path in enumerate(sorted(source.rglob("*.dat"))):
            standing = bench.destination / path.relative_to(source)
            standing.parent.mkdir(parents=True, exist_ok=True)
            if number % 3 == 0:
                standing.write_bytes(b"in the way")
            if number % 7 == 0:
                standing.unlink(missing_ok=True)
                standing.mkdir()

    natively, in_python = both_ways(tmp_path, stand_in_the_way)
    assert natively == in_python
    one, other = copied(tmp_path, True), copied(tmp_path, False)
    assert one.keys() == other.keys()
    assert [one[path][-1] for path in one if one[path][0] == "file"] == [
        other[path][-1] for path in one if one[path][0] == "file"
    ]


@pytest.mark.parametrize("kind", list(ChecksumKind))
def test_other_checksums_are_on_record_all_the_same(
    tmp_path: Path, kind: ChecksumKind, counted: Counts
) -> None:
    grow(source_in(tmp_path), 10)
    natively, in_python = both_ways(tmp_path, lambda bench: setattr(bench, "checksum", kind))
    assert natively == in_python
    assert bool(counted["staged"]) is (kind is ChecksumKind.NONE)


@given(
    sizes=st.lists(st.sampled_from([0, 1, 4095, 4096, 131_071, 131_072, 131_073]), max_size=12),
    modes=st.lists(st.integers(0, 0o7777), min_size=12, max_size=12),
    times=st.lists(st.integers(-(2**33), 2**33), min_size=12, max_size=12),
)
def test_random_trees_are_copied_alike(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], modes: list[int], times: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    source = source_in(folder)
    for number, size in enumerate(sizes):
        path = source / f"file {number}"
        path.write_bytes(os.urandom(size))
        os.utime(path, ns=(times[number] * 10**9 + 1, times[-number] * 10**9 + 2))
        path.chmod(modes[number] | (0 if os.geteuid() == 0 else 0o400))
    natively, in_python = both_ways(folder, nothing)
    assert natively == in_python
    assert copied(folder, True) == copied(folder, False)


def test_an_ordinary_user_gets_the_same_losses_on_record(counted: Counts) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away for the test")
    with tempfile.TemporaryDirectory(prefix="longshore-test-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        source = source_in(folder)
        for number in range(10):
            (source / f"file {number}").write_bytes(b"content")
            os.chown(source / f"file {number}", 54_321, 54_322)
        (source / "setuid").write_bytes(b"setuid")
        (source / "setuid").chmod(0o4755)
        (source / "secret").write_bytes(b"secret")
        (source / "secret").chmod(0o600)
        for path in source.iterdir():
            os.utime(path, ns=(FAR_AWAY_NS, 1))  # so that reading it does not change it
        with ordinary_user():
            natively, in_python = both_ways(folder, nothing)
    assert natively == in_python
    assert all(record.lost for record in natively if record.failure is None)
    assert counted["staged"] >= 10


def test_what_was_published_natively_but_not_recorded_is_recognised(
    tmp_path: Path, counted: Counts
) -> None:
    bench = Bench(tmp_path)
    grow(bench.source, 100)
    payloads = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    first = [record for payload in payloads for record in bench.copy(payload).records]
    assert counted["published"] == 100
    before = describe(bench.destination)
    bench.restart()
    again = [record for p in payloads for record in bench.copy_batch(p, fresh=False)]
    assert [(r.outcome, r.xxh3_128) for r in again] == [(r.outcome, r.xxh3_128) for r in first]
    assert {record.outcome for record in again} == {Outcome.COPIED}
    assert describe(bench.destination).keys() == before.keys()
    bench.close()


def test_a_slice_that_ends_at_once_goes_on_with_the_rest(tmp_path: Path, counted: Counts) -> None:
    ticks = count()
    bench = Bench(tmp_path, slice_seconds=2, monotonic=lambda: float(next(ticks)))
    grow(bench.source, 30)
    records = bench.copy_all()
    assert len(records) == 30
    assert {record.outcome for record in records} == {Outcome.COPIED}
    assert describe(bench.destination).keys() >= {
        os.fsencode(path.relative_to(bench.source)) for path in bench.source.rglob("*.dat")
    }
    assert counted["staged"]
    bench.close()


def test_a_file_changed_since_the_scan_is_recorded_as_it_was_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = bench.source / "file"
    path.write_bytes(b"short")
    (payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    path.write_bytes(b"a longer content")
    reply = bench.copy(payload)
    assert reply.records[0].entry.size == 16
    assert (reply.size_change, reply.bytes_copied) == (11, 16)
    bench.close()


def test_a_file_that_vanishes_fails_in_the_same_words(tmp_path: Path) -> None:
    texts = []
    for native in (True, False):
        bench = Bench(tmp_path / str(native), native=native)
        (bench.source / "gone").write_bytes(b"content")
        (bench.source / "stays").write_bytes(b"content")
        (payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
        (bench.source / "gone").unlink()
        failed, copied = bench.copy_batch(payload)
        assert copied.outcome is Outcome.COPIED
        texts.append(failed.failure)
        bench.close()
    assert texts[0] == texts[1]
    assert texts[0] is not None


IN_A_SMALL_FILE_SYSTEM = """
import os, subprocess, sys
from pathlib import Path
from tests.pipelines import Bench
from tests.trees import staged_left

root = sys.argv[1]
mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "longshore-test"]
bench = Bench(Path(root))
if subprocess.run([*mount, str(bench.destination)], capture_output=True).returncode != 0:
    sys.exit(77)
bench.restart()
for number in range(40):
    (bench.source / f"{number:03}").write_bytes(b"x" * 50_000)
(payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
reply = bench.copy(payload)
assert reply.lost is not None and reply.records == [], reply
for each in staged_left(bench.destination):
    os.unlink(each)
subprocess.run(["mount", "-o", "remount,size=4m", str(bench.destination)], check=True)
records = bench.copy_batch(payload, fresh=False)
assert len(records) == 40 and not staged_left(bench.destination)
print("full:", reply.lost.failure.text)
"""


def test_a_full_destination_is_waited_for(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    command = ["unshare", "--mount", sys.executable, "-c", IN_A_SMALL_FILE_SYSTEM, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.returncode == 0, done.stderr
    assert "No space left" in done.stdout


def test_a_bench_can_be_told_to_do_without(tmp_path: Path, counted: Counts) -> None:
    bench = replace(Bench(tmp_path, native=False))
    grow(bench.source, 5)
    assert len(bench.copy_all()) == 5
    assert counted == {"staged": 0, "published": 0}
    bench.close()


# ------------------------------------------------------------------------ files without a name


@pytest.fixture
def slow_publishing(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens, once each, between the staging of files and their publishing."""
    deeds: list[Callable[[], object]] = []
    publish = loops.publish

    def publish_late(*arguments: Any) -> int:
        while deeds:
            deeds.pop()()
        return publish(*arguments)

    monkeypatch.setattr(loops, "publish", publish_late)
    return deeds


@pytest.mark.parametrize("rule", list(ConflictResolution))
def test_a_name_that_is_taken_meanwhile_is_left_alone(
    tmp_path: Path, slow_publishing: list[Callable[[], object]], rule: ConflictResolution
) -> None:
    bench = Bench(tmp_path, conflict=rule)
    for name in ("a", "b", "c"):
        (bench.source / name).write_text(name)
    slow_publishing.append(lambda: (bench.destination / "b").write_text("in the way"))
    records = {record.entry.name: record.outcome for record in bench.copy_all()}
    assert (
        records.pop(b"b")
        is {
            ConflictResolution.RENAME: Outcome.RENAMED,
            ConflictResolution.OVERWRITE: Outcome.OVERWRITTEN,
            ConflictResolution.IGNORE: Outcome.KEPT,
        }[rule]
    )
    assert records == {b"a": Outcome.COPIED, b"c": Outcome.COPIED}
    overwritten = rule is ConflictResolution.OVERWRITE
    assert (bench.destination / "b").read_text() == ("b" if overwritten else "in the way")
    assert staged_left(bench.destination) == []
    bench.close()


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_staged_is_let_go_when_it_cannot_be_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    bench = Bench(tmp_path)
    grow(bench.source, 30)
    (batch,) = bench.scan().batches or bench.scan_all()[-1].batches
    before = open_descriptors()

    def refuse(_: PosixStorage) -> None:
        kind = StorageUnavailable if whole else StorageError
        raise kind(ErrorKind.INPUT_OUTPUT, RetryClass.LATER, "make durable", b"", "no power")

    with monkeypatch.context() as broken:
        broken.setattr(PosixStorage, "make_durable", refuse)
        reply = bench.copy(batch.payload)
    assert (reply.records, reply.lost is not None) == ([], whole)
    assert open_descriptors() == before
    assert [path for path in describe(bench.destination).values() if path[0] == "file"] == []
    assert reply.remaining is not None
    records = bench.copy_batch(reply.remaining.payload, fresh=False)
    assert {record.outcome for record in records} == {Outcome.COPIED}
    assert staged_left(bench.destination) == []
    bench.close()
