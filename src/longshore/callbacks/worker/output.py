"""What a script prints: kept for the task's log as far as its limits go, then dropped."""

import io
from typing import Final

CHECKED_CHARACTERS: Final = 1 << 16
"""The part of one write that is looked at: far more than all lines together may hold by default."""


class BoundedOutput(io.TextIOBase):
    """A text stream that keeps the first lines of every batch, cut to a number of characters."""

    def __init__(self, *, lines: int, characters: int) -> None:
        super().__init__()
        self._lines_limit, self._characters = lines, characters
        self._open = ""
        self._lines: list[str] = []
        self.start_batch()

    def start_batch(self) -> None:
        """Allow the full number of lines again; lines from the script's loading count."""
        self._left = self._lines_limit - len(self._lines)
        self._truncated = False

    def writable(self) -> bool:
        """Say that print may write here."""
        return True

    def write(self, text: str) -> int:
        """Take text as `print` gives it; always claims to have written everything."""
        if self._left <= 0:
            self._truncated = True
            return len(text)
        *ended, last = (self._open + text[:CHECKED_CHARACTERS]).split("\n", self._left)
        self._truncated = self._truncated or len(text) > CHECKED_CHARACTERS
        for line in ended:
            self._keep(line)
        if self._left > 0:
            self._open = last[: self._characters + 1]
        elif last:
            self._truncated = True
        return len(text)

    def take(self) -> tuple[list[str], bool]:
        """Return the lines since the last call, and whether anything was dropped in this batch."""
        if self._open:
            self._keep(self._open)
            self._open = ""
        lines, self._lines = self._lines, []
        return lines, self._truncated

    def _keep(self, line: str) -> None:
        if self._left <= 0:
            self._truncated = True
            return
        self._truncated = self._truncated or len(line) > self._characters
        cut = line[: self._characters]
        self._lines.append(cut.encode("utf-8", "backslashreplace").decode()[: self._characters])
        self._left -= 1
