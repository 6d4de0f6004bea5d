"""A big file that several movers write: in any order, with deaths, errors and changes between."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random
from tempfile import mkdtemp

import msgspec
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore import faults
from longshore.domain.errors import ErrorKind, Side, Stage
from longshore.domain.outcome import Outcome
from longshore.domain.task import ConflictResolution
from longshore.pipeline.copying import ATTEMPTS_MAXIMUM
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.storage.handler import Folder, Intent, SourceFile, StagedFile, StorageHandler
from longshore.storage.wrappers.faults import Deed, faults_from_json
from longshore.storage.wrappers.forwarding import (
    ForwardingFolder,
    ForwardingSourceFile,
    ForwardingStagedFile,
    ForwardingStorage,
)
from tests.trees import describe, staged_left
from tests.unit.pipeline.driving import plan_for, with_faults, without
from tests.unit.pipeline.several import Several

SEGMENT = 1024
DEATHS = 12  # of movers, in one run: a pass over the file has to get through at last
SIZE = 21 * SEGMENT + 5  # six parts: four segments each, and the last one of two


def plan_of(source: Path, destination: Path, **fields: object) -> ExecutionPlan:
    plan = plan_for(source, destination)
    changes = {"segment_bytes": SEGMENT, "workers": 3, **fields}
    return msgspec.structs.replace(plan, **changes)


@pytest.fixture
def file(source: Path) -> Path:
    path = source / "file"
    path.write_bytes(os.urandom(SIZE))
    os.utime(path, ns=(1_000_000_007, 2_000_000_009))
    path.chmod(0o640)
    return path


def check_copy(several: Several, source: Path, destination: Path) -> None:
    record = several.record
    assert record is not None
    assert record.outcome is Outcome.COPIED, record.failure
    assert describe(destination)[b"file"] == describe(source)[b"file"]
    assert record.xxh3_128 == xxhash.xxh3_128_digest((source / "file").read_bytes())
    assert staged_left(destination) == []


def counting(counts: dict[int, int]) -> None:
    """Count how often each segment is read to be written."""

    def reach(point: str, detail: bytes) -> None:
        if point == "mover.segment":
            index = int(detail.rsplit(b":", 1)[1])
            counts[index] = counts.get(index, 0) + 1

    faults.install(reach)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("from_medium", [True, False])
def test_movers_share_a_file_and_write_every_segment_once(
    source: Path, destination: Path, file: Path, verify: bool, from_medium: bool
) -> None:
    plan = plan_of(source, destination, verify=verify, verify_from_medium=from_medium)
    counts: dict[int, int] = {}
    counting(counts)
    try:
        several = Several(plan, Random(1))
        several.run()
    finally:
        faults.install(None)
    check_copy(several, source, destination)
    assert counts == dict.fromkeys(range(22), 1)
    assert several.bytes_copied == SIZE
    assert len(several.workers) == 2
    assert len(several.parts_returned) == 6


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 1 << 32),
    segments=st.integers(5, 40),
    rest=st.integers(1, SEGMENT),
    movers=st.integers(1, 3),
    losses=st.floats(0, 0.5),
    sparse=st.booleans(),
    plan_fields=st.fixed_dictionaries(
        {
            "verify": st.booleans(),
            "verify_from_medium": st.booleans(),
            "workers": st.integers(2, 9),
            "conflict": st.sampled_from(ConflictResolution),
        }
    ),
)
def test_any_order_and_any_deaths_end_in_the_same_file(
    seed: int,
    segments: int,
    rest: int,
    movers: int,
    losses: float,
    sparse: bool,
    plan_fields: dict[str, object],
) -> None:
    random = Random(seed)
    base = Path(mkdtemp(prefix="longshore-parts-"))
    try:
        source, destination = base / "source", base / "destination"
        source.mkdir()
        destination.mkdir()
        _grow(source / "file", (segments - 1) * SEGMENT + rest, random, sparse=sparse)
        several = Several(plan_of(source, destination, **plan_fields), random, count=movers)
        deaths = iter(range(DEATHS))
        several.run(lambda: random.random() < losses and next(deaths, None) is not None)
        check_copy(several, source, destination)
    finally:
        shutil.rmtree(base)


def _grow(path: Path, size: int, random: Random, *, sparse: bool) -> None:
    with path.open("wb") as file:
        file.truncate(size)
        for start in range(0, size, SEGMENT):
            if not sparse or random.random() < 0.3:
                file.seek(start)
                file.write(random.randbytes(min(SEGMENT, size - start)))


def test_what_a_lost_mover_had_recorded_is_not_read_again(
    source: Path, destination: Path, file: Path
) -> None:
    counts: dict[int, int] = {}
    counting(counts)
    try:
        several = Several(plan_of(source, destination), Random(3))
        deaths = iter([False] * 4 + ([True] + [False] * 4) * 3)
        several.run(lambda: next(deaths, False))
    finally:
        faults.install(None)
    check_copy(several, source, destination)
    # Each death costs the one segment of its slice, never one that was through before.
    assert 22 < sum(counts.values()) <= 22 + 3


ONCE = '[{"deed": "write", "effect": {"type": "refuse", "kind": "input_output", "retry": "later"}}]'
ALWAYS = ONCE.replace("}}]", '}, "times": 1000}]')


def test_an_error_that_passes_costs_one_part_an_attempt_and_the_others_nothing(
    source: Path, destination: Path, file: Path
) -> None:
    counts: dict[int, int] = {}
    counting(counts)
    try:
        wrap = with_faults(*faults_from_json(ONCE))
        several = Several(plan_of(source, destination), Random(5), wrap_destination=wrap)
        several.run()
    finally:
        faults.install(None)
    check_copy(several, source, destination)
    assert sorted(counts.values()) == [1] * 21 + [2]


def test_an_error_that_stays_fails_the_file_once_and_leaves_nothing(
    source: Path, destination: Path, file: Path
) -> None:
    wrap = with_faults(*faults_from_json(ALWAYS))
    record = Several(plan_of(source, destination), Random(5), wrap_destination=wrap).run()
    assert record.outcome is Outcome.FAILED
    assert record.failure is not None
    assert record.failure.kind is ErrorKind.INPUT_OUTPUT
    assert (record.failure.stage, record.failure.side) == (Stage.TRANSFER, Side.DESTINATION)
    assert record.attempts == ATTEMPTS_MAXIMUM
    assert os.listdir(destination) == []


@pytest.mark.parametrize("times", [1, 2, 1000])
def test_a_file_that_changes_under_its_movers_begins_again_and_is_never_a_mixture(
    source: Path, destination: Path, file: Path, times: int
) -> None:
    several = Several(plan_of(source, destination), Random(9))
    changes = 0
    while several.record is None:
        several.step()
        if several.parts_returned and changes < times:
            several.parts_returned.clear()
            changes += 1
            file.write_bytes(bytes([changes]) * SIZE)
            os.utime(file, ns=(0, 10**15 + changes))
    several.close()
    if times < ATTEMPTS_MAXIMUM:
        check_copy(several, source, destination)
        return
    assert several.record.failure is not None
    assert several.record.failure.kind is ErrorKind.CHANGED_WHILE_READ
    assert several.record.attempts == ATTEMPTS_MAXIMUM
    assert os.listdir(destination) == []


CORRUPT = '[{"deed": "write", "effect": {"type": "corrupt"}, "first": 9}]'


def test_one_damaged_segment_is_noticed_before_anything_is_published(
    source: Path, destination: Path, file: Path
) -> None:
    wrap = with_faults(*faults_from_json(CORRUPT))
    several = Several(plan_of(source, destination), Random(2), wrap_destination=wrap)
    record = several.run()
    check_copy(several, source, destination)
    assert record.attempts == 2


def test_what_was_published_before_a_crash_is_recognised_without_its_source(
    source: Path, destination: Path, file: Path
) -> None:
    several = Several(plan_of(source, destination), Random(4))
    while not (destination / "file").exists():
        payload = several.payload
        several.step()
    reads: list[bytes] = []
    wrap = with_faults(
        *faults_from_json('[{"deed": "read", "effect": {"type": "call"}, "times": 1000}]'),
        hook=lambda deed, path: reads.append(path) if deed is Deed.READ else None,
    )
    several.record, several.payload, several.shared = None, payload, True  # the reply got lost
    several.wrap_source = wrap
    for number in range(several.count):
        several.kill(number)
    several.run()
    check_copy(several, source, destination)
    assert reads == []


@pytest.mark.parametrize(
    ("conflict", "size", "outcome", "names"),
    [
        (ConflictResolution.RENAME, SIZE, Outcome.RENAMED, {b"file", b"file (1)"}),
        (ConflictResolution.RENAME, 10, Outcome.RENAMED, {b"file", b"file (1)"}),
        (ConflictResolution.OVERWRITE, SIZE, Outcome.OVERWRITTEN, {b"file"}),
        (ConflictResolution.OVERWRITE, 10, Outcome.OVERWRITTEN, {b"file"}),
        # Of another size it does not come to a mover at all.
        (ConflictResolution.IGNORE, SIZE, Outcome.KEPT, {b"file"}),
    ],
)
def test_the_conflict_rule_holds_for_a_file_in_parts(
    source: Path,
    destination: Path,
    file: Path,
    conflict: ConflictResolution,
    size: int,
    outcome: Outcome,
    names: set[bytes],
) -> None:
    standing = b"x" * size
    (destination / "file").write_bytes(standing)
    several = Several(plan_of(source, destination, conflict=conflict), Random(6))
    assert several.run().outcome is outcome
    found = describe(destination)
    assert found.keys() == names
    written = {Outcome.RENAMED: b"file (1)", Outcome.OVERWRITTEN: b"file"}.get(outcome)
    if written is not None:
        assert found[written] == describe(source)[b"file"]
    if outcome is not Outcome.OVERWRITTEN:
        assert found[b"file"][-1] == standing


def test_a_file_of_equal_content_is_identical_and_not_shared(
    source: Path, destination: Path, file: Path
) -> None:
    shutil.copyfile(file, destination / "file")
    several = Several(plan_of(source, destination), Random(6))
    assert several.run().outcome is Outcome.IDENTICAL
    assert several.parts_returned == []


def test_holes_stay_holes_when_several_movers_write_around_them(
    source: Path, destination: Path
) -> None:
    page = 64 * 1024
    with (source / "file").open("wb") as made:
        made.truncate(20 * page)
        for number in (1, 2, 9, 17):
            made.seek(number * page)
            made.write(os.urandom(page))
    several = Several(plan_of(source, destination, segment_bytes=page), Random(6))
    several.run()
    check_copy(several, source, destination)
    allocated = [(root / "file").stat().st_blocks for root in (source, destination)]
    assert allocated[1] <= allocated[0]


@pytest.mark.parametrize("ability", [{"ranged_write": False}, {"sequential_only": True}])
def test_a_destination_that_takes_no_ranges_gets_the_file_from_one_mover(
    source: Path, destination: Path, file: Path, ability: dict[str, object]
) -> None:
    several = Several(plan_of(source, destination), Random(1), wrap_destination=without(**ability))
    while several.record is None:
        several.step()
        # The pass begins in the slice that ends the writing, and has to stay with its mover.
        assert several.inside == (several.record is None and several.orders >= 22)
    several.close()
    check_copy(several, source, destination)
    assert several.parts_returned == []


# ------------------------------------------------------------------------------- object stores


class Uploads(ForwardingStorage):
    """A storage as object stores are: uploads have ids, and nothing staged is read back."""

    def __init__(self, inner: StorageHandler, begun: list[bytes], aborted: list[bytes]) -> None:
        super().__init__(inner)
        self.capabilities = msgspec.structs.replace(
            inner.capabilities, confirms_content=True, sparse=False
        )
        self.begun, self.aborted = begun, aborted

    def wrap_folder(self, folder: Folder) -> Folder:
        return UploadFolder(folder, self)


class UploadFolder(ForwardingFolder):
    def __init__(self, inner: Folder, storage: Uploads) -> None:
        super().__init__(inner)
        self._storage = storage

    def stage(
        self,
        temporary_name: bytes,
        *,
        size: int,
        resume: bool = False,
        intent: Intent | None = None,
        token: bytes = b"",
    ) -> StagedFile:
        if not resume:
            assert intent is not None, "it has to know what it is to become"
            token = b"upload %d" % len(self._storage.begun)
            self._storage.begun.append(token)
        assert token in self._storage.begun
        assert token not in self._storage.aborted
        staged = self.inner.stage(temporary_name, size=size, resume=resume)
        return Upload(staged, token, self._storage)


class Upload(ForwardingStagedFile):
    def __init__(self, inner: StagedFile, token: bytes, storage: Uploads) -> None:
        super().__init__(inner)
        self._token = token
        self._storage = storage

    def token(self) -> bytes:
        return self._token

    def read_into(self, buffer: memoryview, offset: int) -> int:
        raise AssertionError("nothing staged can be read back")

    def size(self) -> int:
        raise AssertionError("nothing staged can be measured")

    def abort(self) -> None:
        self._storage.aborted.append(self._token)
        super().abort()


class CountingSource(ForwardingStorage):
    """Counts the bytes that are read."""

    def __init__(self, inner: StorageHandler, read: list[int]) -> None:
        super().__init__(inner)
        self._read = read

    def wrap_folder(self, folder: Folder) -> Folder:
        return _CountingFolder(folder, self._read)


class _CountingFolder(ForwardingFolder):
    def __init__(self, inner: Folder, read: list[int]) -> None:
        super().__init__(inner)
        self._read = read

    def wrap_source(self, name: bytes, source: SourceFile) -> SourceFile:
        return _CountingFile(source, self._read)


class _CountingFile(ForwardingSourceFile):
    def __init__(self, inner: SourceFile, read: list[int]) -> None:
        super().__init__(inner)
        self._read = read

    def read_into(self, buffer: memoryview, offset: int) -> int:
        count = super().read_into(buffer, offset)
        self._read[0] += count
        return count


@pytest.mark.parametrize("movers", [1, 3])
@pytest.mark.parametrize("workers", [1, 4])
def test_an_upload_is_known_before_its_parts_and_checked_without_reading_it_back(
    source: Path, destination: Path, file: Path, movers: int, workers: int
) -> None:
    begun: list[bytes] = []
    read = [0]
    several = Several(
        plan_of(source, destination, workers=workers),
        Random(8),
        count=movers,
        wrap_destination=lambda inner: Uploads(inner, begun, []),
        wrap_source=lambda inner: CountingSource(inner, read),
    )
    several.run()
    check_copy(several, source, destination)
    assert len(begun) == 1
    if workers == movers == 1:
        assert read[0] == SIZE, "one mover that writes all in order makes the checksums at once"
    assert read[0] <= 2 * SIZE


def test_an_upload_that_cannot_go_on_is_aborted_before_the_next_one(
    source: Path, destination: Path, file: Path
) -> None:
    begun: list[bytes] = []
    aborted: list[bytes] = []
    several = Several(
        plan_of(source, destination),
        Random(8),
        wrap_destination=lambda inner: Uploads(inner, begun, aborted),
    )
    while len(several.parts_returned) < 2:
        several.step()
    os.utime(file, ns=(0, 10**15))
    several.run()
    check_copy(several, source, destination)
    assert (len(begun), aborted) == (2, begun[:1])
