"""The benchmark itself: that it measures what it says, and believes nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.peers import __main__ as peers
from benchmarks.peers import charts, report, trees
from benchmarks.peers.contenders import Commands, contenders
from benchmarks.peers.measuring import Cost

TINY = trees.Scale(5000)


def play(folder: Path, contender: Commands, case: str) -> tuple[peers.Tournament, list[str]]:
    tournament = peers.Tournament(folder, 1, TINY, [contender])
    (chosen,) = [each for each in trees.CASES if each.name == case]
    return tournament, [result.contender for result in tournament.play(chosen)]


def copying_and(deed: str) -> Commands:
    copy = ("cp", "-a", "{source}/.", "{destination}/")
    return Commands("bad", "", copy, ("sh", "-c", deed))


def test_a_run_prints_a_table_and_writes_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--quick", "--rounds=1", "--only=small,unchanged", "--with=cp"]
    status = peers.main([*given, f"--folder={tmp_path}", f"--results={tmp_path / 'results'}"])
    assert status == 0
    written = json.loads((tmp_path / "results" / "peers.json").read_text())
    assert [each["case"] for each in written["results"]] == ["small", "unchanged"]
    assert {each["contender"] for each in written["results"]} == {"cp"}
    assert all(each["files"] == 100 and each["seconds"] for each in written["results"])
    single = ("seconds", "cpu_seconds", "memory_bytes")
    assert all(len(each[name]) == 1 for each in written["results"] for name in single)
    assert written["is_result"] is False
    assert {"date", "processor", "kernel"} <= written["machine"].keys()
    shown = capsys.readouterr().out
    assert "median s" in shown
    assert "no result" in shown
    assert "cp: cp" in shown  # its version
    assert [each.name for each in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--rounds=2"], "at least 3"),
        (["--rounds=2", "--only=small"], "at least 3"),
        (["--quick", "--rounds=0"], "at least 1"),
        (["--quick", "--publish"], "no result"),
    ],
)
def test_what_would_be_no_result_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as refusal:
        peers.main([*given, "--with=cp", f"--folder={tmp_path}", f"--results={tmp_path}"])
    assert refusal.value.code == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", [each.name for each in trees.CASES])
def test_a_good_copy_of_every_tree_passes(tmp_path: Path, case: str) -> None:
    (cp,) = [each for each in contenders() if each.name == "cp"]
    assert isinstance(cp, Commands)
    tournament, measured = play(tmp_path, cp, case)
    assert tournament.wrong == []
    assert measured == ["cp"]


@pytest.mark.parametrize(
    ("deed", "complaint"),
    [
        ("rm {destination}/d00000/f0000001.dat", "is missing"),
        ("touch {destination}/more", "is too much"),
        ("touch {destination}/d00000/f0000001.dat", "has another time"),
        (
            "f={destination}/d00000/f0000001.dat; cp -p $f $f.kept; "
            "printf x | dd of=$f conv=notrunc 2>&1; touch -r $f.kept $f; rm $f.kept",
            "has another content",
        ),
    ],
)
def test_a_wrong_copy_is_noticed_and_does_not_count(
    tmp_path: Path, deed: str, complaint: str
) -> None:
    tournament, measured = play(tmp_path, copying_and(deed), "small")
    assert measured == []
    (told,) = tournament.wrong
    assert complaint in told


def test_a_contender_that_fails_does_not_count(tmp_path: Path) -> None:
    tournament, measured = play(tmp_path, Commands("bad", "", ("false",)), "small")
    assert measured == []
    assert len(tournament.wrong) == 1


def test_a_contender_that_is_not_installed_has_no_version() -> None:
    assert Commands("none", "", ("there-is-no-such-program",)).version() is None


def test_a_changed_file_is_one_of_a_hundred(tmp_path: Path) -> None:
    trees.small(tmp_path / "tree", trees.Scale(100))
    before = trees.describe(tmp_path / "tree")
    assert trees.change(tmp_path / "tree") == 5
    after = trees.describe(tmp_path / "tree")
    assert sum(before[path] != after[path] for path in before) == 5


@pytest.fixture
def result() -> Callable[[str, float], report.Result]:
    def of(name: str, seconds: float) -> report.Result:
        costs = tuple(Cost(seconds + number, 1.0, 1 << 20) for number in (0, 5, 1))
        return report.Result("small", name, 100, 1 << 20, costs)

    return of


def test_table_gives_medians_and_the_ratio_to_longshore(
    result: Callable[[str, float], report.Result],
) -> None:
    lines = report.table([result("longshore", 1.0), result("cp", 3.0)])
    assert lines[1].split() == [
        "small", "longshore", "2.00", "1.00", "6.00", "50", "0", "1.00", "1", "1.00",
    ]  # fmt: skip
    assert lines[2].split()[-1] == "2.00"


def test_drawing_has_a_bar_for_each_contender(
    tmp_path: Path, result: Callable[[str, float], report.Result]
) -> None:
    path = charts.draw(tmp_path, "a & b", [result("longshore", 1.0), result("cp", 3.0)], "note")
    drawn = path.read_text()
    assert path.name == "small.svg"
    assert drawn.count("<rect") == 2
    assert "a &amp; b" in drawn
