"""The table of `docs/fidelity.md`, from copies made just now; printed when run as a module.

Run it as root: ordinary users cannot make every feature.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests import fidelity
from tests.fidelity import Feature
from tests.unit.pipeline.driving import Driver, Wrap, as_it_is, plan_for, stripped

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

_COLUMNS: dict[str, Wrap] = {
    "POSIX to POSIX": as_it_is,
    "no `extended_attributes`, no `access_lists`": stripped("attributes"),
    "no `ownership`": stripped("ownership"),
    "no `permissions`": stripped("permissions"),
    "no `sparse`": stripped("sparse"),
    "no `hard_links`": stripped("hard_links"),
}


def copies(base: Path) -> tuple[Path, list[Path]]:
    """The source tree, and the copy of it for each column."""
    source = base / "source"
    source.mkdir()
    fidelity.grow_all(source)
    made = []
    for number, wrap in enumerate(_COLUMNS.values()):
        made.append(base / f"copy {number}")
        made[-1].mkdir()
        Driver(plan_for(source, made[-1]), wrap_destination=wrap).run()
    return source, made


def lines(base: Path) -> dict[str, str]:
    """The line of each feature that this user can make, by its title."""
    source, made = copies(base)
    return {
        feature.title: _line(feature, [fidelity.kept(feature, source, copy) for copy in made])
        for feature in fidelity.features_here()
    }


def head() -> list[str]:
    titles = ["What", "Ability", *_COLUMNS]
    return [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]


def documented(text: str) -> list[str]:
    """The lines of the table in the document."""
    return text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()


def _line(feature: Feature, kept: list[bool]) -> str:
    title = feature.title + (" (root)" if feature.root_only else "")
    cells = [title, feature.needs, *("kept" if each else "lost" for each in kept)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("only root can make every feature")
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write("\n".join([*head(), *lines(Path(folder)).values()]) + "\n")
