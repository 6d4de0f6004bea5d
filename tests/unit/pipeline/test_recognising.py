"""Work of before a crash is recognised: nothing is doubled, nothing foreign is taken for ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.domain.outcome import Outcome
from longshore.domain.task import ConflictResolution
from tests.pipelines import Bench
from tests.trees import describe, staged_left
from tests.workshop import Crash, reaching

RULES = list(ConflictResolution)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def put(path: Path, content: bytes, at: int = 1_600_000_000_000_000_001) -> None:
    path.write_bytes(content)
    os.utime(path, ns=(at, at))


def crash(point: str, _: bytes) -> None:
    if point == "mover.after_publish":
        raise Crash


def copy_but_die_before_the_reply(bench: Bench) -> list[bytes]:
    """Scan, copy and publish everything, but no reply comes: the payloads of the batches."""
    payloads = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    for payload in payloads:
        with reaching(crash), pytest.raises(Crash):
            bench.copy(payload)
    bench.restart()
    return payloads


def copy_again(bench: Bench, payloads: list[bytes]) -> list[Outcome]:
    return [
        record.outcome for payload in payloads for record in bench.copy_batch(payload, fresh=False)
    ]


@pytest.mark.parametrize("rule", RULES)
def test_published_but_unrecorded_file_is_recognised(
    bench: Bench, rule: ConflictResolution
) -> None:
    bench.conflict = rule
    put(bench.source / "a", b"content")
    payloads = copy_but_die_before_the_reply(bench)
    assert copy_again(bench, payloads) == [Outcome.COPIED]
    assert describe(bench.destination) == describe(bench.source)


@pytest.mark.parametrize("rule", RULES)
def test_file_that_grew_between_scan_and_copy_is_recognised_as_it_was_read(
    bench: Bench, rule: ConflictResolution
) -> None:
    bench.conflict = rule
    put(bench.source / "a", b"before")
    payloads = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    put(bench.source / "a", b"afterwards", at=1_700_000_000_000_000_001)
    with reaching(crash), pytest.raises(Crash):
        bench.copy(payloads[0])
    bench.restart()
    assert copy_again(bench, payloads) == [Outcome.COPIED]
    assert describe(bench.destination) == describe(bench.source)


def test_file_renamed_because_another_appeared_is_not_renamed_once_more(bench: Bench) -> None:
    put(bench.source / "a.txt", b"ours")
    payloads = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    put(bench.destination / "a.txt", b"theirs, which appeared after the scan")
    with reaching(crash), pytest.raises(Crash):
        bench.copy(payloads[0])
    bench.restart()
    assert copy_again(bench, payloads) == [Outcome.RENAMED]
    assert sorted(os.listdir(bench.destination)) == ["a (1).txt", "a.txt"]


def test_identical_file_that_appeared_after_the_scan_is_not_doubled(bench: Bench) -> None:
    put(bench.source / "a.txt", b"the same")
    payloads = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    put(bench.destination / "a.txt", b"the same")
    (record,) = bench.copy_batch(payloads[0])
    assert os.listdir(bench.destination) == ["a.txt"]
    assert record.outcome is Outcome.IDENTICAL


def test_same_size_and_time_but_other_content_is_never_taken_for_our_copy(bench: Bench) -> None:
    bench.conflict = ConflictResolution.OVERWRITE
    put(bench.source / "a", b"ours")
    payloads = [batch.payload for reply in bench.scan_all() for batch in reply.batches]
    put(bench.destination / "a", b"fake")
    assert copy_again(bench, payloads) == [Outcome.OVERWRITTEN]
    assert describe(bench.destination) == describe(bench.source)


@pytest.mark.parametrize(
    "point", ["mover.staged", "mover.before_durable", "mover.before_publish", "mover.published"]
)
def test_staged_files_of_a_dead_mover_are_used_up(bench: Bench, point: str) -> None:
    for name in ("a", "b", "c"):
        put(bench.source / name, name.encode())
    (payload,) = [batch.payload for reply in bench.scan_all() for batch in reply.batches]

    def die(reached: str, _: bytes) -> None:
        if reached == point:
            raise Crash

    with reaching(die), pytest.raises(Crash):
        bench.copy(payload)
    assert describe(bench.destination) != describe(bench.source)
    bench.restart()
    assert copy_again(bench, [payload]) == [Outcome.COPIED] * 3
    assert describe(bench.destination) == describe(bench.source)
    assert staged_left(bench.destination) == []
