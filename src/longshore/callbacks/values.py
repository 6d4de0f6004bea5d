"""The plain values of a callback: a file to decide about, the answers, and why there is none."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec


class Language(enum.Enum):
    """The language of a script."""

    PYTHON = "python"
    JAVASCRIPT = "javascript"


class FileInfo(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file to decide about: its path in the source storage and what `stat` tells."""

    path: bytes
    mode: int
    uid: int
    gid: int
    size: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    metadata: dict[str, str] = {}


class Answer(enum.IntEnum):
    """What became of one question to a script."""

    REFUSED = 0
    ACCEPTED = 1
    ERROR = 2
    TIMED_OUT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFailure:
    """Why a script gave no answer for a file; the text is bounded and safe to print."""

    text: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The answers to one list of files.

    `answers` has one `Answer` per file, in order. `failures` has an entry for exactly those files
    whose answer is ERROR or TIMED_OUT. `log_lines` is what the script printed, as far as the limits
    let it through, and `log_truncated` says whether they cut something off.
    """

    answers: bytes
    failures: Mapping[int, ScriptFailure] = field(default_factory=dict)
    log_lines: tuple[str, ...] = ()
    log_truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDecisions(Decisions):
    """The common answers of several callbacks.

    `decided_by` names the callback that refused a file or failed on it; accepted files have none.
    """

    decided_by: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidScript:
    """Why a script cannot be used; line and column count from 1 and are None where unknown."""

    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = [
            f"{name} {number}"
            for name, number in (("line", self.line), ("column", self.column))
            if number is not None
        ]
        return f"{self.message} ({', '.join(place)})" if place else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one filter has used up so far."""

    files: int = 0
    seconds: float = 0.0
    deaths: int = 0
    log_lines: int = 0


def printable(text: str, characters: int) -> str:
    """Return text without anything a terminal or a log could take for more than text, cut."""
    if not text.isprintable():
        text = "".join(_shown(character) for character in text[:characters])
    return text[:characters]


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
