"""What became of each file of an execution."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """The end of one file in one execution."""

    COPIED = 1
    IDENTICAL = 2  # the destination already held the same file
    KEPT = 3  # conflict rule `ignore`: a different destination file was left as it is
    RENAMED = 4  # copied under another name, because of the conflict rule `rename`
    OVERWRITTEN = 5  # copied over a different destination file
    REFUSED = 6  # a callback left it out
    FAILED = 7
    ERASED = 8
    FOUND = 9  # a scan has seen it
    VERIFIED = 10  # read again, and as it was recorded
    FREED = 11  # dropped from a container's cache; its archived copies stay


PROCESSED = frozenset(Outcome) - {Outcome.REFUSED, Outcome.FAILED}
"""Outcomes that count in `processed_files` and `processed_size`."""

WRITTEN = frozenset({Outcome.COPIED, Outcome.RENAMED, Outcome.OVERWRITTEN})
"""Outcomes after which a new copy exists at the destination."""
