"""Memory that is used again."""

from __future__ import annotations

from longshore.storage.backends.object_store.buffers import KEPT_BYTES_MAXIMUM, Buffers

SIZE = 8 * 1024 * 1024


def test_a_buffer_is_used_again_for_the_same_size_only() -> None:
    buffers = Buffers()
    first = buffers.take(SIZE)
    buffers.give_back(first)
    assert buffers.take(SIZE - 1) is not first
    assert buffers.take(SIZE) is first
    assert buffers.take(SIZE) is not first


def test_so_many_bytes_are_kept_and_no_more() -> None:
    buffers = Buffers()
    taken = [buffers.take(SIZE) for _ in range(KEPT_BYTES_MAXIMUM // SIZE + 3)]
    for each in taken:
        buffers.give_back(each)
    again = [buffers.take(SIZE) for _ in taken]
    known = {id(each) for each in taken}
    assert sum(id(each) in known for each in again) == KEPT_BYTES_MAXIMUM // SIZE
