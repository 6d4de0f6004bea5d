"""Storages that refuse, lie or lose: each file arrives whole or is on record as failed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.storage.handler import TEMPORARY_PREFIX
from longshore.storage.wrappers.faults import Call, Corrupt, Deed, Effect, Fault, Refuse, Truncate
from tests.pipelines import Bench
from tests.trees import describe, grow, staged_left
from tests.workshop import Crash, reaching

FILES = 20
GUILTY = "*f000007.dat"
ALWAYS = 1_000_000

LATER, NOW, NEVER = RetryClass.LATER, RetryClass.NOW, RetryClass.NEVER


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    grow(bench.source, FILES, per_folder=7)
    yield bench
    bench.close()


def by_outcome(records: list[Record]) -> dict[Outcome, int]:
    counted: dict[Outcome, int] = {}
    for record in records:
        counted[record.outcome] = counted.get(record.outcome, 0) + 1
    return counted


def fault(deed: Deed, effect: Effect, *, times: int, pattern: str = "*", first: int = 1) -> Fault:
    return Fault(deed=deed, effect=effect, pattern=pattern, first=first, times=times)


PASSING: dict[str, tuple[str, Deed, Effect]] = {
    "EIO when the source is opened": ("source", Deed.OPEN, Refuse(ErrorKind.INPUT_OUTPUT, LATER)),
    "EIO in the middle of the source": ("source", Deed.READ, Refuse(ErrorKind.INPUT_OUTPUT, LATER)),
    "ESTALE of a source": ("source", Deed.OPEN, Refuse(ErrorKind.STALE, NOW)),
    "ESTALE while reading": ("source", Deed.READ, Refuse(ErrorKind.STALE, NOW)),
    "short reads": ("source", Deed.READ, Truncate(3)),
    "a source that ends early": ("source", Deed.READ, Truncate(0)),
    "EIO when a file is staged": ("destination", Deed.STAGE, Refuse(ErrorKind.INPUT_OUTPUT, LATER)),
    "EIO while writing": ("destination", Deed.WRITE, Refuse(ErrorKind.INPUT_OUTPUT, LATER)),
    "writes that stop short in silence": ("destination", Deed.WRITE, Truncate(5)),
    "a byte that is written wrong": ("destination", Deed.WRITE, Corrupt(1)),
    "a byte that is read back wrong": ("destination", Deed.READ_BACK, Corrupt(1)),
    "short reads of what was written": ("destination", Deed.READ_BACK, Truncate(3)),
    "ESTALE of a destination folder": (
        "destination",
        Deed.OPEN_FOLDER,
        Refuse(ErrorKind.STALE, NOW),
    ),
    "EIO when metadata is set": (
        "destination",
        Deed.SET_METADATA,
        Refuse(ErrorKind.INPUT_OUTPUT, LATER),
    ),
    "a publication whose answer is lost": (
        "destination",
        Deed.COMMIT,
        Refuse(ErrorKind.TIMEOUT, LATER, done=True),
    ),
    "a publication that times out": ("destination", Deed.COMMIT, Refuse(ErrorKind.TIMEOUT, LATER)),
    "a destination folder that cannot be listed": (
        "destination",
        Deed.LIST,
        Refuse(ErrorKind.INPUT_OUTPUT, LATER),
    ),
}


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("times", [1, 2])
def test_errors_that_pass_leave_an_exact_copy(bench: Bench, name: str, times: int) -> None:
    side, deed, effect = PASSING[name]
    faults = (fault(deed, effect, times=times, first=3),)
    if side == "source":
        bench.source_faults = faults
    else:
        bench.destination_faults = faults
    records = bench.copy_all()
    assert describe_files(bench.destination) == describe_files(bench.source)
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert staged_left(bench.destination) == []


@pytest.mark.parametrize("first", [1, 2])
def test_files_of_a_failed_sync_are_written_again(bench: Bench, first: int) -> None:
    broken = Refuse(ErrorKind.INPUT_OUTPUT, LATER)
    bench.destination_faults = (fault(Deed.MAKE_DURABLE, broken, times=1, first=first),)
    records = bench.copy_all()
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert describe_files(bench.destination) == describe_files(bench.source)
    assert staged_left(bench.destination) == []


def test_nothing_that_a_dead_mover_published_is_reported_before_it_is_durable(
    bench: Bench,
) -> None:
    (payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]

    def die(point: str, _: bytes) -> None:
        if point == "mover.after_publish":
            raise Crash

    with reaching(die), pytest.raises(Crash):
        bench.copy(payload)
    syncs = 0

    def count(deed: Deed, _: bytes) -> None:
        nonlocal syncs
        syncs += 1

    bench.hook = count
    bench.destination_faults = (fault(Deed.MAKE_DURABLE, Call(), times=ALWAYS),)
    bench.restart()
    assert by_outcome(bench.copy_batch(payload, fresh=False)) == {Outcome.COPIED: FILES}
    assert syncs >= 1


def make_slow(bench: Bench) -> None:
    """By its clock, every `Call` takes longer than a slice."""
    now = 0.0

    def take_long(_: Deed, __: bytes) -> None:
        nonlocal now
        now += 2 * bench.slice_seconds

    bench.monotonic = lambda: now
    bench.hook = take_long


def test_slice_ends_behind_a_read_that_takes_too_long_and_the_rest_is_gone_on_with(
    bench: Bench,
) -> None:
    make_slow(bench)
    bench.source_faults = (fault(Deed.READ, Call(), times=1, pattern=GUILTY),)
    bench.restart()
    (payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    reply = bench.copy(payload)
    names = sorted(record.entry.name for record in reply.records)
    assert names == [b"f%06d.dat" % number for number in range(8)]  # the slow one is the last
    assert staged_left(bench.destination) == []
    assert reply.remaining is not None
    records = [*reply.records, *bench.copy_batch(reply.remaining.payload, fresh=False)]
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert len({record.entry.name for record in records}) == FILES
    assert describe_files(bench.destination) == describe_files(bench.source)


@pytest.mark.parametrize("deed", [Deed.READ, Deed.WRITE])
def test_storage_whose_every_call_outlasts_the_slice_is_copied_file_by_file(
    bench: Bench, deed: Deed
) -> None:
    make_slow(bench)
    slow = (fault(deed, Call(), times=ALWAYS),)
    if deed is Deed.READ:
        bench.source_faults = slow
    else:
        bench.destination_faults = slow
    bench.restart()
    (payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    rest: bytes | None = payload
    records: list[Record] = []
    slices = 0
    while rest is not None:
        reply = bench.copy(rest, work_id=1, fresh=not slices)
        slices += 1
        assert 0 < len(reply.records) < FILES  # every slice gets on, and none takes all
        records += reply.records
        rest = None if reply.remaining is None else reply.remaining.payload
    assert slices > 1
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert describe_files(bench.destination) == describe_files(bench.source)
    assert staged_left(bench.destination) == []


def test_source_folder_that_is_stale_once_is_listed_all_the_same(bench: Bench) -> None:
    stale = Refuse(ErrorKind.STALE, NOW)
    bench.source_faults = (fault(Deed.OPEN_FOLDER, stale, times=1, first=3),)
    assert by_outcome(bench.copy_all()) == {Outcome.COPIED: FILES}


LASTING = {
    "EACCES of the source": ("source", Deed.OPEN, ErrorKind.PERMISSION, NEVER),
    "EIO of the source": ("source", Deed.READ, ErrorKind.INPUT_OUTPUT, LATER),
    "ESTALE of the source": ("source", Deed.OPEN, ErrorKind.STALE, NOW),
    "a file that is gone": ("source", Deed.OPEN, ErrorKind.NOT_FOUND, NEVER),
    "EACCES when it is published": ("destination", Deed.COMMIT, ErrorKind.PERMISSION, NEVER),
    "a name that is forbidden there": ("destination", Deed.COMMIT, ErrorKind.NAME_INVALID, NEVER),
}


@pytest.mark.parametrize("name", LASTING)
def test_errors_that_stay_cost_one_file_and_are_on_record(bench: Bench, name: str) -> None:
    side, deed, kind, retry = LASTING[name]
    faults = (fault(deed, Refuse(kind, retry), times=ALWAYS, pattern=GUILTY),)
    if side == "source":
        bench.source_faults = faults
    else:
        bench.destination_faults = faults
    records = bench.copy_all()
    assert by_outcome(records) == {Outcome.COPIED: FILES - 1, Outcome.FAILED: 1}
    (failed,) = [record for record in records if record.failure is not None]
    assert failed.failure is not None
    assert failed.failure.kind is kind
    assert failed.failure.side.name.lower() == side
    assert describe_files(bench.destination).items() < describe_files(bench.source).items()
    assert staged_left(bench.destination) == []


@pytest.mark.parametrize(
    "deed", [Deed.STAGE, Deed.WRITE, Deed.COMMIT, Deed.MAKE_DURABLE, Deed.SET_METADATA]
)
def test_full_destination_leaves_nothing_half_written_and_is_told(bench: Bench, deed: Deed) -> None:
    full = Refuse(ErrorKind.NO_SPACE, LATER, whole_storage=True)
    bench.destination_faults = (fault(deed, full, times=ALWAYS, first=2),)
    (payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    reply = bench.copy(payload)
    assert reply.lost is not None
    assert reply.lost.failure.kind is ErrorKind.NO_SPACE
    arrived = {
        path: each
        for path, each in describe_files(bench.destination).items()
        if not os.path.basename(path).startswith(TEMPORARY_PREFIX)
    }
    assert arrived.items() <= describe_files(bench.source).items()
    bench.destination_faults = ()
    bench.restart()
    assert reply.remaining is not None
    records = [*reply.records, *bench.copy_batch(reply.remaining.payload, fresh=False)]
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert describe_files(bench.destination) == describe_files(bench.source)
    assert staged_left(bench.destination) == []


def test_listing_that_breaks_does_not_double_what_is_there_already(bench: Bench) -> None:
    bench.copy_all()
    broken = Refuse(ErrorKind.PERMISSION, NEVER)
    bench.destination_faults = (fault(Deed.LIST, broken, times=ALWAYS),)
    bench.restart()
    records = bench.copy_all()
    assert by_outcome(records) == {Outcome.IDENTICAL: FILES}
    assert describe_files(bench.destination) == describe_files(bench.source)


def test_file_that_changes_while_it_is_read_is_read_again(bench: Bench) -> None:
    path = next(bench.source.rglob(GUILTY[1:]))

    def rewrite(deed: Deed, _: bytes) -> None:
        path.chmod(0o644)
        path.write_bytes(b"changed while it was read")
        os.utime(path, ns=(1, 1))

    bench.source_faults = (fault(Deed.READ, Call(), times=1, pattern=GUILTY),)
    bench.hook = rewrite
    records = bench.copy_all()
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert describe_files(bench.destination) == describe_files(bench.source)
    (record,) = [each for each in records if each.entry.name == os.fsencode(path.name)]
    assert (record.attempts, record.entry.size) == (2, len(b"changed while it was read"))


def test_file_that_changes_in_secret_while_it_is_read_is_read_again(bench: Bench) -> None:
    """Same size and time: only the time of change tells."""
    path = next(bench.source.rglob(GUILTY[1:]))
    before = path.stat()
    reversed_content = path.read_bytes()[::-1]

    def rewrite(deed: Deed, _: bytes) -> None:
        path.chmod(0o644)
        path.write_bytes(reversed_content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    bench.source_faults = (fault(Deed.READ, Call(), times=1, pattern=GUILTY),)
    bench.hook = rewrite
    records = bench.copy_all()
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert describe_files(bench.destination) == describe_files(bench.source)
    (record,) = [each for each in records if each.entry.name == os.fsencode(path.name)]
    assert record.attempts == 2


def describe_files(folder: Path) -> dict[bytes, tuple[object, ...]]:
    return {path: each for path, each in describe(folder).items() if each[0] != "folder"}
