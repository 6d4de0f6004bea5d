"""What goes wrong while a file is copied: its own kind of error each, and never a bad copy."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from longshore.domain.errors import ErrorKind, Side, Stage
from longshore.domain.outcome import Outcome
from longshore.domain.segments import SEGMENT_BYTES
from longshore.pipeline.copying import ATTEMPTS_MAXIMUM
from longshore.storage.wrappers.faults import Deed, faults_from_json
from tests.trees import staged_left
from tests.unit.pipeline.driving import Driver, plan_for, with_faults

CONTENT = bytes(range(256)) * 64
ALWAYS = 1_000_000

CORRUPT_WRITE = '[{"deed": "write", "effect": {"type": "corrupt", "position": 77}, "times": %d}]'
CORRUPT_BACK = '[{"deed": "read_back", "effect": {"type": "corrupt"}, "times": %d}]'
SHORT_WRITE = '[{"deed": "write", "effect": {"type": "truncate", "bytes": 100}, "times": %d}]'
EARLY_END = '[{"deed": "read", "effect": {"type": "truncate", "bytes": 0}, "times": %d}]'
SMALL_READS = '[{"deed": "read", "effect": {"type": "truncate", "bytes": 100}, "times": %d}]'
TOUCH = '[{"deed": "read", "effect": {"type": "call"}, "times": %d}]'


@pytest.fixture(params=[len(CONTENT), SEGMENT_BYTES + 5], ids=["small", "big"])
def file(request: pytest.FixtureRequest, source: Path) -> Path:
    path = source / "file"
    path.write_bytes(CONTENT)
    os.truncate(path, request.param)
    with path.open("ab") as end:
        end.write(b"end")
    return path


@pytest.mark.parametrize("faults", [CORRUPT_WRITE, CORRUPT_BACK, SHORT_WRITE])
def test_what_does_not_read_back_as_written_is_never_published(
    source: Path, destination: Path, file: Path, faults: str
) -> None:
    wrap = with_faults(*faults_from_json(faults % ALWAYS))
    record = Driver(plan_for(source, destination), wrap_destination=wrap).run().record_of(b"file")
    assert record.outcome is Outcome.FAILED
    assert record.failure is not None
    assert record.failure.kind is ErrorKind.CHECKSUM_MISMATCH
    assert (record.failure.stage, record.failure.side) == (Stage.VERIFY, Side.DESTINATION)
    assert record.attempts == ATTEMPTS_MAXIMUM
    assert os.listdir(destination) == []


@pytest.mark.parametrize("faults", [CORRUPT_WRITE, CORRUPT_BACK, SHORT_WRITE])
def test_a_mismatch_that_passes_costs_an_attempt(
    source: Path, destination: Path, file: Path, faults: str
) -> None:
    wrap = with_faults(*faults_from_json(faults % 1))
    record = Driver(plan_for(source, destination), wrap_destination=wrap).run().record_of(b"file")
    assert (record.outcome, record.attempts) == (Outcome.COPIED, 2)
    assert (destination / "file").read_bytes() == file.read_bytes()
    assert staged_left(destination) == []


def test_a_file_shorter_than_announced_is_a_short_read(
    source: Path, destination: Path, file: Path
) -> None:
    wrap = with_faults(*faults_from_json(EARLY_END % ALWAYS))
    record = Driver(plan_for(source, destination), wrap_source=wrap).run().record_of(b"file")
    assert record.failure is not None
    assert record.failure.kind is ErrorKind.SHORT_READ
    assert (record.failure.stage, record.failure.side) == (Stage.TRANSFER, Side.SOURCE)
    assert os.listdir(destination) == []


def test_short_reads_that_go_on_are_no_error(source: Path, destination: Path) -> None:
    (source / "file").write_bytes(CONTENT)
    wrap = with_faults(*faults_from_json(SMALL_READS % ALWAYS))
    record = Driver(plan_for(source, destination), wrap_source=wrap).run().record_of(b"file")
    assert record.outcome is Outcome.COPIED
    assert (destination / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("times", [1, ALWAYS])
def test_a_file_that_changes_while_it_is_read_is_tried_again(
    source: Path, destination: Path, times: int
) -> None:
    path = source / "file"
    path.write_bytes(CONTENT)

    def change(deed: Deed, name: bytes) -> None:
        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))

    wrap = with_faults(*faults_from_json(TOUCH % times), hook=change)
    record = Driver(plan_for(source, destination), wrap_source=wrap).run().record_of(b"file")
    if times == 1:
        assert (record.outcome, record.attempts) == (Outcome.COPIED, 2)
        assert (destination / "file").read_bytes() == CONTENT[::-1]
        return
    assert record.failure is not None
    assert record.failure.kind is ErrorKind.CHANGED_WHILE_READ
    assert (record.failure.side, record.attempts) == (Side.SOURCE, ATTEMPTS_MAXIMUM)
    assert os.listdir(destination) == []


def test_a_big_file_that_changes_is_never_a_mixture(source: Path, destination: Path) -> None:
    path = source / "file"
    path.write_bytes(b"1" * (SEGMENT_BYTES + 1))
    changes = iter(b"23")

    def change(deed: Deed, name: bytes) -> None:
        digit = next(changes, None)
        if digit is not None:
            path.write_bytes(bytes([digit]) * (SEGMENT_BYTES + 1))
            os.utime(path, ns=(0, path.stat().st_mtime_ns + digit * 1_000_000_000))

    wrap = with_faults(*faults_from_json(TOUCH % 30), hook=change)
    record = Driver(plan_for(source, destination), wrap_source=wrap).run().record_of(b"file")
    assert record.outcome is Outcome.COPIED
    assert (destination / "file").read_bytes() == b"3" * (SEGMENT_BYTES + 1)


def test_without_verification_nothing_is_read_back(source: Path, destination: Path) -> None:
    (source / "file").write_bytes(CONTENT)
    wrap = with_faults(*faults_from_json(CORRUPT_BACK % ALWAYS))
    plan = plan_for(source, destination, verify=False)
    record = Driver(plan, wrap_destination=wrap).run().record_of(b"file")
    assert record.outcome is Outcome.COPIED


DROP = '[{"deed": "drop_cache", "effect": {"type": "refuse", "kind": "input_output"}}]'


@pytest.mark.parametrize("from_medium", [False, True])
def test_the_cache_is_dropped_before_reading_back_only_when_asked(
    source: Path, destination: Path, file: Path, from_medium: bool
) -> None:
    plan = plan_for(source, destination)
    plan = msgspec.structs.replace(plan, verify_from_medium=from_medium)
    refused = with_faults(*faults_from_json(DROP))
    record = Driver(plan, wrap_destination=refused).run().record_of(b"file")
    assert record.outcome is (Outcome.FAILED if from_medium else Outcome.COPIED)
    assert Driver(plan).run().record_of(b"file").outcome in {Outcome.COPIED, Outcome.IDENTICAL}
    assert (destination / "file").read_bytes() == file.read_bytes()
