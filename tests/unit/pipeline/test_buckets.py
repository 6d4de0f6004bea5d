"""What a bucket as a destination wants of the pipeline, whatever the settings say."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import msgspec
import pytest

from longshore.domain.outcome import Outcome
from longshore.pipeline.messages import ExecutionPlan
from longshore.storage.backends.object_store.client import Abilities
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
