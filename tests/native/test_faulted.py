"""System calls that fail or stop short: the native loops and the Python path come to the same.

A small library in front of that of C (faulted.c) lets them, below everything that Longshore is.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from longshore.domain.errors import ErrorKind, Side, Stage
from longshore.domain.outcome import Outcome
from tests.native.faulted import Copied
from tests.trees import describe, grow, staged_left

FILES = 20
GUILTY = "f000007.dat"
ALWAYS = 1_000_000
SECONDS_MAXIMUM = 120.0  # of one small copy in a process of its own
ROOT = Path(__file__).parents[2]
COMPILERS = ("cc", "gcc", "clang")

SOURCE, DESTINATION = "*/source/*.dat", "*/destination/*"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Calls number `first` and following of one deed on a path, see faulted.c."""

    deed: str
    pattern: str
    number: int = 0
    bytes: int = 0
    first: int = 1
    times: int = 1

    def line(self) -> str:
        return f"{self.deed} {self.first} {self.times} {self.number} {self.bytes} {self.pattern}"


NO_UNNAMED = Broken(deed="unnamed", pattern="*", number=errno.EOPNOTSUPP, times=ALWAYS)
"""The file system of the destination makes no files without a name: they are renamed."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library."""
    compiler = next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        pytest.skip("there is no C compiler for the library that makes system calls fail")
    output = tmp_path_factory.mktemp("faulted") / "faulted.so"
    source = Path(__file__).with_name("faulted.c")
    flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra")
    subprocess.run((compiler, *flags, str(source), "-ldl", "-o", str(output)), check=True)
    return output


@dataclass(frozen=True, kw_only=True)
class Run:
    """One copy of the tree under faults."""

    copied: Copied
    noted: list[str]  # "deed object" for each fault that came
    source: Path
    destination: Path

    def check(self, outcomes: dict[Outcome, int]) -> None:
        """Each file has one outcome, what is published is whole, and nothing else is left."""
        named = [(record.folder, record.entry.name) for record in self.copied.records]
        assert len(named) == len(set(named)) == FILES
        found = [record.outcome for record in self.copied.records]
        assert {outcome: found.count(outcome) for outcome in found} == outcomes
        assert staged_left(self.destination) == []
        expected = files_of(self.source)
        for record in self.copied.records:
            if record.outcome is not Outcome.COPIED:
                del expected[os.path.join(record.folder, record.entry.name)]
        assert files_of(self.destination) == expected


def files_of(folder: Path) -> dict[bytes, tuple[object, ...]]:
    return {path: each for path, each in describe(folder).items() if each[0] == "file"}


def copy(folder: Path, way: str, library: Path, *broken: Broken) -> Run:
    """Copy one tree in a process in which these calls fail; each fault has to come."""
    grow(folder / "source", FILES, per_folder=7)
    notes = folder / "noted"
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "FAULTS": "\n".join(each.line() for each in broken),
        "FAULTS_NOTED": str(notes),
        "PYTHONPATH": str(ROOT),
    }
    command = (sys.executable, "-m", "tests.native.faulted", str(folder), way)
    done = subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS_MAXIMUM,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    noted = notes.read_text().splitlines() if notes.exists() else []
    return Run(
        copied=msgspec.msgpack.decode(done.stdout, type=Copied),
        noted=noted,
        source=folder / "source",
        destination=folder / "destination",
    )


def came_to(run: Run, deed: str, way: str) -> None:
    """The fault came, and with the native loops it came to them."""
    objects = [line.split(" ", 1)[1] for line in run.noted if line.startswith(f"{deed} ")]
    assert objects, f"no {deed} failed"
    assert any("_loops" in each for each in objects) is (way == "native"), objects


both_ways = pytest.mark.parametrize("way", ["native", "python"])

PASSING: dict[str, tuple[Broken, ...]] = {
    "EIO of a source": (Broken(deed="open", pattern=SOURCE, number=errno.EIO, first=3),),
    "ESTALE of a source": (Broken(deed="open", pattern=SOURCE, number=errno.ESTALE, first=3),),
    "EIO of a read": (Broken(deed="read", pattern=SOURCE, number=errno.EIO, first=3),),
    "ESTALE of a read": (Broken(deed="read", pattern=SOURCE, number=errno.ESTALE, first=3),),
    "short reads": (Broken(deed="read", pattern=SOURCE, bytes=300, times=ALWAYS),),
    "a source that ends early": (Broken(deed="read", pattern=SOURCE, first=3),),
    "EIO of a write": (Broken(deed="write", pattern=DESTINATION, number=errno.EIO, first=3),),
    "short writes": (Broken(deed="write", pattern=DESTINATION, bytes=300, times=ALWAYS),),
    "EIO of what was written": (
        Broken(deed="read", pattern=DESTINATION, number=errno.EIO, first=3),
    ),
    "what was written ends early": (Broken(deed="read", pattern=DESTINATION, first=3),),
    "EIO of a publication": (
        NO_UNNAMED,
        Broken(deed="rename", pattern=f"*/{GUILTY}", number=errno.EIO),
    ),
}


@both_ways
@pytest.mark.parametrize("name", PASSING)
def test_calls_that_fail_or_stop_short_leave_an_exact_copy(
    tmp_path: Path, library: Path, name: str, way: str
) -> None:
    broken = PASSING[name]
    run = copy(tmp_path, way, library, *broken)
    came_to(run, broken[-1].deed, way)
    assert run.copied.losses == []
    run.check({Outcome.COPIED: FILES})


LASTING: dict[str, tuple[tuple[Broken, ...], ErrorKind, Stage, Side]] = {
    "EACCES of the source": (
        (Broken(deed="open", pattern=f"*/source/*{GUILTY}", number=errno.EACCES, times=ALWAYS),),
        ErrorKind.PERMISSION,
        Stage.TRANSFER,
        Side.SOURCE,
    ),
    "ESTALE of the source": (
        (Broken(deed="read", pattern=f"*/source/*{GUILTY}", number=errno.ESTALE, times=ALWAYS),),
        ErrorKind.STALE,
        Stage.TRANSFER,
        Side.SOURCE,
    ),
    "EIO of the source": (
        (Broken(deed="read", pattern=f"*/source/*{GUILTY}", number=errno.EIO, times=ALWAYS),),
        ErrorKind.INPUT_OUTPUT,
        Stage.TRANSFER,
        Side.SOURCE,
    ),
    "a source that always ends early": (
        (Broken(deed="read", pattern=f"*/source/*{GUILTY}", times=ALWAYS),),
        ErrorKind.SHORT_READ,
        Stage.TRANSFER,
        Side.SOURCE,
    ),
    "EACCES when it is published": (
        (
            NO_UNNAMED,
            Broken(
                deed="rename",
                pattern=f"*/destination/*/{GUILTY}",
                number=errno.EACCES,
                times=ALWAYS,
            ),
        ),
        ErrorKind.PERMISSION,
        Stage.PUBLISH,
        Side.DESTINATION,
    ),
}


@both_ways
@pytest.mark.parametrize("name", LASTING)
def test_calls_that_always_fail_cost_one_file_and_are_on_record(
    tmp_path: Path, library: Path, name: str, way: str
) -> None:
    broken, kind, stage, side = LASTING[name]
    run = copy(tmp_path, way, library, *broken)
    came_to(run, broken[-1].deed, way)
    run.check({Outcome.COPIED: FILES - 1, Outcome.FAILED: 1})
    (failed,) = [record for record in run.copied.records if record.failure is not None]
    assert failed.failure is not None
    assert failed.entry.name == os.fsencode(GUILTY)
    assert (failed.failure.kind, failed.failure.stage, failed.failure.side) == (kind, stage, side)


FULL = {
    "write": DESTINATION,
    "open": "*/destination/*/.longshore-*",
    "rename": "*/destination/*.dat",
}


@both_ways
@pytest.mark.parametrize("deed", FULL)
def test_a_destination_that_is_full_is_told_and_filled_later(
    tmp_path: Path, library: Path, deed: str, way: str
) -> None:
    full = Broken(deed=deed, pattern=FULL[deed], number=errno.ENOSPC, first=3, times=3)
    run = copy(tmp_path, way, library, NO_UNNAMED, full)
    came_to(run, deed, way)
    assert set(run.copied.losses) == {ErrorKind.NO_SPACE}
    run.check({Outcome.COPIED: FILES})


@both_ways
def test_files_of_a_failed_sync_are_written_again(tmp_path: Path, library: Path, way: str) -> None:
    run = copy(
        tmp_path, way, library, Broken(deed="sync", pattern="*/destination*", number=errno.EIO)
    )
    assert [line.split(" ")[0] for line in run.noted] == ["sync"]
    assert run.copied.losses == []
    run.check({Outcome.COPIED: FILES})


def test_a_native_publication_without_a_name_that_fails_is_made_up_for(
    tmp_path: Path, library: Path
) -> None:
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError as error:
        pytest.skip(f"this file system makes no files without a name: {error}")
    # Both calls for the guilty file: through the descriptor and through its entry in /proc.
    broken = Broken(deed="link", pattern=f"*/{GUILTY}", number=errno.EIO, times=2)
    run = copy(tmp_path, "native", library, broken)
    came_to(run, "link", "native")
    run.check({Outcome.COPIED: FILES})
