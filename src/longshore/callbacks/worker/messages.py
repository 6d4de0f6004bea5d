"""The typed bodies of the frames: what msgpack is allowed to decode into, on both ends.

The server imports these only to encode requests and to decode replies into exactly these shapes.
Text limits are checked by the receiver, since a script may have replaced the sender's code.
"""

import msgspec


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
