"""What a callback may use: every limit with its unit and its measured default."""

from dataclasses import dataclass, fields
from typing import Literal

from .values import Language

LandlockMode = Literal["prefer", "require", "off"]

MINIMUM_MEMORY_BYTES = 96 << 20
"""Below this an interpreter with its modules does not reliably start."""

HARD_TO_SOFT_TIMEOUT = 2.5
"""A file that only waits is reported after 2 to 2.25 soft time-outs; the hard one is later."""

BYTES_PER_CHARACTER = 4
"""The longest a character gets in UTF-8."""

FRAME_OVERHEAD_BYTES = 32
"""More than msgpack adds around one text, a line number and an index."""


_NO_NUMBERS = frozenset({"landlock", "languages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one worker and of the filter that owns it; ValueError when they contradict."""

    # Address space of the worker, interpreter included (about 40 MiB of it).
    memory_bytes: int = 256 << 20
    # QuickJS's own heap and stack inside that.
    javascript_memory_bytes: int = 128 << 20
    javascript_stack_bytes: int = 512 << 10

    # Computing time of one file, after which the script is interrupted and the file fails.
    soft_timeout_seconds: float = 1.0
    # Silence of the worker, after which it is killed: for scripts that cannot be interrupted.
    hard_timeout_seconds: float = 3.0
    # From the start of the process until it is locked; generous, since a busy machine is no attack.
    start_timeout_seconds: float = 10.0
    # Time-outs and deaths together, after which the script is given up.
    max_deaths: int = 5
    # Real time the script may use: so much at once, and so much more for every file decided.
    budget_slack_seconds: float = 60.0
    budget_seconds_per_file: float = 0.005

    # The script's text in UTF-8.
    script_bytes: int = 64 << 10
    # One question: at most so many files and bytes. A scan puts no more together; with 10,000
    # files a trivial script is a fifth quicker, and everything waits for its slowest file longer.
    request_frame_files: int = 1000
    request_frame_bytes: int = 4 << 20
    # One reply: at most so many files and bytes.
    answer_frame_files: int = 512
    answer_frame_bytes: int = 4 << 20

    # The text of a file's failure, and what `print` may leave in the log per call of decide().
    error_text_characters: int = 300
    log_lines: int = 100
    log_line_characters: int = 300

    # Who the worker becomes when the server is root; 65534 is shared with other programs.
    uid: int = 65534
    gid: int = 65534
    # The second lock: use it where the kernel has it, insist on it, or leave it.
    landlock: LandlockMode = "prefer"

    # Scripts in another language are refused; with none at all there are no callbacks.
    languages: frozenset[Language] = frozenset(Language)

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self) if f.name not in _NO_NUMBERS):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0")
        if self.landlock not in ("prefer", "require", "off"):
            raise ValueError("landlock must be prefer, require or off")
        if self.memory_bytes < MINIMUM_MEMORY_BYTES:
            raise ValueError(f"memory_bytes must be at least {MINIMUM_MEMORY_BYTES}")
        if self.hard_timeout_seconds < HARD_TO_SOFT_TIMEOUT * self.soft_timeout_seconds:
            raise ValueError(
                f"hard_timeout_seconds must be at least {HARD_TO_SOFT_TIMEOUT} times "
                "soft_timeout_seconds"
            )
        if self.answer_frame_bytes < self._longest_honest_answer():
            raise ValueError("answer_frame_bytes is too small for the other limits")

    def _longest_honest_answer(self) -> int:
        per_file = BYTES_PER_CHARACTER * self.error_text_characters + FRAME_OVERHEAD_BYTES
        per_line = BYTES_PER_CHARACTER * self.log_line_characters + FRAME_OVERHEAD_BYTES
        return self.answer_frame_files * per_file + self.log_lines * per_line + FRAME_OVERHEAD_BYTES


DEFAULT_LIMITS = Limits()
