"""The choice of copies, of whatever copies there are."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.copy_choice import (
    REACH,
    Reach,
    StoredCopy,
    expected_hash,
    is_same_content,
    newest_content,
)
from longshore.domain.storage import StorageKind, StorageReference

BEGUN = 100

NAS = StorageReference(StorageKind.NAS_SHARE, 1)
CLOUD = StorageReference(StorageKind.CLOUD_BUCKET, 1)
TAPE = StorageReference(StorageKind.TAPE, 1)

CONTENTS = st.sampled_from([(3, 5, b"a"), (3, 5, b"b"), (4, 5, b"c"), (3, 6, b"a")])
"""(size, time, hash): two of one size and time, and one with another time."""


@st.composite
def copies(draw: st.DrawFn) -> StoredCopy:
    size, mtime_ns, digest = draw(CONTENTS)
    kind = draw(st.sampled_from([*REACH]))
    return StoredCopy(
        storage=StorageReference(kind, draw(st.integers(1, 2))),
        path=draw(st.sampled_from([b"a", b"b/a", b"b/b"])),
        size=size,
        mtime_ns=mtime_ns,
        execution_id=draw(st.integers(1, 3)),
        written_ns=draw(st.integers(1, 2 * BEGUN)),
        xxh3_128=digest if draw(st.booleans()) else b"",
    )


def place_of(copy: StoredCopy) -> tuple[StorageReference, bytes]:
    return copy.storage, copy.path


SEVERAL = st.lists(copies(), unique_by=place_of, max_size=12)


def one(storage: StorageReference, path: bytes = b"a", **known: object) -> StoredCopy:
    copy = StoredCopy(
        storage=storage, path=path, size=3, mtime_ns=5, execution_id=1, written_ns=1, xxh3_128=b"a"
    )
    return replace(copy, **known)  # type: ignore[arg-type]


@given(SEVERAL, st.randoms())
def test_the_order_in_which_copies_are_found_changes_nothing(
    found: list[StoredCopy], random: Random
) -> None:
    expected = newest_content(found, BEGUN)
    random.shuffle(found)
    assert newest_content(found, BEGUN) == expected


@given(SEVERAL)
def test_some_copy_is_chosen_of_every_file_that_has_one(found: list[StoredCopy]) -> None:
    chosen = newest_content(found, BEGUN)
    assert bool(chosen) == bool(found)
    assert len(set(map(place_of, chosen))) == len(chosen)
    assert set(map(place_of, chosen)) <= set(map(place_of, found))


@given(SEVERAL)
def test_all_that_is_chosen_has_the_content_of_the_newest(found: list[StoredCopy]) -> None:
    chosen = newest_content(found, BEGUN)
    if not chosen:
        return
    settled = [copy for copy in found if copy.written_ns < BEGUN] or found
    latest = max(copy.execution_id for copy in settled)
    newest = [copy for copy in chosen if copy.execution_id == latest]
    assert newest, "the latest execution has written one of them"
    assert {copy.size for copy in chosen} == {newest[0].size}
    assert any(all(is_same_content(copy, each) for copy in chosen) for each in newest)
    left = [copy for copy in settled if copy not in chosen]
    assert not any(all(is_same_content(copy, each) for each in chosen) for copy in left)


@given(SEVERAL)
def test_a_nearer_copy_comes_before_one_farther_away(found: list[StoredCopy]) -> None:
    chosen = newest_content(found, BEGUN)
    for time in {copy.mtime_ns for copy in chosen}:
        reached = [REACH[copy.storage.kind] for copy in chosen if copy.mtime_ns == time]
        assert reached == sorted(reached)


@given(SEVERAL)
def test_what_is_written_meanwhile_counts_only_where_there_is_nothing_else(
    found: list[StoredCopy],
) -> None:
    chosen = newest_content(found, BEGUN)
    if any(copy.written_ns < BEGUN for copy in found):
        assert all(copy.written_ns < BEGUN for copy in chosen)


def test_the_order_is_nas_then_cloud_then_mounted_tape_then_tape_in_its_library() -> None:
    assert list(Reach) == sorted(
        [Reach.NAS, Reach.CLOUD, Reach.MOUNTED_TAPE, Reach.TAPE_IN_LIBRARY]
    )
    found = [one(TAPE, execution_id=3), one(CLOUD, execution_id=2), one(NAS)]
    assert newest_content(found, BEGUN) == [found[2], found[1], found[0]]


def test_newer_content_wins_over_a_nearer_storage() -> None:
    older, newer = one(NAS), one(CLOUD, execution_id=2, xxh3_128=b"b")
    assert newest_content([older, newer], BEGUN) == [newer]


def test_of_equal_bytes_those_with_the_times_of_the_newest_come_first() -> None:
    older, newer = one(NAS), one(CLOUD, execution_id=2, mtime_ns=6)
    assert newest_content([older, newer], BEGUN) == [newer, older]


def test_without_a_checksum_in_common_size_and_time_say_what_is_the_same() -> None:
    bare = replace(one(NAS), xxh3_128=b"")
    assert is_same_content(bare, one(CLOUD))
    assert not is_same_content(bare, one(CLOUD, mtime_ns=6))
    assert not is_same_content(bare, one(CLOUD, size=4))
    with_md5 = replace(bare, checksum_kind="md5", checksum=b"m")
    assert is_same_content(with_md5, replace(with_md5, mtime_ns=6))
    assert not is_same_content(with_md5, replace(with_md5, checksum=b"n"))


def test_the_content_is_checked_by_the_hash_of_any_copy_that_has_one() -> None:
    bare = replace(one(NAS), xxh3_128=b"")
    assert expected_hash([bare, one(CLOUD)]) == b"a"
    assert expected_hash([bare]) == b""
