"""Names and pieces of keys: every name has one piece, every piece one name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.storage.backends.object_store.keys import (
    FOLDER_MARK,
    KeyRules,
    meant_folder,
    name_of,
    piece_of,
    shown_folder,
)

STRICT = KeyRules(
    escaped=frozenset(map(chr, [*range(0x20), 0x7F])) | {"\\"}, escaped_at_end=frozenset(".")
)
RULES = [KeyRules(), KeyRules(escaped=frozenset()), STRICT]

# Random bytes hardly ever look like an escaped form: the marks are mixed in.
BITS = st.sampled_from(
    [*b"!bytes! !key! !folder! !21 !FF !0A ! . .. a \xff \xc3\xa9 \xc3 \\".split(), b" ", b"\n"]
)
NAMES = st.one_of(
    st.binary(min_size=1, max_size=40), st.lists(BITS, min_size=1, max_size=6).map(b"".join)
).filter(lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."})
PIECES = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=40),
    st.lists(BITS.filter(lambda bit: bit not in {b"\xff", b"\xc3"}), max_size=6).map(
        lambda bits: b"".join(bits).decode()
    ),
)


@pytest.mark.parametrize("rules", RULES)
@given(name=NAMES)
def test_a_name_comes_back_from_its_piece(rules: KeyRules, name: bytes) -> None:
    piece = piece_of(name, rules)
    assert name_of(piece, rules) == name
    assert "/" not in piece


@pytest.mark.parametrize("rules", RULES)
@given(piece=PIECES)
def test_a_piece_comes_back_from_its_name(rules: KeyRules, piece: str) -> None:
    name = name_of(piece, rules)
    assert piece_of(name, rules) == piece
    assert name not in {b"", b".", b".."}
    assert b"/" not in name


@pytest.mark.parametrize("rules", RULES)
@given(name=NAMES)
def test_no_piece_has_what_the_provider_cannot_bear(rules: KeyRules, name: bytes) -> None:
    if name.endswith(b"!key!"):
        return  # such a name may stand for a key that is there in spite of the rules
    piece = piece_of(name, rules)
    assert rules.escaped.isdisjoint(piece)
    assert piece[-1] not in rules.escaped_at_end


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        (b"plain name (1).txt", "plain name (1).txt"),
        ("Ünïcödé 🐋".encode(), "Ünïcödé 🐋"),
        (b"caf\xe9", "!bytes!caf!E9"),
        (b"a\nb", "!bytes!a!0Ab"),
        (b"!bytes!caf!E9", "!bytes!!21bytes!21caf!21E9"),
        (b"!bytes!nothing", "!bytes!nothing"),
        (b"!key!", ""),
        (b"..!key!", ".."),
        (b"..!key!!key!", "..!key!"),
        (b"file!key!", "file!key!"),
    ],
)
def test_the_documented_forms(name: bytes, piece: str) -> None:
    assert piece_of(name) == piece
    assert name_of(piece) == name


@given(
    objects=st.frozensets(st.integers(0, 4).map(lambda n: b"x" + FOLDER_MARK * n)),
    marks=st.integers(0, 4),
)
def test_a_folder_comes_back_from_the_name_it_is_shown_by(
    objects: frozenset[bytes], marks: int
) -> None:
    folder = b"x" + FOLDER_MARK * marks
    shown = shown_folder(folder, objects.__contains__)
    assert shown not in objects
    assert meant_folder(shown, objects.__contains__) == folder


def test_a_folder_without_a_file_of_its_name_is_shown_as_it_is() -> None:
    assert shown_folder(b"x", lambda _: False) == b"x"
    assert shown_folder(b"x", {b"x"}.__contains__) == b"x!folder!"
