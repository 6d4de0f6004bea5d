"""Names of one file: linked whatever mover copies them, also after a crash, or else told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from longshore.domain.fidelity import decode_unkept
from longshore.domain.outcome import Outcome
from longshore.domain.segments import SEGMENT_BYTES
from longshore.storage.wrappers.faults import faults_from_json
from tests.trees import staged_left
from tests.unit.pipeline.driving import Driver, plan_for, with_faults, without

REFUSED = '[{"deed": "stage_link", "effect": {"type": "refuse", "kind": "%s"}, "times": 1000}]'
TOLD = "the destination does not keep: hard links"


def grow(root: Path, size: int = 1000) -> list[Path]:
    """Three names of one file, in three folders."""
    paths = [root / folder / "name" for folder in ("a", "b", "c")]
    for path in paths:
        path.parent.mkdir()
    paths[0].write_bytes(os.urandom(size))
    for path in paths[1:]:
        os.link(paths[0], path)
    return paths


def inodes(root: Path) -> set[int]:
    return {path.stat().st_ino for path in root.rglob("name")}


def hidden(root: Path) -> list[str]:
    return [name for name in os.listdir(root) if name.startswith(".longshore-")]


@pytest.mark.parametrize("size", [0, 1000, SEGMENT_BYTES + 1], ids=["empty", "small", "big"])
@pytest.mark.parametrize("slice_seconds", [0.02, 60.0], ids=["in slices", "at once"])
def test_several_movers_link_what_one_of_them_copied(
    source: Path, destination: Path, size: int, slice_seconds: float
) -> None:
    grow(source, size)
    plan = plan_for(source, destination, batch_files=1, slice_seconds=slice_seconds)
    done = Driver(plan, movers_count=3).run()
    assert len(inodes(destination)) == 1
    if slice_seconds == 60:
        assert done.bytes_copied == size
    assert [record.outcome for record in done.records] == [Outcome.COPIED] * 3
    assert len({record.checksum for record in done.records}) == 1
    assert hidden(destination) == staged_left(destination) == []
    assert done.warnings == []
    content = (source / "a" / "name").read_bytes()
    assert {path.read_bytes() for path in destination.rglob("name")} == {content}


@pytest.mark.parametrize("size", [1000, SEGMENT_BYTES + 1], ids=["small", "big"])
@pytest.mark.parametrize("steps", range(7))
def test_a_crash_at_any_order_changes_nothing_in_the_end(
    source: Path, destination: Path, steps: int, size: int
) -> None:
    grow(source, size)
    driver = Driver(plan_for(source, destination, batch_files=1))
    driver.start()
    for _ in range(steps):
        driver.step()
    driver.crash()
    while driver.step():
        pass
    driver.close()
    assert [record.outcome for record in driver.records] == [Outcome.COPIED] * 3
    assert len({record.checksum for record in driver.records}) == 1
    assert hidden(destination) == staged_left(destination) == []
    assert {path.stat().st_size for path in destination.rglob("name")} == {size}
    assert len(inodes(destination)) == 1


@pytest.mark.parametrize("size", [1000, SEGMENT_BYTES + 1], ids=["small", "big"])
def test_an_anchor_that_lost_its_content_is_never_linked_to(
    source: Path, destination: Path, size: int
) -> None:
    grow(source, size)
    plan = plan_for(source, destination, batch_files=1, slice_seconds=0.02)
    driver = Driver(plan)
    driver.start()
    while not driver.records:
        driver.step()
    driver.crash()
    (folder,) = hidden(destination)
    for path in destination.rglob("name"):
        path.unlink()  # its name was not made durable, nor the content of the anchor
    (anchor,) = os.listdir(destination / folder)
    os.truncate(destination / folder / anchor, 0)
    while driver.step():
        pass
    driver.close()
    content = (source / "a" / "name").read_bytes()
    assert {path.read_bytes() for path in destination.rglob("name")} == {content}
    assert hidden(destination) == []


@pytest.mark.parametrize("kind", ["unsupported", "permission"])
@pytest.mark.parametrize("size", [1000, SEGMENT_BYTES + 1], ids=["small", "big"])
def test_names_that_cannot_be_linked_are_copied_and_told(
    source: Path, destination: Path, kind: str, size: int
) -> None:
    grow(source, size)
    wrap = with_faults(*faults_from_json(REFUSED % kind))
    plan = plan_for(source, destination, batch_files=1, slice_seconds=0.02)
    done = Driver(plan, wrap_destination=wrap, movers_count=2).run()
    check_alone(done, source, destination)


@pytest.mark.parametrize("size", [1000, SEGMENT_BYTES + 1], ids=["small", "big"])
def test_a_destination_without_hard_links_gets_copies(
    source: Path, destination: Path, size: int
) -> None:
    grow(source, size)
    done = Driver(plan_for(source, destination), wrap_destination=without(hard_links=False)).run()
    check_alone(done, source, destination)


def test_a_big_file_with_more_names_than_a_file_may_have_is_copied_again(
    source: Path, destination: Path
) -> None:
    grow(source, SEGMENT_BYTES + 1)
    faults = REFUSED % "unsupported"
    second = faults.replace('"times": 1000', '"first": 2, "times": 1000')
    wrap = with_faults(*faults_from_json(second))
    plan = plan_for(source, destination, batch_files=1)
    done = Driver(plan, wrap_destination=wrap).run()
    assert [decode_unkept(record.lost).hard_link for record in done.records] == [False, True, True]
    assert len(inodes(destination)) == 3
    assert hidden(destination) == staged_left(destination) == []


def check_alone(done: Driver, source: Path, destination: Path) -> None:
    assert [record.outcome for record in done.records] == [Outcome.COPIED] * 3
    assert [decode_unkept(record.lost).hard_link for record in done.records] == [True] * 3
    assert done.warnings == [TOLD]
    assert len(inodes(destination)) == 3
    content = (source / "a" / "name").read_bytes()
    assert {path.read_bytes() for path in destination.rglob("name")} == {content}
    assert hidden(destination) == staged_left(destination) == []


def test_a_file_that_changes_between_its_names_is_not_linked_to_its_old_content(
    source: Path, destination: Path
) -> None:
    paths = grow(source)
    done = Driver(plan_for(source, destination, batch_files=1))
    done.start()
    while not done.records:
        done.step()
    paths[0].write_bytes(b"new")
    os.utime(paths[0], ns=(0, 5_000_000_000))
    while done.step():
        pass
    done.close()
    old = (destination / done.records[0].target_path.decode()).read_bytes()
    assert len(old) == 1000
    others = [destination / record.target_path.decode() for record in done.records[1:]]
    assert {path.read_bytes() for path in others} == {b"new"}
    assert len({path.stat().st_ino for path in others}) == 1
