"""Copying small files through one Mover in this process: files per second and calls per file.

.venv/bin/python benchmarks/bench_mover.py [--files 50000] [--size 4096] [--base /dev/shm]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from longshore.bootstrap import open_storage
from longshore.domain.checksum import ChecksumKind
from longshore.domain.storage import StorageKind, StorageReference, folder_address
from longshore.domain.task import ConflictResolution
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import Destination, ExecutionPlan, Source, WorkKind
from longshore.pipeline.messages.replies import CopyReply, ScanReply
from longshore.pipeline.messages.work import encode, first_scan
from longshore.pipeline.mover import Mover

FILES_PER_FOLDER = 500


def grow(root: Path, files: int, size: int, attribute: bool) -> None:
    content = os.urandom(size)
    for number in range(files):
        folder = root / f"d{number // FILES_PER_FOLDER:05}"
        if number % FILES_PER_FOLDER == 0:
            folder.mkdir()
        path = folder / f"f{number:06}"
        path.write_bytes(content)
        if attribute:
            os.setxattr(path, "user.note", b"value")


def plan_of(source: Path, destination: Path, fields: dict[str, Any]) -> ExecutionPlan:
    address = folder_address(StorageReference(StorageKind.NAS_SHARE, 1), str(source))
    target = folder_address(StorageReference(StorageKind.NAS_SHARE, 2), str(destination))
    plan = ExecutionPlan(
        execution_id=1,
        task_id=1,
        sources=[Source(address, b"", b"", b"", None, False)],
        destinations=[Destination(target, None)],
        conflict=ConflictResolution.RENAME,
        checksum=ChecksumKind.NONE,
        verify=True,
        callbacks=[],
        workers=1,
        slice_seconds=2.0,
        batch_files=1000,
        batch_bytes=256 * 1024 * 1024,
    )
    return msgspec.structs.replace(plan, **fields)


def run(mover: Mover, plan: ExecutionPlan) -> tuple[float, float, int]:
    """Seconds spent scanning and copying, and the files that were copied."""
    encoded = encode(plan)
    todo = [(WorkKind.SCAN, encode(first_scan(plan)))]
    seconds = {WorkKind.SCAN: 0.0, WorkKind.COPY: 0.0}
    copied = number = 0
    while todo:
        kind, payload = todo.pop()
        number += 1
        begun = time.perf_counter()
        reply = mover(WorkOrder(number, kind, encoded, payload, True))
        seconds[kind] += time.perf_counter() - begun
        if isinstance(reply, ScanReply):
            todo += [(WorkKind.SCAN, each.payload) for each in reply.remaining]
            todo += [(WorkKind.COPY, each.payload) for each in reply.batches]
        elif isinstance(reply, CopyReply):
            copied += len(reply.records)
            if reply.remaining is not None:
                todo.append((WorkKind.COPY, reply.remaining.payload))
    return seconds[WorkKind.SCAN], seconds[WorkKind.COPY], copied


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--base", default="/dev/shm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--attribute", action="store_true", help="each file bears one attribute")
    parser.add_argument("--set", default="{}", help="further fields of the plan, as JSON")
    chosen = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="longshore-bench-", dir=chosen.base))
    try:
        source = base / "source"
        source.mkdir()
        grow(source, chosen.files, chosen.size, chosen.attribute)
        for _ in range(chosen.rounds):
            destination = base / "destination"
            destination.mkdir()
            mover = Mover(open_storage, lambda _: None, time.monotonic, time.time_ns)
            plan = plan_of(source, destination, msgspec.json.decode(chosen.set))
            begun = time.process_time()
            scan, copy, copied = run(mover, plan)
            computing = time.process_time() - begun
            mover.close()
            assert copied == chosen.files
            print(
                f"scan {scan:.2f} s, copy {copy:.2f} s: {copied / copy:,.0f} files/s copying, "
                f"{copied / (scan + copy):,.0f} files/s in all, "
                f"{computing / copied * 1e6:.1f} us of processor per file"
            )
            shutil.rmtree(destination)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
