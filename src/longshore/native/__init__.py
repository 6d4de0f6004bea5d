"""Inner loops in C: listing a folder, copying its small files, MD5 of several contents at once.

The Python path does the same.

The module `_loops` is built when Longshore is installed, if there is a C compiler. Its hashes come
from the system's libxxhash, so that files are only copied by it where that library is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

REVISION = 6
"""Of the functions of `_loops`; one that was built from other sources is not used."""

if TYPE_CHECKING:
    from longshore.native import _loops as loops

    why_not: str
    can_list: bool
    can_copy: bool
    can_hash: bool
else:
    try:
        import longshore.native._loops as loops

        is_current = loops.REVISION == REVISION
        why_not = "" if is_current else "they were built from other sources"
    except ImportError as error:
        loops, is_current = None, False
        is_missing = isinstance(error, ModuleNotFoundError)
        why_not = "there was no C compiler at installation" if is_missing else str(error)
    can_list = can_hash = is_current
    can_copy = is_current and loops.has_hash()
    if can_list and not can_copy:
        why_not = "there is no libxxhash 0.8, so files are copied without them"


def state() -> str:
    """Whether the loops are used here, in one sentence."""
    if can_copy:
        return "The native inner loops are built."
    return f"Without native inner loops, slower with small files: {why_not}."
