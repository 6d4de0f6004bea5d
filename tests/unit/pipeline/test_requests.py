"""What tasks ask of a bucket: each request counts, many thousand times."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from longshore.domain.checksum import ChecksumKind
from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.outcome import Outcome
from longshore.domain.task import ConflictResolution, ProcessingOrder
from longshore.storage.backends.object_store.client import Abilities, PutOptions
from longshore.storage.backends.object_store.stage import SMALL_BYTES
from longshore.storage.wrappers.faults import Deed, Fault, Refuse
from tests.unit.pipeline.driving import Driver, plan_for, with_faults
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

FILES = 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "d"
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"f{number:03}").write_bytes(b"%d" % number)
    return tmp_path / "source"


@pytest.fixture(params=[False, True], ids=["one by one", "volleys"])
def client(request: pytest.FixtureRequest) -> MemoryClient:
    """A store that cannot refuse to replace."""
    abilities = Abilities(conditional_create=False, volleys=request.param)
    return MemoryClient(abilities=abilities)


def into(client: MemoryClient, source: Path, conflict: ConflictResolution) -> Driver:
    """Copy the source into the bucket."""
    plan = plan_for(source, source, conflict=conflict, checksum=ChecksumKind.NONE)
    return Driver(plan, wrap_destination=lambda _: open_memory(client)).run()


def fill(client: MemoryClient) -> None:
    """Put files into the bucket, their times in the other order than that of their arrival."""
    for number in reversed(range(FILES)):
        metadata = {"mode": "100640", "mtime": f"1.{number:09}"}
        client.put(f"d/f{number:03}", b"%d" % number, PutOptions(metadata=metadata))
    client.requests.clear()


def out_of(
    client: MemoryClient,
    destination: Path,
    order: ProcessingOrder = ProcessingOrder.NONE,
    root_id: int | None = None,
) -> Driver:
    """Copy the bucket to the destination."""
    plan = plan_for(destination, destination, checksum=ChecksumKind.NONE)
    sources = [msgspec.structs.replace(each, root_id=root_id) for each in plan.sources]
    plan = msgspec.structs.replace(plan, order=order, sources=sources)
    return Driver(plan, wrap_source=lambda _: open_memory(client)).run()


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


def test_new_files_are_read_out_with_one_request_each(tmp_path: Path, client: MemoryClient) -> None:
    fill(client)
    driver = out_of(client, tmp_path)
    assert outcomes(driver) == {Outcome.COPIED: FILES}
    assert len(asked(client, "first")) == FILES
    assert not asked(client, "head")
    record = driver.record_of(b"f003")
    assert (record.entry.mode, record.entry.mtime_ns) == (0o100640, 1_000_000_003)
    assert not record.entry.is_outline
    status = (tmp_path / "d" / "f003").stat()
    assert (status.st_mode, status.st_mtime_ns) == (0o100640, 1_000_000_003)


def test_files_that_stand_at_the_destination_are_compared_in_all_details(
    tmp_path: Path, client: MemoryClient
) -> None:
    fill(client)
    out_of(client, tmp_path)
    (tmp_path / "d" / "f005").write_bytes(b"x")
    (tmp_path / "d" / "f006").unlink()
    client.requests.clear()
    assert outcomes(out_of(client, tmp_path)) == {
        Outcome.IDENTICAL: FILES - 2,
        Outcome.OVERWRITTEN: 1,
        Outcome.COPIED: 1,
    }
    assert len(asked(client, "head")) == FILES - 1
    assert sorted(asked(client, "first")) == ["first d/f005", "first d/f006"]


def test_whole_folders_are_compared_in_all_details(tmp_path: Path, client: MemoryClient) -> None:
    fill(client)
    out_of(client, tmp_path)
    (tmp_path / "d" / "f005").write_bytes(b"x")
    (tmp_path / "d" / "f006").unlink()
    client.requests.clear()
    # Unchanged files of a catalogued folder are no records of their own.
    assert outcomes(out_of(client, tmp_path, root_id=1)) == {
        Outcome.OVERWRITTEN: 1,
        Outcome.COPIED: 1,
    }
    assert len(asked(client, "head")) == FILES - 1


def test_files_that_stand_in_a_bucket_are_compared_in_all_details(
    source: Path, client: MemoryClient
) -> None:
    into(client, source, ConflictResolution.OVERWRITE)
    for number in range(FILES):
        client.put(f"d/f9{number}", b"no file of the source has this name")
    (source / "d" / "f005").write_bytes(b"x")
    client.requests.clear()
    assert outcomes(into(client, source, ConflictResolution.OVERWRITE)) == {
        Outcome.IDENTICAL: FILES - 1,
        Outcome.OVERWRITTEN: 1,
    }
    assert len(asked(client, "head")) == FILES


def test_a_symbolic_link_that_a_listing_calls_a_file_is_copied_as_one(
    tmp_path: Path, client: MemoryClient
) -> None:
    client.put("link", b"some/where", PutOptions(metadata={"mode": "120777"}))
    client.put("file", b"text")
    driver = out_of(client, tmp_path)
    assert outcomes(driver) == {Outcome.COPIED: 2}
    assert (tmp_path / "link").readlink() == Path("some/where")
    assert driver.record_of(b"link").entry.link_target == b"some/where"


def test_a_file_that_goes_between_listing_and_reading_fails_by_itself(
    tmp_path: Path, client: MemoryClient
) -> None:
    fill(client)
    driver = Driver(plan_for(tmp_path, tmp_path), wrap_source=lambda _: open_memory(client))
    driver.start()
    driver.step()
    del client.kept["d/f002"]
    while driver.step():
        pass
    driver.close()
    assert outcomes(driver) == {Outcome.COPIED: FILES - 1, Outcome.FAILED: 1}


def test_a_file_that_cannot_be_written_is_on_record_with_all_details(
    tmp_path: Path, client: MemoryClient
) -> None:
    fill(client)
    full = with_faults(
        Fault(
            deed=Deed.STAGE,
            effect=Refuse(ErrorKind.NAME_INVALID, RetryClass.NEVER),
            pattern="*",
            first=3,
        )
    )
    plan = plan_for(tmp_path, tmp_path, checksum=ChecksumKind.NONE)
    driver = Driver(plan, wrap_source=lambda _: open_memory(client), wrap_destination=full).run()
    (failed,) = (record for record in driver.records if record.outcome is Outcome.FAILED)
    assert failed.entry.mode == 0o100640
    assert not failed.entry.is_outline


@pytest.mark.parametrize("crashes", [1, 2, 3])
def test_outlines_are_recognised_after_a_crash(
    tmp_path: Path, client: MemoryClient, crashes: int
) -> None:
    fill(client)
    client.put("d/link", b"some/where", PutOptions(metadata={"mode": "120777"}))
    driver = Driver(plan_for(tmp_path, tmp_path), wrap_source=lambda _: open_memory(client))
    driver.start()
    driver.step()
    for _ in range(crashes):
        driver.crash()
    while driver.step():
        pass
    driver.close()
    assert outcomes(driver) == {Outcome.COPIED: FILES + 1}
    assert (tmp_path / "d" / "link").readlink() == Path("some/where")
    assert driver.record_of(b"f003").entry.mtime_ns == 1_000_000_003


def test_a_task_that_sorts_by_date_asks_for_the_dates(tmp_path: Path, client: MemoryClient) -> None:
    fill(client)
    out_of(client, tmp_path, order=ProcessingOrder.DATE)
    assert len(asked(client, "head")) == FILES


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
