from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.manifest import (
    COLUMNS,
    COMMA_SEPARATED,
    FORMAT,
    JSON_LINES,
    VERSION,
    FileRecord,
    Header,
    InvalidManifest,
    Layout,
    escape,
    unescape,
)
from longshore.domain.manifest_chain import Problem, Summary, first_block, verified, written

LAYOUTS = [pytest.param(JSON_LINES, id="jsonl"), pytest.param(COMMA_SEPARATED, id="csv")]

HEADER = Header(
    format=FORMAT,
    version=VERSION,
    software="longshore 1",
    final=True,
    full=True,
    execution={"id": "1", "name": 'of "Åse", 1'},
    sources=[{"path": "/"}],
    destinations=[{"path": "/"}],
    facts={},
)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
numbers = st.integers(0, 2**63 - 1)
records = st.builds(
    FileRecord,
    number=numbers,
    source=st.none() | st.integers(0, 9),
    path=st.binary(max_size=12).map(lambda path: "/" + escape(path)),
    target_path=st.none() | st.binary(max_size=12).map(lambda path: "/" + escape(path)),
    kind=st.sampled_from(["file", "symlink"]),
    outcome=st.sampled_from(["copied", "failed"]),
    size=numbers,
    mtime_ns=st.integers(-(2**63), 2**63 - 1),
    checksum=st.none() | st.binary(min_size=1, max_size=4).map(bytes.hex),
    error_text=st.none() | texts,
    attempts=st.integers(1, 4),
    finished_ns=numbers,
)
manifests = st.lists(st.lists(records, min_size=1, max_size=3), max_size=3)
layouts = st.sampled_from([JSON_LINES, COMMA_SEPARATED])


def lines_of(layout: Layout, blocks: list[list[FileRecord]]) -> list[bytes]:
    return b"".join(written(layout, HEADER, blocks)).splitlines(keepends=True)


def has_problem(lines: list[bytes]) -> bool:
    try:
        return any(isinstance(found, Problem) for found in verified(lines))
    except InvalidManifest:
        return True


def record(number: int, **more: object) -> FileRecord:
    given = {
        "number": number, "path": f"/{number}", "kind": "file", "outcome": "copied", "size": 7,
        "mtime_ns": 1, "attempts": 1, "finished_ns": 2,
    }  # fmt: skip
    return FileRecord(**(given | more))  # type: ignore[arg-type]


@given(st.binary())
def test_an_escaped_path_gives_back_its_bytes_and_stays_on_one_line(path: bytes) -> None:
    text = escape(path)
    assert unescape(text) == path
    assert len(text.splitlines()) <= 1
    assert json.loads(json.dumps(text)) == text


def test_ordinary_paths_stay_readable() -> None:
    assert escape("Ünïcode/日本 = 1,2.txt".encode()) == "Ünïcode/日本 = 1,2.txt"
    assert escape(b"a\\b\xff\n") == "a\\\\b\\xff\\x0a"


@pytest.mark.parametrize("text", ["\\", "a\\xZZ", "\\x1", "\\n", "\ud800"])
def test_text_that_no_path_escapes_to_is_refused(text: str) -> None:
    with pytest.raises(InvalidManifest):
        unescape(text)


@given(layouts, manifests)
def test_what_was_written_is_read_back(layout: Layout, blocks: list[list[FileRecord]]) -> None:
    lines = lines_of(layout, blocks)
    header, *found, summary = verified(lines)
    assert header == HEADER
    assert found == [record for block in blocks for record in block]
    assert isinstance(summary, Summary)
    assert (summary.records, summary.blocks) == (len(found), len(blocks) + 2)
    assert summary.sha256 in lines[-1].decode()


@given(layouts, manifests, st.data())
def test_any_changed_byte_is_found(
    layout: Layout, blocks: list[list[FileRecord]], data: st.DataObject
) -> None:
    whole = bytearray(b"".join(written(layout, HEADER, blocks)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    assert has_problem(bytes(whole).splitlines(keepends=True))


@given(layouts, manifests, st.data())
def test_any_cut_is_found(
    layout: Layout, blocks: list[list[FileRecord]], data: st.DataObject
) -> None:
    whole = b"".join(written(layout, HEADER, blocks))
    kept = data.draw(st.integers(0, len(whole) - 1))
    assert has_problem(whole[:kept].splitlines(keepends=True))


@given(layouts, manifests, st.data())
def test_any_removed_added_or_swapped_line_is_found(
    layout: Layout, blocks: list[list[FileRecord]], data: st.DataObject
) -> None:
    lines = lines_of(layout, blocks)
    place = st.integers(0, len(lines) - 1)
    one, other = data.draw(place), data.draw(place)
    assert has_problem(lines[:one] + lines[one + 1 :])
    assert has_problem([*lines[:one], lines[other], *lines[one:]])
    assert has_problem([*lines, lines[one]])
    if lines[one] != lines[other]:
        lines[one], lines[other] = lines[other], lines[one]
        assert has_problem(lines)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_problem_names_its_block_and_only_that(layout: Layout) -> None:
    blocks = [[record(10 * block + place) for place in range(5)] for block in range(4)]
    lines = lines_of(layout, blocks)
    place = next(i for i, line in enumerate(lines) if b"/12" in line)
    lines[place] = lines[place].replace(b"/12", b"/13")
    problems = [found.text for found in verified(lines) if isinstance(found, Problem)]
    assert problems == ["block 2 (records 6 to 10) is not what was written"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_removed_record_is_found_in_its_block_and_in_the_sums(layout: Layout) -> None:
    lines = lines_of(layout, [[record(1), record(2)], [record(3)]])
    (place,) = (i for i, line in enumerate(lines) if b"/2" in line)
    del lines[place]
    problems = [found.text for found in verified(lines) if isinstance(found, Problem)]
    assert problems == [
        "block 1 (records 1 to 1) is not what was written",
        "the end does not fit the records",
    ]


def test_a_manifest_of_another_version_is_refused() -> None:
    (first, *rest) = lines_of(JSON_LINES, [])
    with pytest.raises(InvalidManifest, match="version 9"):
        list(verified([first.replace(b'"version":1', b'"version":9'), *rest]))


@pytest.mark.parametrize("first", [b"", b"hello\n", b"#\n", b'{"type":"block"}\n', b"\xff\xfe\n"])
def test_what_is_no_manifest_is_refused(first: bytes) -> None:
    with pytest.raises(InvalidManifest, match="no manifest"):
        list(verified([first]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_first_block_is_known_before_the_records(layout: Layout) -> None:
    whole = b"".join(written(layout, HEADER, [[record(1)]]))
    assert first_block(layout, HEADER).sha256.encode() in whole


def test_pieces_come_one_by_one() -> None:
    """Writing never asks for more than one block ahead, so memory stays flat."""
    asked: list[int] = []

    def blocks() -> Iterator[list[FileRecord]]:
        for number in range(3):
            asked.append(number)
            yield [record(number)]

    pieces = written(JSON_LINES, HEADER, blocks())
    next(pieces)
    assert asked == []
    next(pieces)
    assert asked == [0]


def test_columns_are_those_of_the_record_in_order() -> None:
    assert COLUMNS[:3] == ("number", "source", "destination")
    assert b"".join(written(COMMA_SEPARATED, HEADER, [])).splitlines()[1].decode() == ",".join(
        COLUMNS
    )
