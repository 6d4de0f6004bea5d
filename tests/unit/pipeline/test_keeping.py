"""What a destination loses is noted with its values, and told once per kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from longshore.domain.fidelity import decode_unkept
from longshore.storage.wrappers.faults import faults_from_json
from tests import fidelity
from tests.unit.pipeline.driving import Driver, plan_for, stripped, with_faults

NOTE = b"user.note"


def test_lost_attributes_are_noted_for_files_folders_and_told_once(
    source: Path, destination: Path
) -> None:
    fidelity.grow_all(source)
    driver = Driver(plan_for(source, destination), wrap_destination=stripped("attributes"))
    done = driver.run()
    assert decode_unkept(done.record_of(b"attributes").lost).attributes == {NOTE: b"\x00value\xff"}
    (folder,) = [found for found in done.folders if found.path == b"folder"]
    assert set(decode_unkept(folder.lost).attributes) == {
        NOTE,
        fidelity.ACCESS.encode(),
        fidelity.DEFAULT.encode(),
    }
    kinds = {text.removeprefix("the destination does not keep: ") for text in done.warnings}
    expected = {"access lists", "extended attributes of the kind user"}
    if os.geteuid() == 0:
        expected |= {f"extended attributes of the kind {each}" for each in ("security", "trusted")}
    assert kinds == expected
    assert len(done.warnings) == len(kinds)


@pytest.mark.parametrize(
    ("ability", "fields"), [("ownership", {"uid", "gid"}), ("permissions", {"mode"})]
)
def test_lost_owners_and_modes_are_noted_with_their_values(
    source: Path, destination: Path, ability: str, fields: set[str]
) -> None:
    path = source / "file"
    path.write_bytes(b"")
    path.chmod(0o640)
    driver = Driver(plan_for(source, destination), wrap_destination=stripped(ability))
    lost = decode_unkept(driver.run().record_of(b"file").lost)
    found = path.stat()
    values = {"uid": found.st_uid, "gid": found.st_gid, "mode": 0o640}
    for field, value in values.items():
        assert getattr(lost, field) == (value if field in fields else None)


def test_what_was_lost_is_known_after_a_crash_too(source: Path, destination: Path) -> None:
    (source / "file").write_bytes(b"content")
    os.setxattr(source / "file", "user.note", b"value")
    driver = Driver(plan_for(source, destination), wrap_destination=stripped("attributes"))
    driver.start()
    driver.step()  # the scan
    driver.crash()  # the file is published, and nobody knows
    while driver.step():
        pass
    driver.close()
    assert (destination / "file").read_bytes() == b"content"
    assert decode_unkept(driver.record_of(b"file").lost).attributes == {NOTE: b"value"}


def test_holes_that_are_filled_are_told(source: Path, destination: Path) -> None:
    fidelity.grow_all(source)
    driver = Driver(plan_for(source, destination), wrap_destination=stripped("sparse"))
    assert driver.run().warnings == ["the destination does not keep: holes of sparse files"]


def test_a_folder_whose_attributes_cannot_be_read_gets_its_other_metadata(
    source: Path, destination: Path
) -> None:
    (source / "folder").mkdir(mode=0o700)
    refusal = '[{"deed": "attributes", "effect": {"type": "refuse", "kind": "permission"}}]'
    wrap = with_faults(*faults_from_json(refusal))
    done = Driver(plan_for(source, destination), wrap_source=wrap).run()
    assert fidelity.mode(destination / "folder") == 0o700
    assert done.warnings == ["attributes of a source folder could not be read"]


def test_empty_folders_inside_each_other_keep_their_times(source: Path, destination: Path) -> None:
    path = source
    for number in range(5):
        path = path / str(number)
        path.mkdir()
    for folder in [*source.rglob("*")]:
        os.utime(folder, ns=(fidelity.ATIME_NS, fidelity.MTIME_NS))
    Driver(plan_for(source, destination)).run()
    made = list(destination.rglob("*"))
    assert len(made) == 5
    assert {fidelity.mtime(folder) for folder in made} == {fidelity.MTIME_NS}
