"""Memory and catalogue over very many files: one copy task over a generated tree.

    python -m benchmarks.bench_scale [--files 1000000] [--one-folder] [--folder /dev/shm]

Prints the time, the highest resident memory of all the server's processes together (sampled five
times a second), how it grew between a tenth of the run and its end, and the time that a page of
50 entries of a folder takes at the HTTP client.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from tests.servers import Server
from tests.story import FINAL, Task, add_copy_task, add_share_pool

PER_FOLDER = 1000
PAGES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--one-folder", action="store_true", help="all files in one folder")
    parser.add_argument("--folder", default="/dev/shm", help="where the trees are made")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="longshore-scale-", dir=options.folder))
    try:
        grow(work / "source", options.files, options.files if options.one_folder else PER_FOLDER)
        (work / "destination").mkdir()
        server = Server(work / "data")
        server.start()
        try:
            with server.client() as client:
                measure(server, client, work, options.files)
        finally:
            server.stop()
            server.close()
    finally:
        shutil.rmtree(work)


def grow(root: Path, files: int, per_folder: int) -> None:
    """Files of a few bytes; a million of them take about 4 GB of tmpfs, twice."""
    for number in range(files):
        folder = root / f"d{number // per_folder:05}"
        if number % per_folder == 0:
            folder.mkdir(parents=True)
        (folder / f"f{number:08}").write_bytes(b"%d" % number)


def measure(server: Server, client: httpx.Client, work: Path, files: int) -> None:
    live = add_share_pool(client, "live", "primary", work / "source")
    archive = add_share_pool(client, "archive", "offline_archive", work / "destination")
    task = add_copy_task(client, live, archive)
    task.act("run")
    begun, early, peak = time.monotonic(), 0, 0
    while True:
        shown = task.show()
        resident = sum(process.memory_info().rss for process in server.processes()) >> 20
        peak = max(peak, resident)
        if task.execution()["processed_files"] < files // 10:
            early = max(early, resident)
        if shown["status"] in FINAL:
            break
        time.sleep(0.2)
    seconds = time.monotonic() - begun
    print(f"{files} files: {shown['status']} in {seconds:.1f} s, {files / seconds:.0f} files/s")
    print(f"resident memory: {early} MB at a tenth, {peak} MB at most")
    pages(client, live, task)


def pages(client: httpx.Client, pool: int, task: Task) -> None:
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
    assert task.execution()["failed_files"] == 0


if __name__ == "__main__":
    main()
