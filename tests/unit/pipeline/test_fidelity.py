"""What a copy keeps of its source, through the real pipeline over the real backend."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from longshore.domain.errors import ErrorKind
from longshore.domain.fidelity import Unkept, decode_unkept
from longshore.domain.outcome import Outcome
from tests import fidelity
from tests.trees import staged_left
from tests.unit.pipeline.driving import Driver, plan_for, without


def test_everything_is_kept_between_two_posix_storages(source: Path, destination: Path) -> None:
    fidelity.grow_all(source)
    done = Driver(plan_for(source, destination)).run()
    lost = [
        each.title
        for each in fidelity.features_here()
        if not fidelity.kept(each, source, destination)
    ]
    assert lost == []
    assert done.warnings == []
    assert not any(record.lost for record in done.records)
    assert staged_left(destination) == []
    assert sorted(os.listdir(destination)) == sorted(set(os.listdir(source)) - {"pipe", "device"})


def test_special_files_are_reported_and_left_alone(source: Path, destination: Path) -> None:
    os.mkfifo(source / "pipe")
    record = Driver(plan_for(source, destination)).run().record_of(b"pipe")
    assert record.outcome is Outcome.FAILED
    assert record.failure is not None
    assert record.failure.kind is ErrorKind.SPECIAL_FILE
    assert os.listdir(destination) == []


def test_the_hashes_of_a_sparse_file_cover_its_holes(source: Path, destination: Path) -> None:
    fidelity.grow_all(source)
    done = Driver(plan_for(source, destination)).run()
    for name in ("sparse", "hole"):
        expected = hashlib.sha256((source / name).read_bytes()).digest()
        assert done.record_of(name.encode()).checksum == expected


def test_holes_are_written_out_where_the_destination_keeps_none(
    source: Path, destination: Path
) -> None:
    fidelity.grow_all(source)
    Driver(plan_for(source, destination), wrap_destination=without(sparse=False)).run()
    assert (destination / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert not fidelity.is_sparse(destination / "sparse")


def test_names_of_one_file_are_copied_once_and_each_is_on_record(
    source: Path, destination: Path
) -> None:
    fidelity.grow_all(source)
    done = Driver(plan_for(source, destination, batch_files=1), movers_count=2).run()
    names = [b"linked", b"again", b"and again"]
    records = [done.record_of(name) for name in names]
    assert {record.outcome for record in records} == {Outcome.COPIED}
    assert len({(record.xxh3_128, record.checksum) for record in records}) == 1
    assert (destination / "linked").stat().st_nlink == 3
    alone = sum(
        r.entry.size for r in done.records if r.outcome is Outcome.COPIED and r.entry.links == 1
    )
    symlinks = len(os.fsencode(os.readlink(source / "symlink")))
    assert done.bytes_copied == alone - symlinks + (source / "linked").stat().st_size


def test_links_are_plain_copies_where_the_destination_keeps_none(
    source: Path, destination: Path
) -> None:
    fidelity.grow_all(source)
    Driver(plan_for(source, destination), wrap_destination=without(hard_links=False)).run()
    assert (destination / "linked").stat().st_nlink == 1
    assert (destination / "links" / "again").read_bytes() == (source / "linked").read_bytes()


def test_decoding_of_nothing_is_nothing_lost() -> None:
    assert decode_unkept(None) == decode_unkept(b"") == Unkept()
