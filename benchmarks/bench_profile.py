"""Where the processor's time of a run goes, by process, and in the controller by kind of work.

    python -m benchmarks.bench_profile [--files 100000] [--py-spy /path/to/py-spy]

Copies small files once, and once more with nothing to do. Prints microseconds of processor time
for each file and process. With py-spy (not installed by `make setup`) the controller of the first
run is sampled, too.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from benchmarks.peers import trees
from benchmarks.peers.measuring import family, memory_of
from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool

SAMPLES_PER_SECOND = 200
POLL_SECONDS = 0.2  # seldom, so that the api has little to do with it
RUN_SECONDS_MAXIMUM = 1800.0

KINDS = (  # the first that fits: words of the innermost frame, or of any frame
    ("waiting", ("select (selectors",), ()),
    ("SQLite: binding and inserting rows", ("do_executemany",), ()),
    ("SQLite: commit", ("do_commit",), ()),
    ("SQLite: single statements", ("do_execute ", "fetch"), ()),
    ("hand-over: orders and replies through pipes", (), ("PipeTransport", "frames.py", "local.py")),
    ("interpreter: recording", (), ("Recorder.",)),
    ("interpreter: SQLAlchemy elsewhere", (), ("sqlalchemy/",)),
    ("interpreter: everything else", (), ("",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--py-spy", help="the program")
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    chosen = parser.parse_args()
    print(f"python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="longshore-profile-", dir=chosen.folder) as name:
        folder = Path(name)
        (folder / "destination").mkdir()
        trees.flat(folder / "source", chosen.files, 4096, per_folder=100)
        server = Server(folder / "data")
        server.start()
        try:
            with server.client() as client:
                live = add_share_pool(client, "live", "primary", folder / "source")
                archive = add_share_pool(
                    client, "archive", "offline_archive", folder / "destination"
                )
                task = add_copy_task(client, live, archive, conflict_resolution="overwrite")
                stacks = folder / "stacks"
                spy = spying(chosen.py_spy, server, stacks) if chosen.py_spy else None
                run(server, task, chosen.files, "first run")
                if spy is not None:
                    spy.send_signal(signal.SIGINT)
                    spy.wait()
                    print_kinds(stacks)
                run(server, task, chosen.files, "nothing to do")
        finally:
            server.close()


def spying(program: str, server: Server, stacks: Path) -> subprocess.Popen[bytes]:
    """py-spy, sampling the controller."""
    (controller,) = server.processes("controller")
    command = [program, "record", "--nonblocking", "--format=raw", f"--output={stacks}"]
    spy = subprocess.Popen(
        [*command, f"--rate={SAMPLES_PER_SECOND}", "--duration=3600", f"--pid={controller.pid}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2.0)  # it reads the symbols of the process first
    return spy


def run(server: Server, task: Task, files: int, what: str) -> None:
    """Run the task and print what each process took for it."""
    assert server.process is not None
    present = family(psutil.Process(server.process.pid))
    before = {process.pid: process.cpu_times() for process in present}
    begun = time.perf_counter()
    task.act("run")
    while task.show()["status"] != "done":
        if time.perf_counter() - begun > RUN_SECONDS_MAXIMUM:
            raise SystemExit(f"the task is {task.show()['status']}")
        time.sleep(POLL_SECONDS)
    print(f"{what}: {files} files in {time.perf_counter() - begun:.1f} s")
    for process in present:
        user, system = (
            (getattr(process.cpu_times(), kind) - getattr(before[process.pid], kind)) / files * 1e6
            for kind in ("user", "system")
        )
        name = " ".join(process.cmdline()[2:4])
        print(
            f"  {name:32} {user:6.1f} us user {system:6.1f} us system for each file, "
            f"{memory_of(process) >> 20:4} MiB"
        )
    memory = sum(map(memory_of, present)) >> 20
    print(f"  all together {memory} MiB")


def print_kinds(stacks: Path) -> None:
    """The share of each kind of work in the samples of the controller."""
    found: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        frames, _, count = line.rpartition(" ")
        found[kind_of(frames)] += int(count)
    del found["waiting"]
    total = found.total()
    print(f"  controller, {total} samples at work")
    for kind, count in found.most_common():
        print(f"  {count / total * 100:5.1f} % {kind}")


def kind_of(frames: str) -> str:
    """What a stack, outermost frame first, is about."""
    innermost = frames.rpartition(";")[2]
    for kind, inner, anywhere in KINDS:
        if any(word in innermost for word in inner) or any(word in frames for word in anywhere):
            return kind
    raise AssertionError(frames)


if __name__ == "__main__":
    main()
