"""Bars as SVG, one drawing for each case, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.peers.report import Result

WIDTH, ROW, LEFT, RIGHT, TOP = 640, 26, 120, 70, 44
OWN, OTHER, INK = "#1f7a8c", "#a9b4c2", "#6b7280"


def draw(folder: Path, title: str, results: Sequence[Result], note: str) -> Path:
    """Write the case's drawing into the folder; its path."""
    path = folder / f"{results[0].case}.svg"
    path.write_text(drawing(title, results, note))
    return path


def drawing(title: str, results: Sequence[Result], note: str) -> str:
    """Seconds of each contender, the shorter the better."""
    longest = max(each.seconds for each in results)
    height = TOP + ROW * len(results) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" fill="{INK}">',
        f'<text x="8" y="20" font-size="15">{escape(title)}, seconds</text>',
    ]
    for number, each in enumerate(results):
        y = TOP + ROW * number
        length = max(1.0, (WIDTH - LEFT - RIGHT) * each.seconds / longest)
        color = OWN if each.contender == "longshore" else OTHER
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(each.contender)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 8}" fill="{color}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}">{each.seconds:.2f}</text>',
        ]
    parts += [f'<text x="8" y="{height - 8}" font-size="11">{escape(note)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"
