"""Keys of paths: short numbers for the indexes, where a whole path would be too long."""

from __future__ import annotations

from collections.abc import Iterable

import xxhash


def path_key(path: bytes) -> int:
    """A number by which an index finds the path: small, and near those of the same folder.

    The upper half is the folder's hash, the lower half the name's, so that the copies of a folder
    share a few pages of the index however big the catalogue is.
    """
    (key,) = path_keys((path,))
    return key


def path_keys(paths: Iterable[bytes]) -> list[int]:
    """The keys of many paths: those of one folder mostly come one behind the other."""
    digest = xxhash.xxh32_intdigest
    known, upper = None, 0
    keys = []
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        if folder != known:
            known, upper = folder, digest(folder) << 32
            if upper >= 1 << 63:
                upper -= 1 << 64
        keys.append(upper | digest(name))
    return keys
