"""The typed bodies of the frames: what msgpack is allowed to decode into, on both ends.

The server imports these only to encode requests and to decode replies into exactly these shapes.
Text limits are checked by the receiver, since a script may have replaced the sender's code.
"""

from typing import Final

import msgspec

NUMBERS: Final = ("mode", "uid", "gid", "size", "atime", "mtime", "ctime")
TIMES: Final = frozenset({"atime", "mtime", "ctime"})
FACTS: Final = ("path", *NUMBERS, "metadata")
"""What a script can ask about a file, as `docs/callbacks.md` names it; times in nanoseconds."""

NAME_END: Final = b"\0"
"""Stands between two names of a batch; a name that has it itself travels alone."""


class Load(msgspec.Struct, frozen=True, array_like=True):
    """The script and everything the worker has to know about its limits."""

    script: str
    task_id: int
    soft_timeout_seconds: float
    error_text_characters: int
    log_lines: int
    log_line_characters: int
    javascript_memory_bytes: int
    javascript_stack_bytes: int


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Some facts of some files, each fact a column; the answers to so many leave together.

    A fact that is not sent is None or missing among the numbers.
    """

    files: int
    group_files: int
    prefix: bytes  # of all paths
    names: bytes | None
    numbers: dict[str, list[int]]
    metadata: dict[int, dict[str, str]] | None  # by index, of the files that have any

    def paths(self, errors: str) -> list[str] | None:
        """The paths as text, with that handler for what is not UTF-8."""
        if self.names is None:
            return None
        prefix, end = self.prefix.decode("utf-8", errors), NAME_END.decode()
        names = self.names.decode("utf-8", errors)
        if self.files == 1:
            return [prefix + names]
        return (prefix + names.replace(end, end + prefix)).split(end)


class Invalid(msgspec.Struct, frozen=True, array_like=True):
    """Why a script cannot be loaded; line and column are 0 where nobody knows them."""

    message: str
    line: int
    column: int


class Ready(msgspec.Struct, frozen=True, array_like=True):
    """What the lock-down achieved, told before any script has arrived."""

    seccomp: bool
    landlock_abi: int
    uid_dropped: bool


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """One file without a decision: its index in the batch, the text, the line (0: unknown)."""

    index: int
    text: str
    line: int


class Trailer(msgspec.Struct, frozen=True, array_like=True):
    """What follows the answer bytes of an ANSWERS frame."""

    failures: list[Failure]
    log_lines: list[str]
    log_truncated: bool
