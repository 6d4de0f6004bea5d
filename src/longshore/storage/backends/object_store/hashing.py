"""MD5 of parts: several at once where the native loops are there, which takes less than half."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from longshore import native
from longshore.storage.backends.object_store.client import Data

TOGETHER: Final = native.loops.MD5_LANES if native.can_hash else 1
"""Contents that it pays to collect; each of them waits for the others."""


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
