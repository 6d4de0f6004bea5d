"""What tasks ask of a bucket: each request counts, many thousand times."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from longshore.domain.checksum import ChecksumKind
from longshore.domain.outcome import Outcome
from longshore.domain.task import ConflictResolution
from longshore.storage.backends.object_store.client import Abilities
from longshore.storage.backends.object_store.stage import SMALL_BYTES
from tests.unit.pipeline.driving import Driver, plan_for
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

FILES = 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "d"
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"f{number:03}").write_bytes(b"%d" % number)
    return tmp_path / "source"


@pytest.fixture
def client() -> MemoryClient:
    """A store that cannot refuse to replace."""
    return MemoryClient(abilities=Abilities(conditional_create=False))


def into(client: MemoryClient, source: Path, conflict: ConflictResolution) -> Driver:
    """Copy the source into the bucket."""
    plan = plan_for(source, source, conflict=conflict, checksum=ChecksumKind.NONE)
    return Driver(plan, wrap_destination=lambda _: open_memory(client)).run()


def outcomes(driver: Driver) -> Counter[Outcome]:
    return Counter(record.outcome for record in driver.records)


def asked(client: MemoryClient, deed: str) -> list[str]:
    """The names of files that were asked for so."""
    return [request for request in client.requests if request.startswith(f"{deed} d/f")]


def test_a_task_that_overwrites_writes_new_files_with_one_request_each(
    source: Path, client: MemoryClient
) -> None:
    assert outcomes(into(client, source, ConflictResolution.OVERWRITE)) == {Outcome.COPIED: FILES}
    assert len(asked(client, "put")) == FILES
    assert not asked(client, "head")


def test_a_task_that_does_not_overwrite_looks_at_each_name_right_before_it_writes(
    source: Path, client: MemoryClient
) -> None:
    client.put("d/f007", b"other")
    client.unlisted.add("d/f007")
    assert outcomes(into(client, source, ConflictResolution.IGNORE)) == {
        Outcome.COPIED: FILES - 1,
        Outcome.KEPT: 1,
    }
    assert client.kept["d/f007"].data == b"other"


def test_a_big_file_that_is_replaced_is_not_copied_inside_the_store(
    tmp_path: Path, client: MemoryClient
) -> None:
    (tmp_path / "big").write_bytes(b"new" * (SMALL_BYTES // 2))
    client.put("big", b"old")
    assert outcomes(into(client, tmp_path, ConflictResolution.OVERWRITE)) == {
        Outcome.OVERWRITTEN: 1
    }
    assert client.kept["big"].stat.size == 3 * (SMALL_BYTES // 2)
    assert not [request for request in client.requests if request.startswith("copy")]
