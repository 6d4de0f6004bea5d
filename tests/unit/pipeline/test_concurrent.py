"""Several files of a batch at once: the same results as one after the other, in the same order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.outcome import Outcome
from longshore.pipeline import concurrent, crew
from longshore.pipeline.messages.work import CopyWork
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.wrappers.faults import Call, Deed, Effect, Fault, Refuse
from tests.pipelines import Bench
from tests.trees import describe, grow, staged_left
from tests.unit.pipeline.test_storage_faults import PASSING, by_outcome
from tests.workshop import Crash, reaching

FILES = 40
MEET_SECONDS = 30.0  # for threads to come to the same point, on a loaded machine
ALWAYS = 1_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, at_once=4)
    grow(bench.source, FILES, per_folder=7)
    yield bench
    bench.close()


def fault(deed: Deed, effect: Effect, *, times: int = ALWAYS, first: int = 1) -> Fault:
    return Fault(deed=deed, effect=effect, pattern="*", first=first, times=times)


def planned(payload: bytes) -> list[bytes]:
    work = msgspec.msgpack.decode(payload, type=CopyWork)
    return [each.entry.name for group in work.groups for each in group.files]


def test_files_are_copied_together_and_reported_in_the_order_of_the_batch(bench: Bench) -> None:
    together = threading.Barrier(4, timeout=MEET_SECONDS)
    seen = iter(range(4))

    def meet(deed: Deed, path: bytes) -> None:
        if next(seen, None) is not None:  # the first four wait for each other
            together.wait()

    bench.hook = meet
    bench.destination_faults = (fault(Deed.STAGE, Call()),)
    bench.restart()
    (reply,) = bench.scan_all()
    (batch,) = reply.batches
    records = bench.copy_batch(batch.payload)
    assert [record.entry.name for record in records] == planned(batch.payload)
    assert by_outcome(records) == {Outcome.COPIED: FILES}
    assert bench.destination.exists()
    assert files(bench.destination) == files(bench.source)


def files(root: Path) -> dict[bytes, tuple[object, ...]]:
    return {path: what for path, what in describe(root).items() if what[0] != "folder"}


@pytest.mark.parametrize("name", PASSING)
def test_faults_that_pass_cost_no_file(bench: Bench, name: str) -> None:
    side, deed, effect = PASSING[name]
    planned_fault = (fault(deed, effect, times=1, first=5),)
    if side == "source":
        bench.source_faults = planned_fault
    else:
        bench.destination_faults = planned_fault
    bench.restart()
    assert by_outcome(bench.copy_all()) == {Outcome.COPIED: FILES}
    assert files(bench.destination) == files(bench.source)
    assert staged_left(bench.destination) == []


def test_a_lost_storage_leaves_the_rest_of_the_batch_for_later(bench: Bench) -> None:
    gone = Refuse(ErrorKind.STALE, RetryClass.LATER, whole_storage=True)
    bench.destination_faults = (fault(Deed.STAGE, gone, times=1, first=10),)
    bench.restart()
    (reply,) = bench.scan_all()
    (batch,) = reply.batches
    first = bench.copy(batch.payload, work_id=5)
    assert first.lost is not None
    assert first.remaining is not None
    second = bench.copy_batch(first.remaining.payload, fresh=False)
    names = [record.entry.name for record in (*first.records, *second)]
    assert sorted(names) == sorted(planned(batch.payload))
    assert files(bench.destination) == files(bench.source)
    assert staged_left(bench.destination) == []


def test_a_slice_that_is_over_begins_no_further_file(bench: Bench) -> None:
    payload = bench.scan_all()[0].batches[0].payload
    bench.slice_seconds = 0.0
    copied = bench.copy(payload)
    assert 1 <= len(copied.records) <= 4 * crew.WAITING_PER_THREAD
    assert copied.remaining is not None
    assert copied.remaining.files == FILES - len(copied.records)


def test_bytes_under_way_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrent, "BYTES_UNDER_WAY_MAXIMUM", 1)  # each file has to go alone
    lock, under_way, most = threading.Lock(), set[int](), [0]

    def note(deed: Deed, path: bytes) -> None:
        with lock:
            if deed is Deed.SOURCE_STAT:
                under_way.add(threading.get_ident())
                most[0] = max(most[0], len(under_way))
            else:
                under_way.discard(threading.get_ident())

    bench.hook = note
    bench.source_faults = (fault(Deed.SOURCE_STAT, Call()),)
    bench.destination_faults = (fault(Deed.SET_METADATA, Call()),)
    bench.restart()
    assert by_outcome(bench.copy_all()) == {Outcome.COPIED: FILES}
    assert most == [1]


def test_a_crash_in_a_thread_is_a_crash_of_the_mover(bench: Bench) -> None:
    def crash(point: str, detail: bytes) -> None:
        if point == "mover.staged":
            raise Crash

    payload = bench.scan_all()[0].batches[0].payload
    with reaching(crash), pytest.raises(Crash):
        bench.copy(payload)


def test_handlers_that_threads_may_not_share_are_used_by_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    users: set[int] = set()
    bench.hook = lambda deed, path: users.add(threading.get_ident())
    bench.destination_faults = (fault(Deed.STAGE, Call()),)
    open_posix = PosixStorage.__init__

    def alone(self: PosixStorage, *arguments: object, **named: object) -> None:
        open_posix(self, *arguments, **named)  # type: ignore[arg-type]
        self.capabilities = msgspec.structs.replace(self.capabilities, shared_by_threads=False)

    monkeypatch.setattr(PosixStorage, "__init__", alone)
    bench.restart()
    assert by_outcome(bench.copy_all()) == {Outcome.COPIED: FILES}
    assert users == {threading.get_ident()}
