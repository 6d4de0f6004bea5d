"""How many decisions callbacks make per CPU-second, the mover's and the worker's time added.

    python benchmarks/bench_callbacks.py [--files N] [--rounds N] [--json]

Measured for every script: the sandbox alone, over ready-made records of a generated tree, and
the whole path, where every decision's record is built anew from a directory entry (os.scandir and
stat). What the whole path costs without any callback stands beside it, and "in the path" is what
the decisions alone cost there: the difference of the two. Exit status 1 when the sandbox alone
misses a goal.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from longshore.callbacks import CallbackFilter, FileInfo, self_test

GROUP_FILES = 1000
"""Files put to decide() at once, as a mover does."""

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
"""Script and goal: decisions per CPU-second of the sandbox alone."""


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


@dataclass(slots=True)
class Cost:
    """CPU seconds of the mover and of the worker, and real seconds."""

    mover: float = 0.0
    worker: float = 0.0
    real: float = 0.0

    @property
    def cpu(self) -> float:
        """Both processes' CPU seconds."""
        return self.mover + self.worker


def main() -> int:
    """Measure, print, and return whether every goal was reached."""
    arguments = _arguments()
    report = self_test()
    if not report.ok:
        print(f"callbacks are off on this machine: {report.reason}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="longshore-bench-") as name:
        _generate(Path(name), arguments.files)
        results = [_measure(title, os.fsencode(name), arguments.rounds) for title in SCRIPTS]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        _print_table(results)
    return int(any(result.alone < result.goal for result in results))


def scan(root: bytes) -> Iterator[FileInfo]:
    """Yield a record for every file below a folder, built from its entry and its stat."""
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from scan(entry.path)
                continue
            stat = entry.stat(follow_symlinks=False)
            yield FileInfo(
                entry.path,
                stat.st_mode,
                stat.st_uid,
                stat.st_gid,
                stat.st_size,
                stat.st_atime_ns,
                stat.st_mtime_ns,
                stat.st_ctime_ns,
            )


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


def _measure(title: str, root: bytes, rounds: int) -> Result:
    script, goal = SCRIPTS[title]
    records = list(scan(root))
    decisions = len(records) * rounds
    with CallbackFilter(script, task_id=1) as callback:
        callback.decide(records[:GROUP_FILES])
        alone = _cost(callback, lambda: iter(records), rounds)
        whole = _cost(callback, lambda: scan(root), rounds)
    bare = _cost(None, lambda: scan(root), rounds)
    return Result(
        script=title,
        goal=goal,
        alone=round(decisions / alone.cpu),
        alone_per_second=round(decisions / alone.real),
        in_path=round(decisions / max(whole.cpu - bare.cpu, 1e-9)),
        whole_path=round(decisions / whole.cpu),
        path_without_callback=round(decisions / bare.cpu),
    )


def _cost(
    callback: CallbackFilter | None, source: Callable[[], Iterator[FileInfo]], rounds: int
) -> Cost:
    worker = None if callback is None else callback.worker_pid
    mover_before, worker_before = time.process_time(), _cpu_seconds(worker)
    real_before = time.monotonic()
    for _ in range(rounds):
        files = source()
        while group := list(itertools.islice(files, GROUP_FILES)):
            if callback is not None:
                callback.decide(group)
    return Cost(
        mover=time.process_time() - mover_before,
        worker=_cpu_seconds(worker) - worker_before,
        real=time.monotonic() - real_before,
    )


def _cpu_seconds(pid: int | None) -> float:
    if pid is None:
        return 0.0
    # The name of the program, in brackets, may contain spaces; what follows it may not.
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print_table(results: Sequence[Result]) -> None:
    print("decisions per CPU-second (mover and worker added)")
    columns = ("goal", "alone", "in the path", "whole path")
    print(f"{'':26}{''.join(f'{name:>12}' for name in columns)}{'path, no callback':>20}")
    for result in results:
        print(
            f"{result.script:26}{result.goal:>12,}{result.alone:>12,}"
            f"{result.in_path:>12,}{result.whole_path:>12,}{result.path_without_callback:>20,}"
        )


if __name__ == "__main__":
    sys.exit(main())
