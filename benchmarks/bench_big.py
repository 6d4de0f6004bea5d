"""Copying big files: one file that several movers share, and several files at once.

    python -m benchmarks.bench_big [--gib 4] [--files 3] [--rounds 3] [--folder /dev/shm]
                                   [--before OTHER/src] [--checksum sha256]

Runs whole servers, one after the other in each round. Prints the seconds from the request to the
end of the task, and the processor seconds that the server's processes took meanwhile. Beside the
server as it is: one that moves a file with one mover at a time (the task's `parallel_processing`
is 1), and with --before one of another version of the code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
from tests.servers import Server
from tests.story import FINAL, add_copy_task, add_share_pool

GIB = 1024**3
POLL_SECONDS = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=4, help="size of the single file")
    parser.add_argument("--files", type=int, default=3, help="files of 1 GiB at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/dev/shm", help="where the files are made")
    parser.add_argument("--before", help="the src folder of another version, measured as well")
    parser.add_argument("--checksum", help="file_checksum of the task")
    chosen = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="longshore-big-", dir=chosen.folder))
    try:
        grow(work / "small", 100, 1000)
        for title, files, size in (
            (f"one file of {chosen.gib:g} GiB", 1, int(chosen.gib * GIB)),
            (f"{chosen.files} files of 1 GiB", chosen.files, GIB),
        ):
            if files:
                grow(work / "source", files, size)
                compare(work, title, chosen)
                shutil.rmtree(work / "source")
    finally:
        shutil.rmtree(work)


def grow(root: Path, files: int, size: int) -> None:
    root.mkdir()
    piece = os.urandom(8 * 1024 * 1024)
    for number in range(files):
        with (root / f"f{number}").open("wb") as file:
            for start in range(0, size, len(piece)):
                file.write(piece[: size - start])


def compare(work: Path, title: str, chosen: argparse.Namespace) -> None:
    options = {"file_checksum": chosen.checksum} if chosen.checksum else {}
    ways: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
        "now": ({}, options),
        "one mover": ({}, {**options, "parallel_processing": "1"}),
    }
    if chosen.before:
        ways["before"] = ({"PYTHONPATH": os.path.abspath(chosen.before)}, options)
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(chosen.rounds):
        for name, (environment, task) in ways.items():
            results[name].append(measure(work, environment, task))
    for name, of_name in results.items():
        seconds = [each for each, _ in of_name]
        computing = statistics.median(each for _, each in of_name)
        each = " ".join(f"{one:.2f}" for one in seconds)
        median = statistics.median(seconds)
        print(f"{title}, {name}: {median:.2f} s ({each}), {computing:.2f} s of processor")


def measure(
    work: Path, environment: Mapping[str, str], options: Mapping[str, str]
) -> tuple[float, float]:
    (work / "destination").mkdir()
    server = Server(work / "data", environment)
    try:
        server.start()
        with server.client() as client:
            copy(client, work / "small", work / "destination", {})  # all movers have started then
            before = computing(server)
            seconds = copy(client, work / "source", work / "destination", dict(options))
            return seconds, computing(server) - before
    finally:
        server.stop()
        server.close()
        shutil.rmtree(work / "destination")
        shutil.rmtree(work / "data")


def computing(server: Server) -> float:
    """Processor seconds of the server's processes so far."""
    times = [process.cpu_times() for process in server.processes()]
    return sum(each.user + each.system for each in times)


def copy(client: httpx.Client, source: Path, destination: Path, options: dict[str, str]) -> float:
    live = add_share_pool(client, "live", "primary", source)
    archive = add_share_pool(client, "archive", "offline_archive", destination)
    task = add_copy_task(client, live, archive, options=options)
    begun = time.monotonic()
    task.act("run")
    while (shown := task.show())["status"] not in FINAL:
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - begun
    assert shown["status"] == "done", shown
    return seconds


if __name__ == "__main__":
    main()
