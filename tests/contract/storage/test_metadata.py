"""Metadata: what is set is kept, or named as not kept."""

from __future__ import annotations

import os
import stat

import pytest

from longshore.domain import paths
from longshore.domain.errors import ErrorKind
from longshore.storage.handler import Metadata, StorageHandler
from tests.contract.storage.deeds import TEMPORARY, put, put_symlink, read, refused

MTIME_NS = 1_234_567_890_123_456_789
ATIME_NS = 1_111_111_111_987_654_321


def rounded(storage: StorageHandler, time_ns: int) -> int:
    step = storage.capabilities.time_resolution_nanoseconds
    return time_ns // step * step


def test_a_committed_file_bears_the_metadata_set_while_staged(storage: StorageHandler) -> None:
    wanted = Metadata(mode=0o641, mtime_ns=MTIME_NS, atime_ns=ATIME_NS)
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=3) as staged:
        staged.write(memoryview(b"abc"), 0)
        lost = staged.set_metadata(wanted)
        staged.commit(b"final", replace=False)
        found = folder.stat(b"final")
    if storage.capabilities.permissions:
        assert stat.S_IMODE(found.mode) == 0o641
        assert "mode" not in lost
    assert found.mtime_ns == rounded(storage, MTIME_NS)
    assert "mtime_ns" not in lost


def test_none_leaves_the_value_of_the_storage(storage: StorageHandler) -> None:
    put(storage, b"file", b"abc")
    with storage.open_folder(b"") as folder:
        folder.set_metadata(b"file", Metadata(mode=0o600, mtime_ns=MTIME_NS, atime_ns=ATIME_NS))
        before = folder.stat(b"file")
        assert folder.set_metadata(b"file", Metadata()) == ()
        assert folder.stat(b"file").mode == before.mode
        assert folder.stat(b"file").mtime_ns == before.mtime_ns
        folder.set_metadata(b"file", Metadata(atime_ns=5_000_000_000))
        assert folder.stat(b"file").mtime_ns == before.mtime_ns
        folder.set_metadata(b"file", Metadata(mtime_ns=7_000_000_000))
        after = folder.stat(b"file")
        assert (after.mtime_ns, after.mode) == (7_000_000_000, before.mode)
        assert after.atime_ns in {5_000_000_000, 0}  # 0 on storages without access times


@pytest.mark.parametrize("mtime_ns", [0, 1, -1_000_000_000, 4_000_000_000_000_000_000])
def test_times_long_ago_and_far_ahead_are_kept_or_reported(
    storage: StorageHandler, mtime_ns: int
) -> None:
    put(storage, b"file", b"abc")
    with storage.open_folder(b"") as folder:
        lost = folder.set_metadata(b"file", Metadata(mtime_ns=mtime_ns))
        kept = folder.stat(b"file").mtime_ns == rounded(storage, mtime_ns)
        assert kept or "mtime_ns" in lost


@pytest.mark.parametrize("name", [b"", b"sub"])
def test_folders_get_their_metadata(storage: StorageHandler, name: bytes) -> None:
    with storage.open_folder(b"folder", create=True) as folder:
        folder.make_folder(b"sub")
        lost = folder.set_metadata(name, Metadata(mode=0o750, mtime_ns=MTIME_NS))
        parent, own = paths.split(paths.join(b"folder", name))
    assert "mtime_ns" not in lost
    with storage.open_folder(parent) as above:
        found = above.stat(own)
    assert found.mtime_ns == rounded(storage, MTIME_NS)
    if storage.capabilities.permissions:
        assert stat.S_IMODE(found.mode) == 0o750


def test_a_staged_symlink_gets_its_own_times(storage: StorageHandler) -> None:
    if not storage.capabilities.symlinks:
        pytest.skip("this storage keeps no symbolic links")
    put(storage, b"target", b"")
    with storage.open_folder(b"") as folder:
        before = folder.stat(b"target")
        with folder.stage_symlink(TEMPORARY, b"target") as staged:
            lost = staged.set_metadata(Metadata(mode=0o777, mtime_ns=MTIME_NS, atime_ns=ATIME_NS))
            staged.commit(b"link", replace=False)
        assert lost == ()
        assert folder.stat(b"link").mtime_ns == rounded(storage, MTIME_NS)
        folder.set_metadata(b"link", Metadata(mtime_ns=5_000_000_000))
        assert folder.stat(b"link").mtime_ns == 5_000_000_000
        assert folder.stat(b"target") == before


def test_ownership_is_kept_or_reported(storage: StorageHandler) -> None:
    put(storage, b"file", b"abc")
    with storage.open_folder(b"") as folder:
        lost = folder.set_metadata(b"file", Metadata(uid=54_321, gid=54_322))
        found = folder.stat(b"file")
    if os.geteuid() == 0 and storage.capabilities.ownership:
        assert (lost, found.uid, found.gid) == ((), 54_321, 54_322)
    else:
        assert set(lost) == {"uid", "gid"}


def test_the_own_ownership_is_no_loss(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0) as staged:
        assert staged.set_metadata(Metadata(uid=os.geteuid(), gid=os.getegid())) == ()
        staged.abort()


def test_values_no_system_can_bear_are_reported_not_raised(storage: StorageHandler) -> None:
    put(storage, b"file", b"abc")
    with storage.open_folder(b"") as folder:
        beyond = Metadata(uid=1 << 40, gid=1 << 40, mtime_ns=1 << 100)
        assert set(folder.set_metadata(b"file", beyond)) == {"uid", "gid", "mtime_ns"}
    assert read(storage, b"file") == b"abc"


def test_metadata_of_nothing_is_not_found(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder, refused(ErrorKind.NOT_FOUND):
        folder.set_metadata(b"nothing", Metadata(mode=0o600))


def test_metadata_of_a_symlink_never_reaches_its_target(storage: StorageHandler) -> None:
    put(storage, b"target", b"")
    put_symlink(storage, b"link", b"target")
    with storage.open_folder(b"") as folder:
        before = folder.stat(b"target")
        folder.set_metadata(b"link", Metadata(mode=0o777, uid=54_321, gid=1, mtime_ns=1))
        assert folder.stat(b"target") == before
