"""MD5 of contents: several at once where the native loops are there, which takes less than half."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from longshore import native
from longshore.storage.backends.object_store.client import Data

TOGETHER: Final = native.loops.MD5_LANES if native.can_hash else 1
"""Contents that it pays to collect; each of them waits for the others."""

Each = TypeVar("Each")


def md5_of(data: Data) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def md5s_of(contents: Sequence[Data]) -> list[bytes]:
    """The MD5 of each content."""
    if TOGETHER == 1 or len(contents) < 2:  # one alone is slower in a lane than by itself
        return [md5_of(each) for each in contents]
    found: list[bytes] = []
    for start in range(0, len(contents), TOGETHER):
        found += native.loops.md5_together(*contents[start : start + TOGETHER])
    return found


def with_md5(
    items: Iterable[Each], content_of: Callable[[Each], Data]
) -> Iterator[tuple[Each, bytes]]:
    """Each of the items with the MD5 of its content; as many as pay off are taken ahead."""
    rest = iter(items)
    while some := list(islice(rest, TOGETHER)):
        yield from zip(some, md5s_of([content_of(each) for each in some]), strict=True)
