"""What a scan opens it closes again, also when it cannot be listed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.pipeline.messages.work import ScanFolder, ScanWork, encode
from tests.pipelines import Bench

GONE = encode(ScanWork([ScanFolder(0, b"d", b"d", only=b"gone")]))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_a_file_that_is_gone_leaves_no_folder_open(bench: Bench) -> None:
    for each in (bench.source, bench.destination):
        (each / "d").mkdir()
    bench.scan(GONE)  # from now on its storages are open
    before = os.listdir("/proc/self/fd")
    bench.scan(GONE)
    assert os.listdir("/proc/self/fd") == before
