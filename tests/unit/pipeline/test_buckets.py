"""What a bucket as a destination wants of the pipeline, whatever the settings say."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import msgspec
import pytest

from longshore.domain.checksum import ChecksumKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.domain.outcome import Outcome
from longshore.domain.task import ConflictResolution, WorkflowAction
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.storage.backends.object_store import store
from longshore.storage.backends.object_store.client import Abilities, ObjectStat
from longshore.storage.backends.object_store.copying import COPIED_BYTES_MINIMUM
from longshore.storage.backends.object_store.multipart import PART_BYTES
from longshore.storage.backends.object_store.stage import SMALL_BYTES
from tests.unit.pipeline.driving import Driver, plan_for
from tests.unit.pipeline.several import Several
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

SEGMENT = 1024 * 1024  # shorter than a part, and than what waits in memory


def plan_of(source: Path, *, workers: int = 1) -> ExecutionPlan:
    """Slices that end after one segment."""
    plan = plan_for(source, source, slice_seconds=1e-9)
    return msgspec.structs.replace(plan, segment_bytes=SEGMENT, workers=workers)


@pytest.mark.parametrize("size", [SMALL_BYTES, SMALL_BYTES + 1, 3 * PART_BYTES])
def test_short_segments_leave_no_part_of_a_file_out(source: Path, size: int) -> None:
    content = os.urandom(size)
    (source / "file").write_bytes(content)
    client = MemoryClient()
    driver = Driver(
        plan_of(source), wrap_destination=lambda _: open_memory(client), movers_count=2
    ).run()
    assert driver.record_of(b"file").outcome is Outcome.COPIED
    assert {key: kept.data for key, kept in client.kept.items()} == {"file": content}
    assert client.uploads == {}


@pytest.mark.parametrize("seed", range(3))
def test_movers_share_a_file_in_whole_parts_however_long_they_are(source: Path, seed: int) -> None:
    content = os.urandom(5 * 2 * PART_BYTES + 1000)
    (source / "file").write_bytes(content)
    client = MemoryClient(
        abilities=Abilities(conditional_create=True, part_bytes_minimum=2 * PART_BYTES)
    )
    several = Several(
        plan_of(source, workers=3), Random(seed), wrap_destination=lambda _: open_memory(client)
    )
    record = several.run()
    assert record.outcome is Outcome.COPIED
    assert client.kept["file"].data == content
    assert client.requests.count("complete") == 1
    assert len([each for each in client.requests if each.startswith("part ")]) == 6


@pytest.mark.parametrize("volleys", [True, False])
def test_what_has_confirmed_a_file_goes_on_record(source: Path, volleys: bool) -> None:
    contents = {"empty": b"", "small": b"content", "more": os.urandom(300_000)}
    for name, content in contents.items():
        (source / name).write_bytes(content)
    (source / "in parts").write_bytes(bytes(SMALL_BYTES + 1))
    client = MemoryClient(abilities=Abilities(conditional_create=True, volleys=volleys))
    plan = plan_for(source, source, checksum=ChecksumKind.NONE)
    driver = Driver(plan, wrap_destination=lambda _: open_memory(client)).run()
    for name, content in contents.items():
        assert driver.record_of(name.encode()).checksum == hashlib.md5(content).digest()
    assert driver.record_of(b"in parts").checksum == b""


@pytest.mark.parametrize("conflict", ConflictResolution)
def test_a_file_in_an_archive_is_recognised_after_a_crash(
    source: Path, conflict: ConflictResolution
) -> None:
    class Archive(MemoryClient):
        def get_first(self, key: str, limit: int) -> NoReturn:
            raise StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "read", key.encode(), "")

    (source / "file").write_bytes(b"content")
    client = Archive()
    driver = Driver(
        plan_for(source, source, conflict=conflict),
        wrap_destination=lambda _: open_memory(client),
    )
    driver.start()
    driver.step()
    driver.crash()  # it was published, and nobody knows
    while driver.step():
        pass
    driver.close()
    assert driver.record_of(b"file").outcome is Outcome.COPIED
    assert client.requests.count("put file") == 1
    assert set(client.kept) == {"file"}


def test_a_shared_file_whose_upload_is_gone_begins_anew(source: Path) -> None:
    content = os.urandom(6 * PART_BYTES)
    (source / "file").write_bytes(content)
    client = MemoryClient()
    several = Several(
        plan_of(source, workers=3), Random(4), wrap_destination=lambda _: open_memory(client)
    )
    while not several.parts_returned:
        several.step()
    client.uploads.clear()  # as a rule of the bucket does after days
    assert several.run().outcome is Outcome.COPIED
    assert {key: kept.data for key, kept in client.kept.items()} == {"file": content}


def test_an_upload_for_want_of_memory_is_not_left_when_there_is_memory_again(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "file").write_bytes(b"content")
    client = MemoryClient()
    driver = Driver(plan_of(source), wrap_destination=lambda _: open_memory(client))
    driver.start()
    driver.step()
    with monkeypatch.context() as patched:
        patched.setattr(store, "HELD_BYTES_MAXIMUM", 0)
        patched.setattr(MemoryClient, "complete_upload", _die)
        with pytest.raises(_Died):
            driver.crash()
    assert client.uploads
    driver.fresh = False
    while driver.step():
        pass
    assert driver.record_of(b"file").outcome is Outcome.COPIED
    assert set(client.kept) == {"file"}
    assert client.uploads == {}


class _Died(Exception):
    """The mover, as far as this test goes."""


def _die(*_: object) -> NoReturn:
    raise _Died


@pytest.mark.parametrize("kind", [ErrorKind.PERMISSION, ErrorKind.NOT_FOUND, ErrorKind.UNKNOWN])
def test_a_copy_that_the_store_refuses_is_read_and_written(source: Path, kind: ErrorKind) -> None:
    class Refusing(MemoryClient):
        refusals = 0

        def copy(self, *_: object, **__: object) -> NoReturn:
            self.refusals += 1
            raise StorageError(kind, RetryClass.NEVER, "copy", b"", "no")

    one, other = MemoryClient(), Refusing()
    content = os.urandom(COPIED_BYTES_MINIMUM)
    for number in range(3):
        one.put(f"file{number}", content)
    driver = Driver(
        plan_for(source, source, checksum=ChecksumKind.NONE),
        wrap_source=lambda _: open_memory(one, bucket="one"),
        wrap_destination=lambda _: open_memory(other, bucket="other"),
    ).run()
    assert [record.outcome for record in driver.records] == [Outcome.COPIED] * 3
    assert {kept.data for kept in other.kept.values()} == {content}
    assert 0 < other.refusals <= 3


def test_a_store_that_knows_no_condition_of_copies_copies_by_itself_all_the_same(
    source: Path,
) -> None:
    class Plain(MemoryClient):
        def copy(self, source_key: str, key: str, **how: Any) -> ObjectStat:
            if how.pop("only_if_absent"):
                raise StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "copy", b"", "no")
            self.kept[source_key] = one.kept[source_key]  # there is one bucket here
            stat = super().copy(source_key, "a copy", metadata=how["metadata"])
            self.kept = {"a copy": self.kept["a copy"]}
            return stat

    one, other = MemoryClient(), Plain()
    one.put("file", os.urandom(COPIED_BYTES_MINIMUM))
    driver = Driver(
        plan_for(source, source, checksum=ChecksumKind.NONE),
        wrap_source=lambda _: open_memory(one, bucket="one"),
        wrap_destination=lambda _: open_memory(other, bucket="other"),
    ).run()
    assert driver.record_of(b"file").outcome is Outcome.COPIED
    assert driver.bytes_copied == 0
    assert set(other.kept) == {"a copy"}


def test_a_move_reads_what_stands_for_its_source(source: Path) -> None:
    (source / "file").write_bytes(b"content")
    client = MemoryClient()
    plan = plan_for(source, source)
    Driver(plan, wrap_destination=lambda _: open_memory(client)).run()
    client.requests.clear()
    moving = msgspec.structs.replace(plan, action=WorkflowAction.MOVE)
    driver = Driver(moving, wrap_destination=lambda _: open_memory(client)).run()
    assert driver.record_of(b"file").outcome is Outcome.IDENTICAL
    assert "first file" in client.requests
