"""What was measured: as values, as JSON, as a table."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from benchmarks.peers.measuring import Cost

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Result:
    """One contender's runs of one case."""

    case: str
    contender: str
    files: int
    size: int  # bytes of the tree
    runs: tuple[Cost, ...]

    @property
    def seconds(self) -> float:
        """The median of the runs."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        """The median of the runs."""
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def memory(self) -> int:
        """Bytes, the highest of all runs."""
        return max(run.memory for run in self.runs)


def machine(folder: Path) -> dict[str, str]:
    """On what and when it was measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / (1 << 30):.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip() or "unknown",
        "file system": _file_system(folder),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    inside = [
        each
        for each in psutil.disk_partitions(all=True)
        if folder.resolve().is_relative_to(each.mountpoint)
    ]
    return max(inside, key=lambda each: len(each.mountpoint)).fstype if inside else "unknown"


def as_json(
    facts: Mapping[str, str],
    versions: Mapping[str, str],
    left_out: Sequence[str],
    results: Sequence[Result],
) -> dict[str, Any]:
    """Everything, each single run included."""
    return {
        "machine": dict(facts),
        "versions": dict(versions),
        "left_out": list(left_out),
        "results": [
            {
                "case": each.case,
                "contender": each.contender,
                "files": each.files,
                "bytes": each.size,
                "median_seconds": round(each.seconds, 3),
                "median_cpu_seconds": round(each.cpu_seconds, 3),
                "peak_memory_bytes": each.memory,
                "seconds": [round(run.seconds, 3) for run in each.runs],
                "cpu_seconds": [round(run.cpu_seconds, 3) for run in each.runs],
                "memory_bytes": [run.memory for run in each.runs],
            }
            for each in results
        ],
    }


def table(results: Sequence[Result]) -> list[str]:
    """One line for each result; `ratio`: how many times as long as Longshore it took."""
    lines = [
        f"{'case':10} {'contender':14} {'median s':>9} {'from':>7} {'to':>7} {'files/s':>9} "
        f"{'MiB/s':>7} {'cpu s':>7} {'MiB':>6} {'ratio':>6}"
    ]
    own = {each.case: each.seconds for each in results if each.contender == "longshore"}
    for each in results:
        times = [run.seconds for run in each.runs]
        ratio = f"{each.seconds / own[each.case]:6.2f}" if each.case in own else " " * 6
        lines.append(
            f"{each.case:10} {each.contender:14} {each.seconds:9.2f} {min(times):7.2f} "
            f"{max(times):7.2f} {each.files / each.seconds:9,.0f} "
            f"{each.size / MIB / each.seconds:7,.0f} {each.cpu_seconds:7.2f} "
            f"{each.memory / MIB:6.0f} {ratio}"
        )
    return lines
