"""How big files are divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.segments import SEGMENT_BYTES, SEGMENTS_MAXIMUM, Layout, segment_bytes

MIB, TIB = 1024**2, 1024**4


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 64 * MIB),
        (SEGMENTS_MAXIMUM * SEGMENT_BYTES, 64 * MIB),
        (SEGMENTS_MAXIMUM * SEGMENT_BYTES + 1, 128 * MIB),
        (5 * TIB, 1024 * MIB),
    ],
)
def test_segments_grow_only_where_there_would_be_too_many(size: int, expected: int) -> None:
    assert segment_bytes(size) == expected


@given(st.integers(1, 50 * TIB), st.integers(10, 30).map(lambda power: 2**power))
def test_segments_cover_the_file_without_gap_and_are_not_too_many(size: int, smallest: int) -> None:
    layout = Layout(size, segment_bytes(size, smallest))
    assert 1 <= layout.count <= SEGMENTS_MAXIMUM
    assert layout.bounds(0)[0] == 0
    assert layout.bounds(layout.count - 1)[1] == size
    middle = layout.count // 2
    assert layout.bounds(middle)[0] == middle * layout.segment_bytes
    ratio = layout.segment_bytes // smallest
    assert ratio * smallest == layout.segment_bytes
    assert ratio & (ratio - 1) == 0
