"""Metadata of files on objects, and of objects that others wrote."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.entry import EntryKind
from longshore.storage.backends.object_store.client import Abilities
from longshore.storage.backends.object_store.metadata import (
    FileMetadata,
    decode,
    decode_attributes,
    encode,
    size_of,
)
from longshore.storage.handler import Metadata, attribute_field

LIMITS = Abilities()
ACCESS = b"system.posix_acl_access"
TIMES = st.integers(-(1 << 62), 1 << 62)
OWNERS = st.integers(0, (1 << 32) - 2)
ATTRIBUTE_NAMES = st.one_of(
    st.from_regex(rb"user\.[a-z0-9-]{1,12}", fullmatch=True),
    st.binary(min_size=1, max_size=20).map(lambda name: b"user." + name),
)


@given(st.sampled_from(EntryKind), st.integers(0, 0o7777), OWNERS, OWNERS, TIMES, TIMES)
def test_what_is_set_comes_back(
    kind: EntryKind, mode: int, uid: int, gid: int, mtime_ns: int, atime_ns: int
) -> None:
    if kind is EntryKind.SPECIAL:
        return
    wanted = Metadata(mode, uid, gid, mtime_ns, atime_ns)
    kept, lost = encode(wanted, kind, before={}, limits=LIMITS)
    found = decode(kept)
    assert lost == ()
    assert found.kind() is kind
    assert stat.S_IMODE(found.full_mode(kind)) == mode
    assert (found.uid, found.gid) == (uid, gid)
    assert (found.mtime_ns, found.atime_ns) == (mtime_ns, atime_ns)
    assert all(value.isascii() and value.isprintable() for value in kept.values())


def test_the_time_of_change_is_told_and_never_lost() -> None:
    kept, lost = encode(Metadata(ctime_ns=5), EntryKind.FILE, before={}, limits=LIMITS)
    assert (kept, lost) == ({"ctime": "0.000000005"}, ())
    assert decode(kept).ctime_ns == 5
    beyond = Metadata(ctime_ns=1 << 100)
    assert encode(beyond, EntryKind.FILE, before={}, limits=LIMITS) == ({}, ())


@given(
    st.dictionaries(ATTRIBUTE_NAMES, st.binary(max_size=600), max_size=6),
    st.sampled_from([64, 256, 2048]),
)
def test_attributes_come_back_or_are_named(
    attributes: dict[bytes, bytes], value_bytes_maximum: int
) -> None:
    limits = Abilities(metadata_value_bytes_maximum=value_bytes_maximum)
    wanted = Metadata(attributes=attributes)
    kept, lost = encode(wanted, EntryKind.FILE, before={}, limits=limits)
    found = decode_attributes(kept)
    assert {attribute_field(name) for name in attributes.keys() - found.keys()} == set(lost)
    assert all(attributes[name] == value for name, value in found.items())
    assert size_of(kept) <= limits.metadata_bytes_maximum
    assert all(len(value) <= value_bytes_maximum for value in kept.values())


@given(st.binary(max_size=600), st.binary(max_size=600))
def test_a_later_value_leaves_nothing_of_the_earlier(first: bytes, second: bytes) -> None:
    limits = Abilities(metadata_value_bytes_maximum=64)
    kept: dict[str, str] = {}
    for value in (first, second):
        wanted = Metadata(attributes={b"user.note": value})
        kept, _ = encode(wanted, EntryKind.FILE, before=kept, limits=limits)
    assert decode_attributes(kept) == {b"user.note": second}


def test_keys_of_other_programs_stay() -> None:
    before = {"s3cmd-attrs": "x", "mode": "100600", "custom-a": "1"}
    kept, lost = encode(
        Metadata(uid=5, attributes={b"user.b": b"2"}), EntryKind.FILE, before=before, limits=LIMITS
    )
    assert kept == before | {"uid": "5", "custom-b": "2"}
    assert lost == ()


def test_access_lists_that_are_not_wanted_any_more_are_taken_away() -> None:
    with_list, _ = encode(
        Metadata(attributes={ACCESS: b"list"}), EntryKind.FILE, before={}, limits=LIMITS
    )
    assert decode_attributes(with_list) == {ACCESS: b"list"}
    without, _ = encode(
        Metadata(attributes={b"user.a": b"1"}), EntryKind.FILE, before=with_list, limits=LIMITS
    )
    assert decode_attributes(without) == {b"user.a": b"1"}


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"mode": "100644"}, FileMetadata(mode=0o100644)),  # rclone
        ({"mode": "33188", "mtime": "1700000000"}, None),  # s3fs
        ({"mode": "41471"}, FileMetadata(mode=0o120777)),  # a link of s3fs
        ({"mode": "16877"}, FileMetadata(mode=0o040755)),  # a folder of s3fs
        ({"mode": "041777"}, FileMetadata(mode=0o041777)),
        ({"mode": "644"}, FileMetadata(mode=0o644)),
        ({"mtime": "1700000000.5"}, FileMetadata(mtime_ns=1_700_000_000_500_000_000)),
        ({"mtime": "1700000000.1234567899"}, FileMetadata(mtime_ns=1_700_000_000_123_456_789)),
        ({"mtime": "-1.250000000"}, FileMetadata(mtime_ns=-1_250_000_000)),
        ({"mode": "rwx", "uid": "root", "gid": "-1", "mtime": "today"}, FileMetadata()),
        ({"mode": "9999999", "uid": "99999999999"}, FileMetadata()),
    ],
)
def test_metadata_of_others_are_understood(
    metadata: dict[str, str], found: FileMetadata | None
) -> None:
    expected = found or FileMetadata(mode=0o100644, mtime_ns=1_700_000_000_000_000_000)
    assert decode(metadata) == expected


def test_an_object_that_says_nothing_is_a_readable_file() -> None:
    found = decode({})
    assert found.kind() is EntryKind.FILE
    assert found.full_mode(EntryKind.FILE) == 0o100644
