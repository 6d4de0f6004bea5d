"""Which bytes of something are there, while it is written in any order."""

from __future__ import annotations


class Extents:
    """Ranges of bytes, merged where they touch."""

    def __init__(self) -> None:
        self._there: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> None:
        there = self._there
        if there and there[-1][0] <= start <= there[-1][1]:  # one piece after the other, as a rule
            there[-1] = (there[-1][0], max(end, there[-1][1]))
            return
        merged: list[tuple[int, int]] = []
        for first, last in sorted([*there, (start, end)]):
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        self._there = merged

    def are_all(self, size: int) -> bool:
        """Whether nothing is missing up to that size."""
        return not size or (bool(self._there) and self._there[0] == (0, max(size, self.end)))

    @property
    def end(self) -> int:
        """Behind the last byte that is there."""
        return self._there[-1][1] if self._there else 0
