"""Attributes, access lists, holes and hard links: kept, or named as not kept."""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile

import pytest

from longshore.domain.errors import ErrorKind
from longshore.storage.handler import (
    Metadata,
    StorageHandler,
    attribute_field,
    attribute_of_field,
)
from tests.contract.storage.conftest import Ground
from tests.contract.storage.deeds import (
    TEMPORARY,
    content_of,
    listed,
    put,
    put_symlink,
    read,
    refused,
)
from tests.memory import MEMORY

MEBIBYTE = 1 << 20
ATTRIBUTES = {b"user.note": b"value", b"user.binary": bytes(range(256)), b"user.empty": b""}
ACCESS, DEFAULT = b"system.posix_acl_access", b"system.posix_acl_default"
OWNER, USER, GROUP, MASK, OTHER = 1, 2, 4, 16, 32
ANYBODY = 0xFFFFFFFF


def access_list(group: int = 4, mask: int = 7) -> bytes:
    """A POSIX ACL as Linux shows it, that names one more user."""
    entries = [(OWNER, 6, ANYBODY), (USER, 7, 54_321), (GROUP, group, ANYBODY)]
    entries += [(MASK, mask, ANYBODY), (OTHER, 0, ANYBODY)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.fixture(autouse=True)
def system_keeps_attributes() -> None:
    """The tests are about Longshore: they need file systems with attributes and access lists."""
    for folder in (tempfile.gettempdir(), MEMORY):
        try:
            probe = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        except OSError:
            continue
        try:
            os.setxattr(probe, "user.probe", b"")
            os.setxattr(probe, ACCESS, access_list())
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                pytest.skip(f"{folder} keeps no user attributes or access lists on this system")
            raise
        finally:
            os.close(probe)


def put_with(storage: StorageHandler, name: bytes, metadata: Metadata) -> tuple[str, ...]:
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=3) as staged:
        staged.write(memoryview(b"abc"), 0)
        lost = staged.set_metadata(metadata)
        staged.commit(name, replace=False)
    return lost


def test_attributes_of_a_staged_file_are_kept(storage: StorageHandler) -> None:
    if not storage.capabilities.extended_attributes:
        pytest.skip("this storage keeps no attributes")
    assert put_with(storage, b"file", Metadata(mode=0o400, attributes=ATTRIBUTES)) == ()
    with storage.open_folder(b"") as folder, folder.open(b"file") as source:
        assert source.attributes() == ATTRIBUTES
        assert folder.attributes(b"file") == ATTRIBUTES


def test_attributes_that_cannot_be_kept_are_named(storage: StorageHandler) -> None:
    wanted = {b"user.big": bytes(100_000), b"nonsense": b"", b"user.\xff": b"1"}
    lost = put_with(storage, b"file", Metadata(attributes=wanted))
    with storage.open_folder(b"") as folder:
        kept = folder.attributes(b"file")
    assert {attribute_of_field(field) for field in lost} | set(kept) == set(wanted)
    assert attribute_field(b"user.big") in lost


def test_times_survive_the_setting_of_attributes(storage: StorageHandler) -> None:
    wanted = Metadata(mode=0o640, mtime_ns=5_000_000_000, attributes=ATTRIBUTES)
    put_with(storage, b"file", wanted)
    with storage.open_folder(b"") as folder:
        assert folder.stat(b"file").mtime_ns == 5_000_000_000


def test_access_lists_are_kept_with_the_mode_that_goes_with_them(storage: StorageHandler) -> None:
    if not storage.capabilities.access_lists:
        pytest.skip("this storage keeps no access lists")
    attributes = {ACCESS: access_list()}
    assert put_with(storage, b"file", Metadata(mode=0o670, attributes=attributes)) == ()
    with storage.open_folder(b"") as folder:
        assert folder.attributes(b"file") == attributes
        assert stat.S_IMODE(folder.stat(b"file").mode) == 0o670


def test_a_lost_access_list_opens_the_file_to_nobody_else(storage: StorageHandler) -> None:
    if not storage.capabilities.interprets_access:
        pytest.skip("this storage keeps any access list, and opens nothing by it")
    broken = access_list()[:-1]  # no system accepts it
    lost = put_with(storage, b"file", Metadata(mode=0o670, attributes={ACCESS: broken}))
    assert set(lost) == {attribute_field(ACCESS), "mode"}
    with storage.open_folder(b"") as folder:
        assert stat.S_IMODE(folder.stat(b"file").mode) == 0o640


def test_folders_get_attributes_and_access_lists(storage: StorageHandler) -> None:
    if not storage.capabilities.access_lists:
        pytest.skip("this storage keeps no access lists")
    wanted = {b"user.note": b"1", ACCESS: access_list(), DEFAULT: access_list()}
    with storage.open_folder(b"folder", create=True) as folder:
        lost = folder.set_metadata(b"", Metadata(mode=0o670, mtime_ns=5, attributes=wanted))
        assert lost == ()
        assert folder.attributes(b"") == wanted
    with storage.open_folder(b"") as above:
        assert above.attributes(b"folder") == wanted
        assert above.stat(b"folder").mtime_ns == 5


def test_what_a_folder_hands_down_is_taken_away(storage: StorageHandler) -> None:
    if not (storage.capabilities.access_lists and storage.capabilities.interprets_access):
        pytest.skip("no access list is handed down on this storage")
    with storage.open_folder(b"folder", create=True) as folder:
        folder.set_metadata(b"", Metadata(attributes={DEFAULT: access_list()}))
        folder.make_folder(b"sub")
        assert set(folder.attributes(b"sub")) == {ACCESS, DEFAULT}
        folder.set_metadata(b"sub", Metadata(attributes={b"user.note": b"1"}))
        assert folder.attributes(b"sub") == {b"user.note": b"1"}
        with folder.stage(TEMPORARY, size=0) as staged:
            staged.set_metadata(Metadata(mode=0o640, attributes={}))
            staged.commit(b"file", replace=False)
        assert folder.attributes(b"file") == {}
        assert stat.S_IMODE(folder.stat(b"file").mode) == 0o640


def test_no_attributes_asked_for_leaves_those_there(storage: StorageHandler) -> None:
    put_with(storage, b"file", Metadata(attributes={b"user.note": b"1"}))
    with storage.open_folder(b"") as folder:
        folder.set_metadata(b"file", Metadata(mode=0o600))
        assert folder.attributes(b"file") == {b"user.note": b"1"}


def test_user_attributes_of_symlinks_are_named_as_lost(storage: StorageHandler) -> None:
    put(storage, b"target", b"")
    with storage.open_folder(b"") as folder:
        with folder.stage_symlink(TEMPORARY, b"target") as staged:
            lost = staged.set_metadata(Metadata(attributes={b"user.note": b"1"}))
            staged.commit(b"link", replace=False)
        assert lost == (attribute_field(b"user.note"),)
        assert folder.attributes(b"link") == folder.attributes(b"target") == {}


def test_attributes_of_nothing_are_not_found(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder, refused(ErrorKind.NOT_FOUND):
        folder.attributes(b"nothing")


# --------------------------------------------------------------------------------- holes


def put_sparse(storage: StorageHandler, name: bytes) -> None:
    """Data in the second of four mebibytes, holes around it."""
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=4 * MEBIBYTE) as staged:
        staged.write(memoryview(b"x" * MEBIBYTE), MEBIBYTE)
        staged.set_size(4 * MEBIBYTE)
        assert staged.size() == 4 * MEBIBYTE
        staged.commit(name, replace=False)


def test_holes_stay_holes_and_are_found_again(storage: StorageHandler) -> None:
    if not storage.capabilities.sparse:
        pytest.skip("this storage keeps no holes")
    put_sparse(storage, b"file")
    with storage.open_folder(b"") as folder, folder.open(b"file") as source:
        entry = source.stat()
        assert entry.size == 4 * MEBIBYTE
        assert entry.allocated_bytes < 2 * MEBIBYTE
        whole = [(MEBIBYTE, 2 * MEBIBYTE)]
        assert list(source.data_ranges(0, 4 * MEBIBYTE)) == whole
        middle = [(MEBIBYTE + 5, MEBIBYTE + 9)]
        assert list(source.data_ranges(MEBIBYTE + 5, MEBIBYTE + 9)) == middle
        assert list(source.data_ranges(0, MEBIBYTE)) == []
        assert list(source.data_ranges(3 * MEBIBYTE, 4 * MEBIBYTE)) == []
        content = content_of(source, buffer_bytes=MEBIBYTE)
    assert content == bytes(MEBIBYTE) + b"x" * MEBIBYTE + bytes(2 * MEBIBYTE)


def test_a_file_without_holes_is_one_range(storage: StorageHandler) -> None:
    put(storage, b"file", b"abc" * 5000)
    with storage.open_folder(b"") as folder, folder.open(b"file") as source:
        assert list(source.data_ranges(0, 15_000)) == [(0, 15_000)]
        assert list(source.data_ranges(100, 100)) == []


def test_what_is_read_after_the_cache_was_dropped_is_the_content(storage: StorageHandler) -> None:
    with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=3) as staged:
        staged.write(memoryview(b"abc"), 0)
        staged.drop_cache()
        assert content_of(staged) == b"abc"
        staged.abort()


# --------------------------------------------------------------------------------- hard links


def link(storage: StorageHandler, of_path: bytes, name: bytes, *, replace: bool = False) -> None:
    with (
        storage.open_folder(b"links", create=True) as folder,
        folder.stage_link(TEMPORARY, of_path) as staged,
    ):
        staged.commit(name, replace=replace)


def test_a_staged_link_becomes_a_further_name_of_the_file(ground: Ground) -> None:
    storage = ground.open()
    if not storage.capabilities.hard_links:
        pytest.skip("this storage keeps no hard links")
    put(storage, b"folder/file", b"abc")
    link(storage, b"folder/file", b"other")
    with storage.open_folder(b"links") as folder:
        other = folder.stat(b"other")
        assert folder.staged_names() == []
    with storage.open_folder(b"folder") as folder:
        file = folder.stat(b"file")
    assert (other.device, other.identity, other.links) == (file.device, file.identity, 2)
    assert read(storage, b"links/other") == b"abc"


def test_a_link_is_staged_over_what_was_left_and_can_be_aborted(storage: StorageHandler) -> None:
    if not storage.capabilities.hard_links:
        pytest.skip("this storage keeps no hard links")
    put(storage, b"file", b"abc")
    with storage.open_folder(b"") as folder:
        folder.stage(TEMPORARY, size=0).close()
        with folder.stage_link(TEMPORARY, b"file") as staged:
            assert staged.size() == 3
            with refused(ErrorKind.EXISTS):
                staged.commit(b"file", replace=False)
            staged.abort()
        assert folder.staged_names() == []
    assert read(storage, b"file") == b"abc"


def test_a_link_over_another_name_of_its_own_file_leaves_nothing(storage: StorageHandler) -> None:
    if not storage.capabilities.hard_links:
        pytest.skip("this storage keeps no hard links")
    put(storage, b"file", b"abc")
    for _ in range(2):
        link(storage, b"file", b"other", replace=True)
    with storage.open_folder(b"links") as folder:
        assert folder.staged_names() == []
    assert listed(storage, b"links") == [b"other"]


def test_links_of_what_is_no_file_are_refused(storage: StorageHandler) -> None:
    if not storage.capabilities.hard_links:
        pytest.skip("this storage keeps no hard links")
    put_symlink(storage, b"symlink", b"nowhere")
    storage.open_folder(b"folder", create=True).close()
    with storage.open_folder(b"") as folder:
        for path, kind in (
            (b"nothing", ErrorKind.NOT_FOUND),
            (b"nowhere/nothing", ErrorKind.NOT_FOUND),
            (b"folder", ErrorKind.SPECIAL_FILE),
            (b"symlink", ErrorKind.SPECIAL_FILE),
            (b"", ErrorKind.NAME_INVALID),
        ):
            with refused(kind):
                folder.stage_link(TEMPORARY, path)
        with refused(ErrorKind.NAME_INVALID):
            folder.stage_link(b"plain", b"symlink")
        assert folder.staged_names() == []
