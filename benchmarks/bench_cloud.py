"""Copy into a bucket and back with Longshore, rclone and s5cmd, in turns, and compare.

    python -m benchmarks.bench_cloud [--quick] [--rounds 3] [--only small,big] [--with longshore,…]

All of them use the same server in the same run: `rclone serve s3` over a folder in memory. The
clock runs from the request `run` until the task is shown as done, or from the start of a program
until its end. Afterwards the bucket or the folder is compared with the source, content included,
and the bucket is listed once before anybody copies out of it: the server hashes every file when it
is looked at for the first time.

Checksums are on: Longshore hashes what it reads, has the store confirm what it was sent, and reads
back what it wrote to a folder; `rclone` compares the MD5 of each file with the bucket's afterwards.
`s5cmd` signs what it sends and looks at nothing that it fetches, so it comes in two forms: alone,
and with the time of the `rclone check` that says whether its copies are right ("s5cmd+check").
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.peers.measuring import Cost, cpu_of, family, measured
from tests.clouds import OPTIONS, synchronized
from tests.object_servers.buckets import s3_session
from tests.object_servers.simple import start_rclone
from tests.servers import Server
from tests.story import FINAL, add_copy_task, add_share_pool, created

ROUNDS = 3
BUCKET = "bench"
RUN_SECONDS_MAXIMUM = 1800.0
POLL_SECONDS = 0.02  # so much too long the time of a task may be, or
POLL_PART = 0.03  # this part of it, at most: each answer costs the server 4 ms of processor time
SMALL_BYTES = 4096
FILES_PER_FOLDER = 100


@dataclass(frozen=True, slots=True)
class Case:
    """A tree of files of one size."""

    name: str
    files: int
    size: int

    def grow(self, root: Path) -> None:
        random_ = random.Random(1)
        block = random_.randbytes(1024 * 1024)
        for number in range(self.files):
            path = root / f"d{number // FILES_PER_FOLDER:03}" / f"f{number:06}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                begin = random_.randrange(len(block) - SMALL_BYTES)
                file.write(block[begin : begin + min(self.size, SMALL_BYTES)])
                for _ in range(self.size // len(block)):
                    file.write(block)
                file.truncate(self.size)


class Contender(ABC):
    """One tool: copies a folder into the bucket, and the bucket into a folder."""

    name: str

    @abstractmethod
    def up(self, source: Path) -> Cost: ...

    @abstractmethod
    def down(self, destination: Path) -> Cost: ...

    def check(self, folder: Path) -> Cost | None:
        """A pass of its own that compares the folder with the bucket; None if it needs none."""
        return None

    def close(self) -> None:  # noqa: B027
        """Whatever comes after everything is measured."""


class Program(Contender):
    """A program of the command line."""

    def __init__(
        self,
        name: str,
        up: list[str],
        down: list[str],
        environment: Mapping[str, str],
        check: list[str] | None = None,
    ) -> None:
        self.name = name
        self._up, self._down, self._check = up, down, check
        self._environment = {**os.environ, **environment, "no_proxy": "*"}

    def up(self, source: Path) -> Cost:
        return self._run(self._up, source)

    def down(self, destination: Path) -> Cost:
        return self._run(self._down, destination)

    def check(self, folder: Path) -> Cost | None:
        return self._run(self._check, folder) if self._check else None

    def _run(self, words: list[str], folder: Path) -> Cost:
        beside = Path(sys.executable).parent / words[0]
        command = [str(beside) if beside.exists() else words[0]]
        command += [word.format(folder=folder) for word in words[1:]]
        running: list[psutil.Process] = []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with measured(lambda: [each for one in running for each in family(one)]) as cost:
            process = subprocess.Popen(
                command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            running.append(psutil.Process(process.pid))
            output, _ = process.communicate(timeout=RUN_SECONDS_MAXIMUM)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cost.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if process.returncode != 0:
            raise SystemExit(f"{self.name}: {output.decode(errors='replace')[-1000:]}")
        return cost


class Longshore(Contender):
    """A running server; tasks are made before the clock starts."""

    name = "longshore"

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._server = Server(folder / "data")
        self._server.start()
        self._client = self._server.client()
        body = {
            "name": "bench",
            "provider": "generic_s3",
            "url": settings["endpoint"],
            "region": settings["region"],
            "access_key": settings["access_key"],
            "secret_key": settings["secret_key"],
            "options": OPTIONS["rclone"],
        }
        connector = created(self._client.post("/cloud_connectors", json=body))
        ids = [each["id"] for each in synchronized(self._client, connector["id"])]
        pool = {"name": "cloud", "type": "offline_archive", "content": "cloud"}
        made = created(self._client.post("/pools", json=pool | {"cloud_bucket_ids": ids}))
        self._cloud = int(made["id"])

    def up(self, source: Path) -> Cost:
        live = add_share_pool(self._client, "live", "primary", source)
        return self._run(live, self._cloud)

    def down(self, destination: Path) -> Cost:
        other = add_share_pool(self._client, "other", "primary", destination)
        return self._run(self._cloud, other)

    def close(self) -> None:
        self._client.close()
        self._server.close()

    def _run(self, source: int, destination: int) -> Cost:
        fields = {"workflow_type": "data_migration", "conflict_resolution": "overwrite"}
        task = add_copy_task(self._client, source, destination, **fields)
        assert self._server.process is not None
        root = psutil.Process(self._server.process.pid)
        before = cpu_of(family(root))
        with measured(lambda: family(root)) as cost:
            begun = time.perf_counter()
            task.act("run")
            while (shown := task.show())["status"] not in FINAL:
                time.sleep(max(POLL_SECONDS, (time.perf_counter() - begun) * POLL_PART))
        cost.cpu_seconds = cpu_of(family(root)) - before
        if shown["status"] != "done":
            raise SystemExit(f"longshore: {shown['status']}: {task.execution()}")
        return cost


def contenders(folder: Path, settings: Mapping[str, str], wanted: list[str]) -> list[Contender]:
    """Those that are installed and wanted, in the order of the table."""
    rclone = {
        "RCLONE_CONFIG": str(folder / "rclone.conf"),
        "RCLONE_CONFIG_B_TYPE": "s3",
        "RCLONE_CONFIG_B_PROVIDER": "Other",
        "RCLONE_CONFIG_B_ENDPOINT": settings["endpoint"],
        "RCLONE_CONFIG_B_REGION": settings["region"],
        "RCLONE_CONFIG_B_ACCESS_KEY_ID": settings["access_key"],
        "RCLONE_CONFIG_B_SECRET_ACCESS_KEY": settings["secret_key"],
    }
    s5cmd = {
        "AWS_ACCESS_KEY_ID": settings["access_key"],
        "AWS_SECRET_ACCESS_KEY": settings["secret_key"],
        "AWS_REGION": settings["region"],
    }
    at = ["s5cmd", "--endpoint-url", settings["endpoint"], "--log", "error", "cp"]
    many = ["--transfers", "32", "--checkers", "32"]
    remote = f"b:{BUCKET}"
    there = f"s3://{BUCKET}/"
    found: list[Contender] = []
    if not wanted or "longshore" in wanted:
        found.append(Longshore(folder, settings))
    programs = [
        Program(
            "rclone",
            ["rclone", "copy", "{folder}", remote],
            ["rclone", "copy", remote, "{folder}"],
            rclone,
        ),
        Program(
            "rclone x32",
            ["rclone", "copy", "{folder}", remote, *many],
            ["rclone", "copy", remote, "{folder}", *many],
            rclone,
        ),
        Program(
            "s5cmd",
            [*at, "{folder}/", there],
            [*at, f"{there}*", "{folder}/"],
            s5cmd | rclone,
            check=["rclone", "check", "{folder}", remote],
        ),
    ]
    return found + [each for each in programs if not wanted or each.name in wanted]


@contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """The folder, new and empty, and gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def empty(settings: Mapping[str, str]) -> None:
    """Remove all objects through the server, which remembers what it has seen in the folder."""
    s3 = s3_session(settings)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
        if keys:
            s3.delete_objects(Bucket=BUCKET, Delete={"Objects": keys, "Quiet": True})


def look_at_all(settings: Mapping[str, str]) -> None:
    """List the bucket, for which the server hashes what it has not hashed before.

    A contender that looks at its objects after it has written them would find that done, and the
    others would wait for it before their first byte.
    """
    s3 = s3_session(settings)
    for _ in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        pass


def compare(source: Path, copy: Path, what: str) -> None:
    """Whether every file is there with its content. Files of the tools' own are left out."""
    for path in source.rglob("*"):
        if path.is_file() and path.read_bytes() != (copy / path.relative_to(source)).read_bytes():
            raise SystemExit(f"{what}: {path.relative_to(source)} differs")


def play(
    case: Case,
    folder: Path,
    present: list[Contender],
    rounds: int,
    settings: Mapping[str, str],
) -> None:
    """All rounds of one case, and its table."""
    bucket = folder / "server" / "data" / BUCKET
    up: dict[str, list[Cost]] = defaultdict(list)
    down: dict[str, list[Cost]] = defaultdict(list)
    with emptied(folder / "source") as source:
        case.grow(source)
        for number in range(rounds):
            turn = number % len(present)
            for contender in (*present[turn:], *present[:turn]):
                with emptied(folder / "destination") as destination:
                    note(up, contender, contender.up(source), source)
                    compare(source, bucket, f"{contender.name} up")
                    look_at_all(settings)
                    note(down, contender, contender.down(destination), destination)
                    compare(source, destination, f"{contender.name} down")
                empty(settings)
    for direction, costs in (("into the bucket", up), ("out of the bucket", down)):
        show(case, direction, costs)


def note(costs: dict[str, list[Cost]], contender: Contender, cost: Cost, folder: Path) -> None:
    """Add a copy to the table, and in another line what it costs with the pass that checks it."""
    costs[contender.name].append(cost)
    if (check := contender.check(folder)) is not None:
        both = Cost(
            seconds=cost.seconds + check.seconds,
            cpu_seconds=cost.cpu_seconds + check.cpu_seconds,
            memory=max(cost.memory, check.memory),
        )
        costs[f"{contender.name}+check"].append(both)


def show(case: Case, direction: str, costs: dict[str, list[Cost]]) -> None:
    """The table of one case and direction: medians, and how many times as long as Longshore."""
    seconds = {name: statistics.median(c.seconds for c in each) for name, each in costs.items()}
    own = seconds.get("longshore")
    total = case.files * case.size
    print(f"\n{case.name}, {direction}: {case.files} files of {case.size} bytes")
    print(
        f"{'':12} {'seconds':>8} {'files/s':>9} {'MB/s':>8} {'cpu':>7} {'memory':>8} {'ratio':>6}"
    )
    for name, value in seconds.items():
        memory = max(each.memory for each in costs[name]) / 1e6
        cpu = statistics.median(each.cpu_seconds for each in costs[name])
        ratio = f"{value / own:6.2f}" if own else "     -"
        print(
            f"{name:12} {value:8.2f} {case.files / value:9.0f} {total / value / 1e6:8.1f}"
            f" {cpu:6.2f}s {memory:6.0f}MB {ratio}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare copying into a bucket and back.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="a tenth of the files and bytes")
    parser.add_argument("--only", default="", help="small,big")
    parser.add_argument("--with", default="", dest="with_", help="names of contenders")
    chosen = parser.parse_args()
    size = 1 << 30 if not chosen.quick else 100 << 20
    cases = [
        Case("small", 500 if chosen.quick else 5000, SMALL_BYTES),
        Case("big", 4, size),
    ]
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="longshore-cloud-", dir=place))
    running = start_rclone(folder / "server")
    try:
        (folder / "server" / "data" / BUCKET).mkdir()
        wanted = [each for each in chosen.with_.split(",") if each]
        settings = running.server.apis["s3"]
        present = contenders(folder, settings, wanted)
        try:
            for case in cases:
                if not chosen.only or case.name in chosen.only.split(","):
                    play(case, folder, present, chosen.rounds, settings)
        finally:
            for each in present:
                each.close()
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
