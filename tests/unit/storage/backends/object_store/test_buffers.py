"""Memory that is used again."""

from __future__ import annotations

from longshore.storage.backends.object_store.buffers import KEPT, KEPT_BYTES_MAXIMUM, Buffers
from longshore.storage.backends.object_store.multipart import PART_BYTES
from longshore.storage.handler import TEMPORARY_PREFIX
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

SIZE = 8 * 1024 * 1024
NAME = TEMPORARY_PREFIX + b"1"


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


def test_storages_of_one_process_keep_their_memory_together() -> None:
    """Each execution has storages of its own, and a mover holds those of several open."""
    most = KEPT_BYTES_MAXIMUM // PART_BYTES
    content = b"x" * KEPT_BYTES_MAXIMUM
    for _ in range(3):
        storage = open_memory(MemoryClient())
        with storage.open_folder(b"") as folder, folder.stage(NAME, size=len(content)) as file:
            file.write(memoryview(content), 0)
    used = [each for each in (KEPT.take(PART_BYTES) for _ in range(3 * most)) if each[0]]
    assert 0 < len(used) <= most
