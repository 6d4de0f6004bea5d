"""What a server costs that has nothing to do, and how soon it does what it is asked.

    python -m benchmarks.bench_server [--idle 20] [--runs 10]

Prints the time from start to healthy, the processor time of every process while idle, memory, and
the time from the request `run` until the first file has its final name at the destination.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from benchmarks.peers.measuring import cpu_of, family, memory_of
from tests.servers import Server
from tests.story import add_copy_task, add_share_pool

LATENCY_SECONDS_MAXIMUM = 30.0
FILES = 20
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds to look on for")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    chosen = parser.parse_args()
    print(f"python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="longshore-server-", dir=chosen.folder) as name:
        folder = Path(name)
        started(folder, "other", "first start, all to be compiled").stop()
        started(folder, "data", "first start").stop()
        server = started(folder, "data", "second start")
        try:
            idle(server, chosen.idle)
            latency(server, folder, chosen.runs)
        finally:
            server.close()


def started(folder: Path, data: str, what: str) -> Server:
    """A started server with its data there, and what that took."""
    # As where Python may keep what it has compiled: an installation compiles, or the first start.
    server = Server(folder / data, COMPILED | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")})
    begun = time.perf_counter()
    server.start()
    seconds = time.perf_counter() - begun
    assert server.process is not None
    cpu = cpu_of(family(psutil.Process(server.process.pid)))
    print(f"{what}: healthy after {seconds:.2f} s, {cpu:.2f} s of processor")
    return server


def idle(server: Server, seconds: float) -> None:
    """What each process uses of a core while nothing is to be done."""
    assert server.process is not None
    time.sleep(3.0)  # until the movers have started, too
    present = family(psutil.Process(server.process.pid))
    before = {process.pid: cpu_of([process]) for process in present}
    time.sleep(seconds)
    total = 0.0
    for process in present:
        used = (cpu_of([process]) - before[process.pid]) / seconds * 100
        total += used
        words = " ".join(process.cmdline()[1:4])
        print(f"idle: {used:5.2f} % of a core, {memory_of(process) >> 20:4} MiB  {words}")
    memory = sum(map(memory_of, present)) >> 20
    print(f"idle: {total:5.2f} % of a core in all, {memory} MiB")


def latency(server: Server, folder: Path, runs: int) -> None:
    """From the request until a file has its final name."""
    milliseconds = []
    with server.client() as client:
        for number in range(runs):
            source, destination = folder / f"source{number}", folder / f"destination{number}"
            source.mkdir()
            destination.mkdir()
            for file in range(FILES):
                (source / f"file{file:02}").write_bytes(b"x" * 4096)
            live = add_share_pool(client, "live", "primary", source)
            archive = add_share_pool(client, "archive", "offline_archive", destination)
            task = add_copy_task(client, live, archive)
            begun = time.perf_counter()
            client.put(f"/tasks/{task.id}/action/run").raise_for_status()
            _await_first(destination, begun)
            milliseconds.append((time.perf_counter() - begun) * 1000)
            task.wait()
    print(
        f"run to first file: median {statistics.median(milliseconds):.0f} ms, "
        f"{min(milliseconds):.0f} to {max(milliseconds):.0f} ms of {runs}"
    )


def _await_first(destination: Path, begun: float) -> None:
    while not any(
        name.startswith("file") for _, _, names in os.walk(destination) for name in names
    ):
        if time.perf_counter() - begun > LATENCY_SECONDS_MAXIMUM:
            raise SystemExit("nothing was copied")
        time.sleep(0.001)


if __name__ == "__main__":
    main()
