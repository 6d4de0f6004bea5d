"""Copy the same trees with Longshore and with its peers, in turns, and compare.

    python -m benchmarks.peers [--rounds 3] [--only small,big] [--with longshore,cp]
    python -m benchmarks.peers --quick [--rounds 1]

Every contender copies every tree into an empty folder (or, in the cases `changed` and `unchanged`,
into one that it has filled before the clock starts). The clock runs from the request `run` until
the task is shown as done, or from the start of a program until its end. Every result is compared
with its source: names, sizes, times to the nanosecond, content.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import charts, report, trees
from benchmarks.peers.contenders import Contender, Failed, contenders
from benchmarks.peers.measuring import Cost
from benchmarks.peers.report import Result

ROUNDS = 3  # at least: the median of fewer is no result
QUICK_DIVISOR = 500
ROOM_BYTES = 9 << 30  # two times the biggest tree, the server's data, and some air
HERE = Path(__file__).parent.parent
PUBLISHED = HERE.parent / "docs" / "benchmarks"


@dataclass(slots=True)
class Tournament:
    """All rounds of all cases in one folder."""

    folder: Path
    rounds: int
    scale: trees.Scale
    contenders: Sequence[Contender]
    wrong: list[str] = field(default_factory=list)

    def play(self, case: trees.Case) -> list[Result]:
        """The results of one case; what went wrong is added to `wrong`."""
        source = self.folder / "source"
        runs: dict[str, list[Cost]] = {}
        case.grow(source, self.scale)
        try:
            expected = trees.describe(source)
            for number in range(self.rounds):
                # Whoever begins gets no advantage from it: each round begins with another one.
                turn = number % len(self.contenders)
                for contender in (*self.contenders[turn:], *self.contenders[:turn]):
                    cost = self._run(case, contender, source)
                    if cost is not None:
                        runs.setdefault(contender.name, []).append(cost)
        finally:
            shutil.rmtree(source)
        size = sum(size for size, _, _ in expected.values())
        return [
            Result(case.name, each.name, len(expected), size, tuple(runs[each.name]))
            for each in self.contenders
            if each.name in runs
        ]

    def _run(self, case: trees.Case, contender: Contender, grown: Path) -> Cost | None:
        work = self.folder / "work"
        destination = work / "destination"
        destination.mkdir(parents=True)
        source = grown
        try:
            if case.changed:  # each changes a tree of its own
                source = work / "source"
                shutil.copytree(grown, source)
            contender.prepare(source, destination, work)
            if case.copied_before:
                contender.run(source, destination, again=False)
            if case.changed:
                trees.change(source)
            cost = contender.run(source, destination, again=case.copied_before)
            wrong = trees.differences(trees.describe(source), destination)
            if wrong:
                raise Failed(f"{contender.name}: {len(wrong)} differences, {'; '.join(wrong[:3])}")
            return cost
        except Failed as error:
            self.wrong.append(f"{case.name}: {error}")
            print(f"WRONG {case.name}: {error}", file=sys.stderr, flush=True)
            return None
        finally:
            contender.finish()
            shutil.rmtree(work)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is cleared away
    folder = Path(tempfile.mkdtemp(prefix="longshore-peers-", dir=chosen.folder or _place()))
    try:
        return _compete(chosen, folder)
    finally:
        shutil.rmtree(folder)


def _compete(chosen: argparse.Namespace, folder: Path) -> int:
    present = [each for each in contenders() if not chosen.with_ or each.name in chosen.with_]
    versions = {each.name: each.version() for each in present}
    missing = [name for name, version in versions.items() if version is None]
    installed = {name: version for name, version in versions.items() if version is not None}
    facts = report.machine(folder)
    for name, value in {**facts, **installed}.items():
        print(f"{name}: {value}")
    for name in missing:
        print(f"{name}: not installed, left out")
    here = [each for each in present if each.name in installed]
    scale = trees.Scale(QUICK_DIVISOR if chosen.quick else 1)
    tournament = Tournament(folder, chosen.rounds, scale, here)
    results: list[Result] = []
    for case in trees.CASES:
        if chosen.only and case.name not in chosen.only:
            continue
        print(f"\n{case.name}: {case.text}", flush=True)
        found = tournament.play(case)
        results += found
        print("\n".join(report.table(found)), flush=True)
    if chosen.quick:
        print("\nonly tried (--quick): these figures are no result")
    content = {
        "is_result": not chosen.quick,
        **report.as_json(facts, installed, missing, results),
    }
    _write(content, chosen.results / "peers.json")
    if chosen.publish and not tournament.wrong:
        _publish(content, facts, results)
    return 1 if tournament.wrong else 0


def _write(content: dict[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written: {path}")


def _publish(content: dict[str, object], facts: dict[str, str], results: list[Result]) -> None:
    _write(content, PUBLISHED / "results.json")
    note = f"{facts['date']}, {facts['processors']} processors, {facts['file system']}"
    for case in trees.CASES:
        of_case = [each for each in results if each.case == case.name]
        if of_case:
            charts.draw(PUBLISHED, case.text, of_case, note)


def _place() -> str | None:
    """Memory, if there is room for two big trees in it; else the folder for temporary files."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES else None


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name for name in text.split(",") if name]

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        help=f"runs of each, at least {ROUNDS}; with --quick at least 1",
    )
    quick = "tiny trees, to try the benchmark; what it measures is no result"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--only", type=names, default=[], help="names of cases")
    parser.add_argument("--with", type=names, default=[], dest="with_", help="names of contenders")
    parser.add_argument("--folder", type=Path, help="where the trees are made")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where JSON goes")
    parser.add_argument("--publish", action="store_true", help="write docs/benchmarks as well")
    chosen = parser.parse_args(arguments)
    least = 1 if chosen.quick else ROUNDS
    if chosen.rounds < least:
        parser.error(f"--rounds: at least {least} runs of each make a result; to try, add --quick")
    if chosen.quick and chosen.publish:
        parser.error("--publish: what --quick measures is no result")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
