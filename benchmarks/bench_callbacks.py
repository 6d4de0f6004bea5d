"""How many decisions callbacks make per CPU-second, the mover's and the worker's time added.

    python benchmarks/bench_callbacks.py [--files N] [--rounds N] [--json]

Measured for every script: the sandbox alone, over ready-made entries of a generated tree, and the
whole path, where the entries are listed anew by the storage as in a scan, in the same groups. "In
the path" are the decisions made there, without the listing; what the listing costs without any
callback stands beside it. Every figure is that of the round in the middle. The last column tells
how fast the machine was meanwhile, by one turn of a loop of plain Python: only runs in which it is
the same can be compared. Exit status 1 when the decisions in the path miss a goal.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from longshore.bootstrap import open_storage
from longshore.callbacks import FilterChain, self_test
from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageKind, StorageReference, folder_address
from longshore.pipeline.scan import CHUNK_ENTRIES
from longshore.storage.handler import StorageHandler

GROUP_FILES = CHUNK_ENTRIES
"""Files put to a callback at once, as a mover does."""

LOOP_TURNS = 20_000
"""Turns of the plain loop in every round: about a thousandth of a second."""

FOLDER_FILES = 500
"""Files in one folder of the generated tree."""

TRIVIAL = """
import utils

def run(req):
    return utils.get_node_info(req).size > 1000
"""

PATTERN_AND_DATE = r"""
import re
import utils
from datetime import datetime

PATTERN, SINCE = re.compile(r"\.(dat|txt)$"), datetime(2020, 1, 1)

def run(req):
    info = utils.get_node_info(req)
    return PATTERN.search(info.path) is not None and info.mtime.ToDatetime() > SINCE
"""

TRIVIAL_JAVASCRIPT = """// js
function run(req) {
  return utils.getNodeInfo(req).getSize() > 1000;
}
"""

SCRIPTS = {
    "python trivial": (TRIVIAL, 1_000_000),
    "python pattern and date": (PATTERN_AND_DATE, 400_000),
    "javascript trivial": (TRIVIAL_JAVASCRIPT, 300_000),
}
"""Script and goal: decisions per CPU-second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One script's rates per CPU-second; `alone_per_second` is per second of real time."""

    script: str
    goal: int
    alone: int
    alone_per_second: int
    in_path: int
    whole_path: int
    path_without_callback: int
    loop_turn_nanoseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds of listing, and of deciding in mover and worker; real seconds of both."""

    listing: float
    deciding: float
    real: float


def main() -> int:
    """Measure, print, and return whether every goal was reached."""
    arguments = _arguments()
    report = self_test()
    if not report.ok:
        print(f"callbacks are off on this machine: {report.reason}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="longshore-bench-") as name:
        _generate(Path(name), arguments.files)
        address = folder_address(StorageReference(StorageKind.CONTAINER, 1), name)
        with open_storage(address) as storage:
            results = [_measure(title, storage, arguments.rounds) for title in SCRIPTS]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        _print_table(results)
    return int(any(result.in_path < result.goal for result in results))


Group = tuple[bytes, list[Entry]]
"""A folder, and files of it that are put to a callback at once."""


def scan(storage: StorageHandler, path: bytes = b"") -> Iterator[Group]:
    """The files below a folder, listed by the storage, in groups as a mover makes them."""
    folders = []
    with storage.open_folder(path) as folder:
        entries = folder.entries()
        while chunk := list(itertools.islice(entries, GROUP_FILES)):
            files = [entry for entry in chunk if entry.kind in _MOVABLE]
            if files:
                yield path, files
            folders += [entry.name for entry in chunk if entry.kind is EntryKind.FOLDER]
    for name in folders:
        yield from scan(storage, paths.join(path, name))


_MOVABLE = frozenset({EntryKind.FILE, EntryKind.SYMLINK})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Decisions of callbacks per CPU-second.")
    parser.add_argument("--files", type=int, default=20_000, help="files in the generated tree")
    parser.add_argument("--rounds", type=int, default=20, help="times the tree is decided")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


def _generate(root: Path, files: int) -> None:
    endings = ("dat", "txt", "mov", "log")
    for number in range(files):
        folder = root / f"folder-{number // FOLDER_FILES:05}"
        if number % FOLDER_FILES == 0:
            folder.mkdir()
        path = folder / f"file-{number:08}.{endings[number % len(endings)]}"
        path.touch()
        os.truncate(path, number % 4000)


def _measure(title: str, storage: StorageHandler, rounds: int) -> Result:
    script, goal = SCRIPTS[title]
    groups = list(scan(storage))
    decisions = sum(len(entries) for _, entries in groups)
    alone, whole, turns = [], [], []
    with FilterChain([(1, script)], task_id=1) as chain:
        chain.decide_folder(*groups[0])
        for _ in range(rounds):
            # In turns, so that a machine which slows down does so for both.
            alone.append(_cost(chain, iter(groups)))
            whole.append(_cost(chain, scan(storage)))
            turns.append(_loop_turn_seconds())

    def rate(seconds: Iterable[float]) -> int:
        return round(decisions / statistics.median(seconds))

    return Result(
        script=title,
        goal=goal,
        alone=rate(cost.deciding for cost in alone),
        alone_per_second=rate(cost.real for cost in alone),
        in_path=rate(cost.deciding for cost in whole),
        whole_path=rate(cost.deciding + cost.listing for cost in whole),
        path_without_callback=rate(cost.listing for cost in whole),
        loop_turn_nanoseconds=round(statistics.median(turns) * 1e9, 1),
    )


def _cost(chain: FilterChain, groups: Iterator[Group]) -> Cost:
    worker = chain.worker_pids[1]
    before = _cpu_seconds(worker)
    began, began_really = time.process_time(), time.monotonic()
    in_mover = 0.0
    for folder, entries in groups:
        asked = time.process_time()
        chain.decide_folder(folder, entries)
        in_mover += time.process_time() - asked
    return Cost(
        listing=time.process_time() - began - in_mover,
        deciding=in_mover + _cpu_seconds(worker) - before,
        real=time.monotonic() - began_really,
    )


def _loop_turn_seconds() -> float:
    began, total = time.process_time(), 0
    for number in range(LOOP_TURNS):
        total += number & 7
    return (time.process_time() - began) / LOOP_TURNS


def _cpu_seconds(pid: int | None) -> float:
    """What the process has computed so far, by the kernel's own account in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9


def _print_table(results: Sequence[Result]) -> None:
    print("decisions per CPU-second (mover and worker added)")
    columns = ("goal", "alone", "in the path", "whole path")
    names = "".join(f"{name:>12}" for name in columns)
    print(f"{'':26}{names}{'path, no callback':>20}{'loop, ns':>10}")
    for result in results:
        print(
            f"{result.script:26}{result.goal:>12,}{result.alone:>12,}"
            f"{result.in_path:>12,}{result.whole_path:>12,}{result.path_without_callback:>20,}"
            f"{result.loop_turn_nanoseconds:>10}"
        )


if __name__ == "__main__":
    sys.exit(main())
