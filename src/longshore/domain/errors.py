"""Errors, classed by their consequence.

About one file: a value (`FileFailure`) that travels with the file. About the run: an exception.
Backends raise `StorageError` with the retry class only they can know; the pipeline turns it into a
`FileFailure` unless the whole storage is gone (`StorageUnavailable`).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class LongshoreError(Exception):
    """The root of every error that Longshore raises itself."""


class RetryClass(StrEnum):
    """When the same call may succeed."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class ErrorKind(StrEnum):
    """What went wrong with one file, in words a report can be filtered by."""

    NOT_FOUND = "not_found"
    PERMISSION = "permission"
    EXISTS = "exists"
    NOT_A_FOLDER = "not_a_folder"
    IS_A_FOLDER = "is_a_folder"
    NOT_EMPTY = "not_empty"
    NO_SPACE = "no_space"
    READ_ONLY = "read_only"
    NAME_INVALID = "name_invalid"
    INPUT_OUTPUT = "input_output"
    STALE = "stale"
    TIMEOUT = "timeout"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    CHANGED_WHILE_READ = "changed_while_read"
    SHORT_READ = "short_read"
    SPECIAL_FILE = "special_file"
    UNSUPPORTED = "unsupported"
    CALLBACK = "callback"
    MOVER_DIED = "mover_died"
    UNKNOWN = "unknown"


UNSOUND = frozenset(
    {
        ErrorKind.NOT_FOUND,
        ErrorKind.IS_A_FOLDER,
        ErrorKind.SPECIAL_FILE,
        ErrorKind.CHECKSUM_MISMATCH,
        ErrorKind.SHORT_READ,
    }
)
"""Kinds that say of an archived copy that it is not, or not there as, what was written."""


class Stage(StrEnum):
    """The step of the pipeline in which something happened."""

    SCAN = "scan"
    FILTER = "filter"
    PLAN = "plan"
    TRANSFER = "transfer"
    VERIFY = "verify"
    PUBLISH = "publish"
    RECORD = "record"
    RELEASE = "release"


class Side(IntEnum):
    """Which end of a transfer an error belongs to."""

    NONE = 0
    SOURCE = 1
    DESTINATION = 2


class FileFailure(msgspec.Struct, frozen=True, array_like=True):
    """Why one file was not processed. `text` names the deed and the cause, never a secret."""

    kind: ErrorKind
    stage: Stage
    side: Side
    text: str


class StorageError(LongshoreError):
    """A storage refused one deed on one path."""

    after_seconds: float = 0.0
    """How long the storage asks to wait before another attempt; 0 where it does not say."""

    def __init__(
        self, kind: ErrorKind, retry: RetryClass, deed: str, path: bytes, cause: str
    ) -> None:
        super().__init__(f"{deed} {show(path)}: {cause}")
        self.kind = kind
        self.retry = retry
        self.path = path


class StorageUnavailable(StorageError):
    """The whole storage is gone, full or read-only: no other file will do better."""


def show(path: bytes) -> str:
    """The path as text for people: invalid UTF-8 and control characters are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
