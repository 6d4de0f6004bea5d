"""MD5 of several contents at once is MD5."""

from __future__ import annotations

import hashlib
from random import Random

import pytest

from longshore import native
from longshore.native import loops
from longshore.storage.backends.object_store.hashing import md5s_of

EDGES = (0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 121, 127, 128, 129, 4096, 100_001)


@pytest.fixture(autouse=True)
def hashing() -> None:
    if not native.can_hash:
        pytest.skip(native.why_not)


@pytest.mark.without_loops
@pytest.mark.parametrize("seed", range(20))
def test_contents_of_any_lengths_have_the_digests_that_hashlib_gives(seed: int) -> None:
    chance = Random(seed)
    for _ in range(50):
        lengths = [chance.choice(EDGES) for _ in range(chance.randint(0, loops.MD5_LANES))]
        contents = [chance.randbytes(length) for length in lengths]
        assert loops.md5_together(*contents) == [hashlib.md5(each).digest() for each in contents]


@pytest.mark.without_loops
def test_more_contents_than_lanes_are_hashed_in_turns() -> None:
    contents = [bytes([number]) * 1000 * number for number in range(11)]
    assert md5s_of(contents) == [hashlib.md5(each).digest() for each in contents]


@pytest.mark.without_loops
def test_what_cannot_be_hashed_is_refused() -> None:
    with pytest.raises(TypeError):
        loops.md5_together(b"content", "text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most"):
        loops.md5_together(*[b""] * (loops.MD5_LANES + 1))
    with pytest.raises(BufferError):
        loops.md5_together(memoryview(b"every other")[::2])
