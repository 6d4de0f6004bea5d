"""Scan, plan, pack and copy a thousand files of 4 KiB, each as one call."""

from __future__ import annotations

import shutil

from pytest_benchmark.fixture import BenchmarkFixture
from tests.pipelines import Bench

from longshore.domain.entry import Entry
from longshore.pipeline.messages import CopyMode
from longshore.pipeline.packing import Packer
from longshore.pipeline.planning import verdict

ROUNDS = 20


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
