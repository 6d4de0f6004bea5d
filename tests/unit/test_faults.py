"""The switch of the fault points: off unless asked for, and exact when on."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore import faults


@pytest.fixture(autouse=True)
def switched_off_again() -> Iterator[None]:
    yield
    faults.switch_on('{"points": []}')
    faults.install(None)


def plan(**point: object) -> str:
    return json.dumps({"points": [{"point": "mover.staged", "act": "raise", "number": 5} | point]})


def test_points_are_off_without_a_plan() -> None:
    faults.switch_on(None)
    faults.switch_on("")
    for point in faults.POINTS:
        faults.at(point)


def test_point_acts_only_where_and_for_what_it_was_planned() -> None:
    faults.switch_on(plan(detail="*.dat"))
    faults.at("mover.file", b"a.dat")
    faults.at("mover.staged", b"a.txt")
    with pytest.raises(OSError, match="Input/output") as error:
        faults.at("mover.staged", b"a.dat")
    assert error.value.errno == errno.EIO


def test_point_lets_the_first_ones_pass() -> None:
    faults.switch_on(plan(skip=2))
    faults.at("mover.staged")
    faults.at("mover.staged")
    with pytest.raises(OSError, match="Input/output"):
        faults.at("mover.staged")


def test_a_point_is_watched_only_by_what_may_act_there() -> None:
    assert not faults.are_watched(["mover.staged"])
    faults.switch_on(plan())
    assert faults.are_watched(["mover.file", "mover.staged"])
    assert not faults.are_watched(["mover.file"])
    faults.install(lambda *_: None)
    assert faults.are_watched(["mover.file"])


def test_claimed_point_acts_once(tmp_path: Path) -> None:
    claim = tmp_path / "claim"
    faults.switch_on(plan(claim=str(claim)))
    faults.at("mover.staged")
    claim.touch()
    with pytest.raises(OSError, match="Input/output"):
        faults.at("mover.staged")
    assert not claim.exists()
    faults.at("mover.staged")


def test_unknown_points_and_acts_are_refused() -> None:
    with pytest.raises(ValueError, match="no fault"):
        faults.switch_on(plan(point="mover.nowhere"))
    with pytest.raises(ValueError, match="no fault"):
        faults.switch_on(plan(act="dance"))


def test_clock_goes_wrong_by_what_stands_in_the_file(tmp_path: Path) -> None:
    assert faults.clock_of(lambda: 5.0)() == 5.0
    file = tmp_path / "clock"
    faults.switch_on(json.dumps({"clock": str(file)}))
    clock = faults.clock_of(lambda: 5.0)
    assert clock() == 5.0
    file.write_text("-3600")
    assert clock() == -3595.0


def test_storages_fail_as_the_file_says_at_the_time(tmp_path: Path) -> None:
    assert faults.storage_faults("/a") is None
    file = tmp_path / "storages"
    faults.switch_on(json.dumps({"storages": str(file)}))
    assert faults.storage_faults("/a") is None
    file.write_text('{"/a": [{"deed": "open"}]}')
    assert faults.storage_faults("/a") == '[{"deed": "open"}]'
    assert faults.storage_faults("/b") is None
