"""Injected faults: exactly where the plan says, and the same every time."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.domain.storage import StorageKind, StorageReference
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import Metadata, StorageHandler
from longshore.storage.wrappers.faults import (
    Call,
    Corrupt,
    Deed,
    Fault,
    FaultPlan,
    Refuse,
    Truncate,
    faults_from_json,
)
from longshore.storage.wrappers.faulty import FaultyStorage
from tests.contract.storage.deeds import TEMPORARY, content_of, listed, put, read, refused

REFERENCE = StorageReference(StorageKind.CONTAINER, 1)
BROKEN = Refuse(ErrorKind.INPUT_OUTPUT, RetryClass.LATER)
ALWAYS = 1_000_000


def faulty(folder: Path, *faults: Fault) -> FaultyStorage:
    return FaultyStorage(PosixStorage(REFERENCE, bytes(folder)), FaultPlan(faults))


def use_everything(storage: StorageHandler) -> None:
    """Every deed of the interface at least once, all of which succeed without faults."""
    storage.check(writable=True)
    storage.space()
    put(storage, b"file", b"abc", replace=True)
    with storage.open_folder(b"") as folder:
        folder.make_folder(b"folder")
        folder.remove_folder(b"folder")
        folder.set_metadata(b"file", Metadata(mode=0o600))
        assert list(folder.entries()) == [folder.stat(b"file")]
        folder.staged_names()
        with folder.open(b"file") as source:
            source.stat()
            source.attributes()
            list(source.data_ranges(0, 3))
            content_of(source)
        folder.stage_symlink(TEMPORARY, b"target").abort()
        folder.stage_link(TEMPORARY, b"file").abort()
        with folder.stage(TEMPORARY, size=3, resume=True) as staged:
            staged.write(memoryview(b"abc"), 0)
            staged.set_size(3)
            staged.drop_cache()
            content_of(staged)
            staged.abort()
        folder.remove(b"file")
    storage.make_durable()


@pytest.mark.parametrize("deed", list(Deed))
def test_every_deed_can_be_refused(tmp_path: Path, deed: Deed) -> None:
    with faulty(tmp_path, Fault(deed, BROKEN)) as storage:
        with pytest.raises(StorageError, match="injected fault") as caught:
            use_everything(storage)
        assert str(caught.value).startswith(deed.value)
        use_everything(storage)  # the fault was for one call


def test_without_faults_nothing_is_refused(tmp_path: Path) -> None:
    with faulty(tmp_path) as storage:
        use_everything(storage)


def test_a_fault_hits_the_calls_it_names(tmp_path: Path) -> None:
    fault = Fault(Deed.COMMIT, BROKEN, pattern="folder/*.mov", first=2, times=2)
    outcomes = []
    with faulty(tmp_path, fault) as storage:
        for name in (b"1.mov", b"other", b"2.mov", b"3.mov", b"4.mov"):
            try:
                put(storage, b"folder/" + name, b"")
            except StorageError:
                outcomes.append(name)
        assert listed(storage, b"folder") == [b"1.mov", b"4.mov", b"other"]
    assert outcomes == [b"2.mov", b"3.mov"]


def test_a_refusal_bears_its_kind_class_and_reach(tmp_path: Path) -> None:
    full = Refuse(ErrorKind.NO_SPACE, RetryClass.LATER, whole_storage=True)
    with faulty(tmp_path, Fault(Deed.WRITE, full)) as storage:
        with pytest.raises(StorageUnavailable) as caught:
            put(storage, b"file", b"abc")
    assert (caught.value.kind, caught.value.retry) == (ErrorKind.NO_SPACE, RetryClass.LATER)


def test_a_lost_answer_leaves_the_deed_done(tmp_path: Path) -> None:
    lost = Refuse(ErrorKind.TIMEOUT, RetryClass.LATER, done=True)
    with faulty(tmp_path, Fault(Deed.COMMIT, lost)) as storage:
        with refused(ErrorKind.TIMEOUT):
            put(storage, b"file", b"abc")
        assert read(storage, b"file") == b"abc"


def test_truncated_reads_and_writes(tmp_path: Path) -> None:
    faults = (
        Fault(Deed.READ, Truncate(2), times=ALWAYS),
        Fault(Deed.WRITE, Truncate(4), pattern="short/*"),
    )
    with faulty(tmp_path, *faults) as storage:
        put(storage, b"file", b"abcdef")
        put(storage, b"short/file", b"abcdef")
        with storage.open_folder(b"") as folder, folder.open(b"file") as source:
            assert source.read_into(memoryview(bytearray(6)), 0) == 2
        assert read(storage, b"file") == b"abcdef"
    assert (tmp_path / "short" / "file").read_bytes() == b"abcd"


def test_a_read_of_nothing_looks_like_the_end(tmp_path: Path) -> None:
    with faulty(tmp_path, Fault(Deed.READ, Truncate(0))) as storage:
        put(storage, b"file", b"abcdef")
        assert read(storage, b"file") == b""
        assert read(storage, b"file") == b"abcdef"


def test_corrupted_reads_and_writes_change_one_byte(tmp_path: Path) -> None:
    faults = (
        Fault(Deed.WRITE, Corrupt(position=7), pattern="*"),
        Fault(Deed.READ_BACK, Corrupt(), first=2),
    )
    data = bytearray(b"abcdef")
    with faulty(tmp_path, *faults) as storage:
        with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=6) as staged:
            staged.write(memoryview(data), 0)
            assert content_of(staged, buffer_bytes=100) == b"a\x9dcdef"
            staged.write(memoryview(data), 0)
            assert content_of(staged, buffer_bytes=100) == b"abcdef"
            staged.abort()
    assert data == b"abcdef"  # the caller's buffer is his own


def test_calls_reach_the_hook_before_the_deed(tmp_path: Path) -> None:
    seen: list[tuple[Deed, bytes, list[str]]] = []

    def hook(deed: Deed, path: bytes) -> None:
        seen.append((deed, path, sorted(entry.name for entry in tmp_path.iterdir())))

    plan = FaultPlan([Fault(Deed.COMMIT, Call()), Fault(Deed.REMOVE, Call())])
    with FaultyStorage(PosixStorage(REFERENCE, bytes(tmp_path)), plan, hook=hook) as storage:
        put(storage, b"file", b"")
        with storage.open_folder(b"") as folder:
            folder.remove(b"file")
    assert seen == [
        (Deed.COMMIT, b"file", [TEMPORARY.decode()]),
        (Deed.REMOVE, b"file", ["file"]),
    ]


def test_patterns_take_any_bytes_of_a_path(tmp_path: Path) -> None:
    fault = Fault(Deed.STAT, BROKEN, pattern="a\nb/\udcff?")
    with faulty(tmp_path, fault) as storage, storage.open_folder(b"a\nb", create=True) as folder:
        with refused(ErrorKind.NOT_FOUND):
            folder.stat(b"other")
        with refused(ErrorKind.INPUT_OUTPUT):
            folder.stat(b"\xffx")


def test_plans_can_be_written_as_json() -> None:
    text = """[
        {"deed": "read", "effect": {"type": "corrupt", "position": 3}, "pattern": "*.mov"},
        {"deed": "write", "effect": {"type": "refuse", "kind": "no_space", "retry": "later",
         "whole_storage": true}, "first": 5, "times": 2}
    ]"""
    full = Refuse(ErrorKind.NO_SPACE, RetryClass.LATER, whole_storage=True)
    assert faults_from_json(text) == (
        Fault(Deed.READ, Corrupt(3), "*.mov"),
        Fault(Deed.WRITE, full, first=5, times=2),
    )
    with pytest.raises(msgspec.ValidationError):
        faults_from_json('[{"deed": "fly", "effect": {"type": "call"}}]')
