"""Copy all of a bench and print the records: python -m tests.native.faulted FOLDER native|python

A process of its own, because a library comes before that of C only when a process starts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from longshore.domain.errors import ErrorKind
from longshore.domain.record import Record
from tests.pipelines import Bench

LOSSES_MAXIMUM = 20  # of the storage in one run; more means that the faults do not pass


class Copied(msgspec.Struct):
    """What became of every file, and why the whole storage was given up in between."""

    records: list[Record]
    losses: list[ErrorKind]


def copy_all(bench: Bench) -> Copied:
    """Copy batch after batch, and go on where the storage was lost."""
    copied = Copied(records=[], losses=[])
    for listed in bench.scan_all():
        copied.records += listed.records
        for batch in listed.batches:
            _copy_batch(bench, batch.payload, copied)
    return copied


def _copy_batch(bench: Bench, payload: bytes, copied: Copied) -> None:
    work_id = next(bench.work_ids)
    rest: bytes | None = payload
    fresh = True
    while rest is not None:
        reply = bench.copy(rest, work_id=work_id, fresh=fresh)
        copied.records += reply.records
        if reply.lost is not None:
            copied.losses.append(reply.lost.failure.kind)
            assert len(copied.losses) <= LOSSES_MAXIMUM, "the faults do not pass"
        rest = None if reply.remaining is None else reply.remaining.payload
        fresh = False


if __name__ == "__main__":
    the_bench = Bench(Path(sys.argv[1]), native=sys.argv[2] == "native", durable=True)
    sys.stdout.buffer.write(msgspec.msgpack.encode(copy_all(the_bench)))
    the_bench.close()
