"""Memory and catalogue over very many files: one copy task over a generated tree, and again.

    python -m benchmarks.bench_scale [--files 1000000] [--one-folder] [--empty] [--python]
                                     [--folder /dev/shm] [--before OTHER/src]

Three runs over the tree: a copy, the same copy when nothing has changed, and a scan. Prints for
each the time, the processor time of all the server's processes, the highest resident memory of
all of them together (sampled five times a second), what each kind of process held at most, and
how it grew between a tenth of the run and its end. Then the time that a page of 50 entries of a
folder takes at the HTTP client. At the end: which goals are met.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import httpx
from tests.servers import Server
from tests.story import FINAL, Task, add_copy_task, add_share_pool, created

PER_FOLDER = 1000
PAGES = 200
SAMPLE_SECONDS = 0.2

MEMORY_MB_GOAL = 400  # of all processes together, in each of the runs
PAGE_MS_GOAL = 10.0  # of the median page; beyond it a page no longer feels immediate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--one-folder", action="store_true", help="all files in one folder")
    parser.add_argument("--empty", action="store_true", help="empty files: a quarter of the tmpfs")
    parser.add_argument("--python", action="store_true", help="without the native loops")
    parser.add_argument("--folder", default="/dev/shm", help="where the trees are made")
    parser.add_argument("--before", help="the src folder of another version, measured instead")
    chosen = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="longshore-scale-", dir=chosen.folder))
    try:
        per_folder = chosen.files if chosen.one_folder else PER_FOLDER
        grow(work / "source", chosen.files, per_folder, is_empty=chosen.empty)
        (work / "destination").mkdir()
        server = Server(work / "data", environment_of(chosen))
        server.start()
        try:
            with server.client() as client:
                measure(server, client, work, chosen.files)
        finally:
            server.stop()
            server.close()
    finally:
        shutil.rmtree(work)


def environment_of(chosen: argparse.Namespace) -> Mapping[str, str]:
    environment = {}
    if chosen.python:
        environment["LONGSHORE_NATIVE_LOOPS"] = "false"
    if chosen.before:
        environment["PYTHONPATH"] = os.path.abspath(chosen.before)
    return environment


def grow(root: Path, files: int, per_folder: int, *, is_empty: bool) -> None:
    """Files of a few bytes; a million of them take about 5 GB of tmpfs, twice: 1 GB if empty."""
    for number in range(files):
        folder = root / f"d{number // per_folder:05}"
        if number % per_folder == 0:
            folder.mkdir(parents=True)
        (folder / f"f{number:08}").write_bytes(b"" if is_empty else b"%d" % number)


def measure(server: Server, client: httpx.Client, work: Path, files: int) -> None:
    live = add_share_pool(client, "live", "primary", work / "source")
    archive = add_share_pool(client, "archive", "offline_archive", work / "destination")
    copy = add_copy_task(client, live, archive)
    peaks = {
        "copy": run(server, "copy", copy, files),
        "unchanged": run(server, "unchanged", copy, files),
        "scan": run(server, "scan", add_scan_task(client, live), files),
    }
    page = pages(client, live)
    for title, peak in peaks.items():
        judge(f"memory, {title}", peak, MEMORY_MB_GOAL, "MB")
    judge("a page, median", page, PAGE_MS_GOAL, "ms")


def judge(title: str, found: float, goal: float, unit: str) -> None:
    """Say whether a figure is below its goal."""
    verdict = "met" if found < goal else "NOT MET"
    print(f"goal {verdict}: {title}: {found:g} {unit}, under {goal:g} {unit} is wanted")


def add_scan_task(client: httpx.Client, pool: int) -> Task:
    body = {"name": "look", "workflow_type": "maintenance", "workflow_action": "scan"}
    task = Task(client, int(created(client.post("/tasks", json=body))["id"]))
    created(client.post(f"/tasks/{task.id}/task_sources", json={"pool_id": pool}))
    return task


def run(server: Server, title: str, task: Task, files: int) -> int:
    """Run the task and print what it cost; the highest resident memory in MB."""
    computed = computing(server)
    task.act("run")
    begun, early, peak = time.monotonic(), 0, 0
    highest: Counter[str] = Counter()
    while True:
        shown = task.show()
        held = resident(server)
        peak = max(peak, held.total())
        highest |= held
        if task.execution()["processed_files"] < files // 10:
            early = max(early, held.total())
        if shown["status"] in FINAL:
            break
        time.sleep(SAMPLE_SECONDS)
    seconds = time.monotonic() - begun
    print(
        f"{title}: {files} files {shown['status']} in {seconds:.1f} s, {files / seconds:.0f} "
        f"files/s, {computing(server) - computed:.1f} s of processor"
    )
    print(f"  resident memory: {early} MB at a tenth, {peak} MB at most")
    print("  highest of each:", ", ".join(f"{name} {each}" for name, each in highest.items()))
    assert task.execution()["failed_files"] == 0
    return peak


def resident(server: Server) -> Counter[str]:
    """MB by process; movers have numbers, in the order of their ids."""
    held: Counter[str] = Counter()
    for name in ("api", "controller", "mover"):
        for number, process in enumerate(server.processes(name)):
            title = f"{name} {number}" if name == "mover" else name
            held[title] += process.memory_info().rss >> 20
    total = sum(each.memory_info().rss for each in server.processes()) >> 20
    held["other"] = max(0, total - held.total())
    return held


def computing(server: Server) -> float:
    """Processor seconds of the server's processes so far."""
    times = [process.cpu_times() for process in server.processes()]
    return sum(each.user + each.system for each in times)


def pages(client: httpx.Client, pool: int) -> float:
    """Print how long a page takes; the median in milliseconds."""
    root = client.get(f"/pools/{pool}").json()["primary_id"]
    (folder, *_) = client.get(f"/files/{root}/children", params={"limit": 1}).json()["files"]
    path = f"/files/{folder['id']}/children"
    client.get(path, params={"limit": 50}).raise_for_status()
    times = []
    for number in range(PAGES):
        begun = time.perf_counter()
        client.get(path, params={"limit": 50, "offset": 50 * (number % 20)}).raise_for_status()
        times.append((time.perf_counter() - begun) * 1000)
    ordered = sorted(times)
    print(
        f"a page of 50 entries: median {statistics.median(times):.1f} ms, "
        f"p99 {ordered[int(len(ordered) * 0.99)]:.1f} ms"
    )
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
