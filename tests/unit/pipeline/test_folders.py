"""Folders get their metadata after their files, however often the storage has to be asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from longshore.domain.errors import ErrorKind, RetryClass
from longshore.domain.outcome import Outcome
from longshore.pipeline.copying import ATTEMPTS_MAXIMUM
from longshore.storage.wrappers.faults import Deed, Fault, Refuse
from tests.trees import describe
from tests.unit.pipeline.driving import Driver, plan_for, with_faults

STALE = Refuse(ErrorKind.STALE, RetryClass.NOW)
DENIED = Refuse(ErrorKind.PERMISSION, RetryClass.NEVER)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for name in ("outer/inner/innermost", "other"):
        (root / name).mkdir(parents=True)
        (root / name / "file").write_bytes(name.encode())
    for number, folder in enumerate(sorted(root.rglob("*"), reverse=True)):
        if folder.is_dir():
            folder.chmod(0o500 + number)
            os.utime(folder, ns=(10**18, 10**18 + number))
    return root


def copied(source: Path, destination: Path, *faults: Fault) -> Driver:
    destination.mkdir()
    return Driver(plan_for(source, destination), wrap_destination=with_faults(*faults)).run()


@pytest.mark.parametrize("times", [1, ATTEMPTS_MAXIMUM - 1])
@pytest.mark.parametrize("pattern", ["outer", "outer/inner", "*"])
def test_what_keeps_a_folder_from_its_metadata_may_pass(
    source: Path, tmp_path: Path, pattern: str, times: int
) -> None:
    fault = Fault(Deed.SET_METADATA, STALE, pattern=pattern, times=times)
    driver = copied(source, tmp_path / "destination", fault)
    assert {record.outcome for record in driver.records} == {Outcome.COPIED}
    assert describe(tmp_path / "destination") == describe(source)
    assert sorted(each.path for each in driver.folders) == [
        b"other",
        b"outer",
        b"outer/inner",
        b"outer/inner/innermost",
    ]


@pytest.mark.parametrize("effect", [STALE, DENIED], ids=["for too long", "for good"])
def test_a_folder_that_does_not_get_its_metadata_is_told_and_the_others_get_theirs(
    source: Path, tmp_path: Path, effect: Refuse
) -> None:
    fault = Fault(Deed.SET_METADATA, effect, pattern="outer/inner", times=ATTEMPTS_MAXIMUM)
    driver = copied(source, tmp_path / "destination", fault)
    (failed,) = [each for each in driver.records if each.outcome is Outcome.FAILED]
    assert (failed.folder, failed.entry.name) == (b"outer", b"inner")
    assert sorted(each.path for each in driver.folders) == [
        b"other",
        b"outer",
        b"outer/inner/innermost",
    ]
