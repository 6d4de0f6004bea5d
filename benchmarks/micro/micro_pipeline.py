"""Scan, plan, pack and copy a thousand files of 4 KiB, each as one call.

`test_scanning_alone` is about 50,000 files, in folders of 100 and in one folder. It gives entries
for each second of processor time (user and system, one thread, so of one core), from opening the
folders until each name has been listed, put in order and looked at:

- Python, entries: the names by `os.scandir`, a `stat` each, an `Entry` each.
- natively, entries: the same by the native loops, an `Entry` each.
- natively, compared: two folders beside each other, as a copy does that has been there before. An
  entry counts in each of the two folders, as it is listed and looked at in both; then it is
  compared, packed and hashed, but never becomes an object. Here both are the same folder.
- natively, names: nothing but names, listed and put in order, without a `stat`.
- the kernel alone, as each of the native ones: the same system calls and nothing besides, by
  `kernel.c`, where there is a C compiler. No program can be quicker. Its calls take up to twice the
  time while other work fills the processor's caches, so only lines of one run can be compared.
- the calls of Python alone: `os.scandir` and `os.lstat`, and nothing besides.

The goals are 300,000 entries a second in Python and 1,000,000 natively.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from tests.pipelines import SOURCE, Bench

from longshore.domain.entry import Entry
from longshore.native import can_copy, loops
from longshore.pipeline.messages.work import CopyMode
from longshore.pipeline.packing import Packer
from longshore.pipeline.planning import verdict
from longshore.pipeline.scan import CHUNK_ENTRIES
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.backends.posix_folder import PosixFolder
from longshore.storage.backends.posix_runs import RUN_BYTES
from longshore.storage.handler import TEMPORARY_PREFIX, Folder

ROUNDS = 20
SCANS = 10  # of 50,000 files each; the best counts, as the others share the processor
SCANNED_FILES = 50_000

Rates = list[tuple[str, float]]
"""Entries for each second of processor time, by what was measured."""


@pytest.fixture(scope="module", params=[100, SCANNED_FILES], ids="folders of {}".format)
def tree(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Empty files in folders side by side."""
    root = tmp_path_factory.mktemp("scanned")
    for number in range(SCANNED_FILES):
        folder = root / f"d{number // request.param:05}"
        if number % request.param == 0:
            folder.mkdir()
        (folder / f"f{number:07}.dat").touch()
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def rates(request: pytest.FixtureRequest) -> Iterator[Rates]:
    """Printed when all have been measured."""
    collected: Rates = []
    yield collected
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print()
        for name, rate in collected:
            print(f"{name}: {rate:,.0f} entries for each second of processor time, best of {SCANS}")


def entries(bench: Bench) -> list[Entry]:
    """All files of the source."""
    handler = bench._open(bench.plan().sources[0].storage)
    with handler.open_folder(b"") as top:
        folders = [entry.name for entry in top.entries(after=b"")]
    found = []
    for name in folders:
        with handler.open_folder(name) as folder:
            found += list(folder.entries(after=b""))
    handler.close()
    return found


def test_scan(benchmark: BenchmarkFixture, bench: Bench) -> None:
    """List the source, look at the destination, plan and pack: what a mover does of it."""
    replies = benchmark(bench.scan_all)
    assert sum(reply.found_files for reply in replies) == 1000


def test_plan(benchmark: BenchmarkFixture, bench: Bench) -> None:
    plan, files = bench.plan(), entries(bench)
    verdicts = benchmark(lambda: [verdict(entry, None, plan, plan.conflict) for entry in files])
    assert verdicts == [CopyMode.NEW] * 1000


def test_pack(benchmark: BenchmarkFixture, bench: Bench) -> None:
    plan, files = bench.plan(), entries(bench)

    def pack() -> Packer:
        packer = Packer(plan)
        for entry in files:
            packer.add(0, b"folder", b"folder", entry, entry.name, CopyMode.NEW)
        packer.flush()
        return packer

    assert benchmark(pack).files == 1000


def test_copy_of_a_batch(benchmark: BenchmarkFixture, bench: Bench) -> None:
    """Read, write, hash, read back, publish."""
    (batch,) = [batch for reply in bench.scan_all() for batch in reply.batches]

    def empty() -> None:
        for folder in bench.destination.iterdir():
            shutil.rmtree(folder)

    records = benchmark.pedantic(
        bench.copy_batch, args=(batch.payload,), setup=empty, rounds=ROUNDS, warmup_rounds=1
    )
    assert len(records) == 1000


# ---------------------------------------------------------------------------- scanning alone


def list_entries(folder: Folder) -> int:
    """Entries, as a scan reads them."""
    return sum(1 for _ in folder.entries(after=b""))


def compare_with_itself(folder: Folder) -> int:
    """Entries of both sides, here the same ones, as a copy looks at them that was done before."""
    comparer = folder.comparer(folder, after=b"", resolution=1)
    assert comparer is not None
    files, more = 0, True
    while more:
        compared = comparer.take(CHUNK_ENTRIES)
        files, more = files + compared.files, compared.more
    return 2 * files


def list_names(folder: PosixFolder) -> int:
    """Names in order, without a look at what they stand for."""
    names, is_full = 0, True
    os.lseek(folder.descriptor, 0, os.SEEK_SET)
    while is_full:
        block = loops.read_names(folder.descriptor, b"", TEMPORARY_PREFIX, RUN_BYTES)
        names, is_full = names + block.count(b"\0"), len(block) >= RUN_BYTES
    return names


def call_only(folder: PosixFolder) -> int:
    """Names and what `os.lstat` says of them, as Python has them and without an Entry."""
    look, descriptor, names = os.lstat, folder.descriptor, 0
    with os.scandir(descriptor) as found:
        for each in found:
            look(each.name, dir_fd=descriptor)
            names += 1
    return names


def scan(storage: PosixStorage, folders: Sequence[bytes], each: Callable[..., int]) -> int:
    found = 0
    for name in folders:
        with storage.open_folder(name) as folder:
            found += each(folder)
    return found


@pytest.mark.parametrize(
    ("native", "each", "sides"),
    [
        pytest.param(False, list_entries, 1, id="Python, entries"),
        pytest.param(False, call_only, 1, id="the calls of Python alone"),
        pytest.param(True, list_entries, 1, id="natively, entries"),
        pytest.param(True, compare_with_itself, 2, id="natively, compared"),
        pytest.param(True, list_names, 1, id="natively, names"),
    ],
)
@pytest.mark.benchmark(timer=time.process_time)
def test_scanning_alone(
    benchmark: BenchmarkFixture,
    tree: Path,
    rates: Rates,
    native: bool,
    each: Callable[..., int],
    sides: int,
) -> None:
    if native and not can_copy:
        pytest.skip("the native loops are not there")
    storage = PosixStorage(SOURCE, os.fsencode(tree), native=native)
    folders = sorted(os.listdir(os.fsencode(tree)))
    found = benchmark.pedantic(scan, args=(storage, folders, each), rounds=SCANS, warmup_rounds=1)
    storage.close()
    assert found == sides * SCANNED_FILES
    rates.append((benchmark.name, found / benchmark.stats.stats.min))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled kernel.c."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    program = tmp_path_factory.mktemp("kernel") / "kernel"
    source = Path(__file__).with_name("kernel.c")
    subprocess.run([compiler, "-O2", "-o", program, source], check=True)
    return program


@pytest.mark.parametrize(
    ("sides", "stats"),
    [
        pytest.param(1, 1, id="the kernel alone, entries"),
        pytest.param(2, 2, id="the kernel alone, compared"),
        pytest.param(1, 0, id="the kernel alone, names"),
    ],
)
def test_kernel_alone(
    request: pytest.FixtureRequest, kernel: Path, tree: Path, rates: Rates, sides: int, stats: int
) -> None:
    command = [kernel, tree, str(stats), str(sides), str(SCANS)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names, nanoseconds = map(int, told.split())
    assert names == SCANNED_FILES
    rates.append((request.node.name, sides * names / nanoseconds * 1e9))
