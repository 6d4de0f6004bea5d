"""Paths inside a storage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.paths import (
    NAME_BYTES_MAXIMUM,
    PATH_BYTES_MAXIMUM,
    InvalidPath,
    from_text,
    join,
    names,
    parse,
    split,
    to_text,
)

NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: not set(b"/\0") & set(name) and name not in {b".", b".."}
)
PATHS = st.lists(NAMES, max_size=8).map(b"/".join)
ALMOST_PATHS = st.lists(
    st.sampled_from([b"/", b"//", b".", b"..", b"a", b"\0", b"\xff", b"x" * 256, b"\n"]), max_size=9
).map(b"".join)


@given(PATHS)
def test_a_good_path_is_parsed_as_itself(path: bytes) -> None:
    assert parse(path) == path


@given(path=PATHS, before=st.sampled_from([b"", b"/", b"./", b"//./"]))
def test_what_means_nothing_is_dropped(path: bytes, before: bytes) -> None:
    assert parse(before + path + b"/") == path
    assert parse(b"/./".join(names(path))) == path


@given(ALMOST_PATHS | st.binary(max_size=40))
def test_whatever_is_parsed_stays_inside_and_is_parsed_the_same_again(raw: bytes) -> None:
    try:
        path = parse(raw)
    except InvalidPath:
        return
    assert parse(path) == path
    assert b"\0" not in path
    assert all(0 < len(name) <= NAME_BYTES_MAXIMUM for name in names(path))
    assert not {b".", b".."} & set(names(path))


@given(PATHS, PATHS)
def test_joined_paths_have_the_names_of_both(one: bytes, other: bytes) -> None:
    assert names(join(one, other)) == names(one) + names(other)


@given(PATHS)
def test_split_takes_the_last_name_off_and_join_puts_it_back(path: bytes) -> None:
    parent, name = split(path)
    assert join(parent, name) == path
    assert names(parent) == names(path)[:-1]
    assert b"/" not in name


def test_the_root_has_no_names_and_is_its_own_parent() -> None:
    assert names(b"") == []
    assert split(b"") == (b"", b"")
    assert join() == join(b"", b"") == b""


@pytest.mark.parametrize(
    "raw", [b"..", b"a/..", b"../a", b"a/../b", b"/..", b"a\0", b"x" * 256, b"a/" * 40_000]
)
def test_paths_that_lead_out_or_fit_nowhere_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidPath):
        parse(raw)


def test_limits_are_met_exactly() -> None:
    name = b"x" * NAME_BYTES_MAXIMUM
    assert parse(name) == name
    longest = (name + b"/") * (PATH_BYTES_MAXIMUM // (NAME_BYTES_MAXIMUM + 1))
    assert len(longest) == PATH_BYTES_MAXIMUM
    assert parse(longest) == longest[:-1]


@given(st.text())
def test_valid_text_survives_as_bytes(text: str) -> None:
    assert to_text(from_text(text)) == text


@given(st.binary())
def test_any_bytes_can_be_shown(path: bytes) -> None:
    to_text(path).encode("utf-8")


def test_lone_surrogates_are_no_text() -> None:
    with pytest.raises(InvalidPath):
        from_text("\udcff")
