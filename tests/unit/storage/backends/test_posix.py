"""What only a POSIX storage can do or suffer; the rest is in the contract suite."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends import posix, posix_files
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import TEMPORARY_PREFIX, Metadata
from tests.contract.storage.deeds import (
    TEMPORARY,
    entries,
    listed,
    open_descriptors,
    put,
    read,
    refused,
)
from tests.unit.storage.backends.conftest import NOBODY, REFERENCE, Open, ordinary_user

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away and mount")


# Special files


def test_special_files_are_listed_and_never_opened(root: Path, storage: PosixStorage) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        assert [entry.kind for entry in entries(storage)] == [EntryKind.SPECIAL] * 2
        with storage.open_folder(b"") as folder:
            for name in (b"pipe", b"socket"):
                with refused(ErrorKind.SPECIAL_FILE):
                    folder.open(name)


@as_root
def test_devices_are_listed_and_never_opened(root: Path, storage: PosixStorage) -> None:
    try:
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(root / "no driver", stat.S_IFCHR | 0o666, os.makedev(4_000, 3))
    except PermissionError:
        pytest.skip("this container may not make devices")
    assert [entry.kind for entry in entries(storage)] == [EntryKind.SPECIAL] * 2
    with storage.open_folder(b"") as folder:
        for name in (b"null", b"no driver"):
            with refused(ErrorKind.SPECIAL_FILE):
                folder.open(name)


# Staging


def test_a_staged_file_is_nobody_elses_business(root: Path, storage: PosixStorage) -> None:
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0):
        found = os.lstat(os.fsencode(root) + b"/" + TEMPORARY)
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_a_read_only_left_over_is_resumed_by_its_owner(root: Path, storage: PosixStorage) -> None:
    with ordinary_user(), storage.open_folder(b"") as folder:
        with folder.stage(TEMPORARY, size=3) as staged:
            staged.write(memoryview(b"abc"), 0)
            staged.set_metadata(Metadata(mode=0o400))
        with folder.stage(TEMPORARY, size=3, resume=True) as staged:
            assert staged.size() == 3
            staged.commit(b"final", replace=False)
    assert (root / "final").read_bytes() == b"abc"


def test_a_left_over_with_a_second_name_is_never_written_on(
    root: Path, storage: PosixStorage
) -> None:
    (root / "published").write_bytes(b"untouched")
    os.link(root / "published", os.fsencode(root) + b"/" + TEMPORARY)
    with storage.open_folder(b"") as folder:
        with folder.stage(TEMPORARY, size=3, resume=True) as staged:
            assert staged.size() == 0
            staged.write(memoryview(b"new"), 0)
            staged.abort()
    assert (root / "published").read_bytes() == b"untouched"


def test_a_folder_under_the_temporary_name_is_refused_not_emptied(
    root: Path, storage: PosixStorage
) -> None:
    (root / os.fsdecode(TEMPORARY)).mkdir()
    with storage.open_folder(b"") as folder:
        for resume in (False, True):
            with refused(ErrorKind.IS_A_FOLDER):
                folder.stage(TEMPORARY, size=0, resume=resume)


# Publishing where the file system cannot rename exclusively


@pytest.fixture(params=[errno.EINVAL, errno.ENOSYS], ids=["EINVAL", "ENOSYS"])
def no_exclusive_rename(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer as NFS and old kernels do, which no test machine offers."""

    def refuse(folder: int, name: bytes, new_name: bytes) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(posix_files, "rename_exclusively", refuse)


@pytest.mark.usefixtures("no_exclusive_rename")
def test_linking_publishes_and_never_replaces(root: Path, storage: PosixStorage) -> None:
    put(storage, b"final", b"first")
    with pytest.raises(StorageError, match="exists") as caught:
        put(storage, b"final", b"second")
    assert caught.value.kind is ErrorKind.EXISTS
    assert read(storage, b"final") == b"first"
    assert os.stat(root / "final").st_nlink == 1
    (root / "link").symlink_to("nowhere")
    with storage.open_folder(b"") as folder, folder.stage_symlink(TEMPORARY, b"x") as staged:
        with refused(ErrorKind.EXISTS):
            staged.commit(b"link", replace=False)
        staged.commit(b"another", replace=False)
    assert os.readlink(root / "another") == "x"


@pytest.mark.usefixtures("no_exclusive_rename")
def test_a_link_left_by_a_crash_is_recognised_as_the_own(root: Path, storage: PosixStorage) -> None:
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=3) as staged:
        staged.write(memoryview(b"abc"), 0)
        os.link(os.fsencode(root) + b"/" + TEMPORARY, root / "final")
        staged.commit(b"final", replace=False)
        assert folder.staged_names() == []
    assert read(storage, b"final") == b"abc"


# Metadata


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777, 0o6711])
def test_special_mode_bits_of_the_own_files_survive(
    root: Path, storage: PosixStorage, mode: int
) -> None:
    own = Metadata(mode=mode, uid=os.geteuid(), gid=os.getegid())
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0) as staged:
        lost = staged.set_metadata(own)
        staged.commit(b"final", replace=False)
    assert lost == ()
    assert stat.S_IMODE((root / "final").stat().st_mode) == mode


@as_root
def test_setuid_survives_the_change_of_owner(root: Path, storage: PosixStorage) -> None:
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0) as staged:
        assert staged.set_metadata(Metadata(mode=0o6755, uid=NOBODY, gid=NOBODY)) == ()
        staged.commit(b"final", replace=False)
    found = (root / "final").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, NOBODY, 0o6755)


def test_setuid_is_dropped_when_the_owner_cannot_be_kept(root: Path, storage: PosixStorage) -> None:
    with ordinary_user(), storage.open_folder(b"") as folder:
        with folder.stage(TEMPORARY, size=0) as staged:
            lost = staged.set_metadata(Metadata(mode=0o6755, uid=0, gid=0))
            staged.commit(b"final", replace=False)
    assert set(lost) == {"uid", "gid", "mode"}
    assert stat.S_IMODE((root / "final").stat().st_mode) == 0o755


def test_metadata_of_a_file_without_any_permission_can_be_set(
    root: Path, storage: PosixStorage
) -> None:
    with ordinary_user(), storage.open_folder(b"") as folder:
        with folder.stage(TEMPORARY, size=0) as staged:
            staged.commit(b"file", replace=False)
        assert folder.set_metadata(b"file", Metadata(mode=0)) == ()
        assert folder.set_metadata(b"file", Metadata(mode=0o640, mtime_ns=77)) == ()
    found = (root / "file").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, 77)


@as_root
def test_metadata_of_somebody_elses_file_is_reported_as_not_kept(
    root: Path, storage: PosixStorage
) -> None:
    (root / "file").write_bytes(b"")
    with ordinary_user(), storage.open_folder(b"") as folder:
        lost = folder.set_metadata(b"file", Metadata(0o777, NOBODY, NOBODY, 5, 5))
    assert set(lost) == {"mode", "uid", "gid", "mtime_ns", "atime_ns"}


def test_reading_leaves_the_access_time_of_own_files_alone(
    root: Path, storage: PosixStorage
) -> None:
    (root / "file").write_bytes(b"abc")
    os.utime(root / "file", ns=(1_000_000_000, 2_000_000_000))  # relatime would note any access
    assert read(storage, b"file") == b"abc"
    assert (root / "file").stat().st_atime_ns == 1_000_000_000


@as_root
def test_files_of_others_are_read_although_their_access_time_cannot_be_spared(
    root: Path, storage: PosixStorage
) -> None:
    for name in ("one", "two"):
        (root / name).write_bytes(b"abc")
        (root / name).chmod(0o644)
    with ordinary_user():
        assert read(storage, b"one") == b"abc"
        assert read(storage, b"two") == b"abc"


# Permissions


def test_what_may_not_be_read_is_a_permission_error_of_its_own(
    root: Path, storage: PosixStorage
) -> None:
    with ordinary_user():
        put(storage, b"closed/file", b"")
        put(storage, b"file", b"")
        put(storage, b"fine", b"abc")
        with storage.open_folder(b"") as folder:
            folder.set_metadata(b"file", Metadata(mode=0))
            folder.set_metadata(b"closed", Metadata(mode=0))
            with refused(ErrorKind.PERMISSION) as caught:
                folder.open(b"file")
            assert caught.value.retry is RetryClass.NEVER
            assert not isinstance(caught.value, StorageUnavailable)
            assert listed(storage) == [b"closed", b"file", b"fine"]
        with refused(ErrorKind.PERMISSION):
            storage.open_folder(b"closed")
        with refused(ErrorKind.PERMISSION):
            put(storage, b"closed/sub/file", b"")
        assert read(storage, b"fine") == b"abc"
    (root / "closed").chmod(0o700)


def test_a_folder_that_may_be_passed_but_not_read_is_passed(
    root: Path, storage: PosixStorage
) -> None:
    with ordinary_user():
        put(storage, b"passage/below/file", b"abc")
        with storage.open_folder(b"") as folder:
            folder.set_metadata(b"passage", Metadata(mode=0o111))
        assert read(storage, b"passage/below/file") == b"abc"
    (root / "passage").chmod(0o700)


def test_names_whose_metadata_is_hidden_are_listed_as_special(
    root: Path, storage: PosixStorage
) -> None:
    with ordinary_user():
        put(storage, b"folder/file", b"abc")
        with storage.open_folder(b"") as folder:
            folder.set_metadata(b"folder", Metadata(mode=0o400))  # to be read, not searched
        (entry,) = entries(storage, b"folder")
    assert (entry.name, entry.kind, entry.mode) == (b"file", EntryKind.SPECIAL, 0)
    (root / "folder").chmod(0o700)


# The root


def test_check_says_what_the_user_may_not_do(root: Path, opened: Open) -> None:
    closed, fixed = root / "closed", root / "fixed"
    with ordinary_user():
        closed.mkdir(mode=0)
        fixed.mkdir(mode=0o555)
        with pytest.raises(StorageUnavailable, match=r"closed.*Permission denied"):
            opened(closed).check(writable=False)
        opened(fixed).check(writable=False)
        with pytest.raises(StorageUnavailable, match=r"fixed.*may not be written"):
            opened(fixed).check(writable=True)
    closed.chmod(0o700)


def test_a_file_as_root_is_unavailable(root: Path, opened: Open) -> None:
    (root / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable) as caught:
        opened(root / "file").check(writable=False)
    assert caught.value.kind is ErrorKind.NOT_A_FOLDER


def test_a_root_with_a_nul_byte_is_unavailable() -> None:
    with pytest.raises(StorageUnavailable):
        PosixStorage(REFERENCE, b"/nul\0byte").check(writable=False)


def test_the_root_may_be_reached_through_a_symlink(root: Path, opened: Open) -> None:
    (root / "real").mkdir()
    (root / "link").symlink_to("real")
    put(opened(root / "link"), b"file", b"abc")
    assert (root / "real" / "file").read_bytes() == b"abc"


def test_a_root_whose_place_was_taken_is_unavailable_once_and_then_used_anew(
    root: Path, storage: PosixStorage
) -> None:
    put(storage, b"old", b"")
    root.rename(root.with_name("elsewhere"))
    root.mkdir()
    (root / "new").mkdir()
    with pytest.raises(StorageUnavailable, match="taken its place"):
        storage.open_folder(b"new")
    assert listed(storage) == [b"new"]
    storage.check(writable=True)


def test_a_storage_without_own_durability_never_syncs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise AssertionError("synced")

    monkeypatch.setattr(posix, "sync_file_system", refuse)
    with PosixStorage(REFERENCE, os.fsencode(root), own_durability=False) as storage:
        put(storage, b"file", b"")
        storage.make_durable()


@pytest.mark.parametrize(
    ("number", "kind", "unavailable"),
    [
        (errno.EIO, ErrorKind.INPUT_OUTPUT, False),
        (errno.EINVAL, ErrorKind.INPUT_OUTPUT, False),
        (errno.ENOSPC, ErrorKind.NO_SPACE, True),
        (errno.EROFS, ErrorKind.READ_ONLY, True),
    ],
)
def test_lost_writes_come_to_light_when_made_durable(
    storage: PosixStorage,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: ErrorKind,
    unavailable: bool,
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    put(storage, b"file", b"")
    monkeypatch.setattr(posix, "sync_file_system", refuse)
    with refused(kind) as caught:
        storage.make_durable()
    assert isinstance(caught.value, StorageUnavailable) is unavailable


# Cost


def test_a_listing_holds_names_only(storage: PosixStorage, root: Path) -> None:
    for number in range(5_000):
        (root / f"{number:040d}").touch()
    with storage.open_folder(b"") as folder:
        tracemalloc.start()
        try:
            count = sum(1 for _ in folder.entries())
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert count == 5_000
    assert peak_bytes / count < 110  # a name of 40 bytes and its place in the list; no metadata


def test_nothing_is_opened_that_is_not_closed(root: Path, opened: Open) -> None:
    before = open_descriptors()
    storage = opened(root)
    for number in range(20):
        put(storage, b"%d/file" % number, b"")
        read(storage, b"%d/file" % number)
    storage.close()
    assert open_descriptors() == before


NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: (
        not set(b"/\0") & set(name)
        and name not in {b".", b".."}
        and not name.startswith(TEMPORARY_PREFIX)
    )
)


@settings(max_examples=40)
@given(names=st.sets(NAMES, max_size=20), after=NAMES)
def test_any_set_of_names_is_listed_in_the_order_of_its_bytes(
    names: set[bytes], after: bytes
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        PosixStorage(REFERENCE, os.fsencode(folder)) as storage,
    ):
        for name in names:
            put(storage, name, b"")
        assert listed(storage) == sorted(names)
        assert listed(storage, after=after) == sorted(name for name in names if name > after)


# Long paths


@pytest.mark.parametrize("at_once", [True, False])
def test_long_paths_lead_through_no_symbolic_link(
    root: Path, storage: PosixStorage, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    def not_there(*_: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if not at_once:
        monkeypatch.setattr(posix, "open_beneath", not_there)
    names = [b"%d" % number for number in range(posix.NAMES_WALKED + 3)]
    path = b"/".join(names)
    before = open_descriptors()
    with refused(ErrorKind.NOT_FOUND):
        storage.open_folder(path)
    storage.open_folder(path, create=True).close()
    put(storage, path + b"/file", b"deep")
    assert read(storage, path + b"/file") == b"deep"
    (root / "0" / "link").symlink_to("1")
    for create in (False, True):
        with refused(ErrorKind.NOT_A_FOLDER):
            storage.open_folder(b"0/link/" + b"/".join(names[2:]), create=create)
    (root / "0" / "1" / "out").symlink_to(root)
    with refused(ErrorKind.NOT_A_FOLDER):
        storage.open_folder(b"0/1/out/" + path)
    storage.close()
    assert open_descriptors() <= before
