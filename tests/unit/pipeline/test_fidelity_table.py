"""`docs/fidelity.md` says what copies do keep: the table is made from copies made just now."""

from __future__ import annotations

import os
from pathlib import Path

from tests import fidelity, fidelity_table

DOCUMENT = Path(__file__).parents[3] / "docs" / "fidelity.md"


def test_the_table_is_what_copies_keep(tmp_path: Path) -> None:
    documented = fidelity_table.documented(DOCUMENT.read_text())
    assert documented[:2] == fidelity_table.head()
    made = fidelity_table.lines(tmp_path)
    assert [line for line in documented[2:] if line in made.values()] == list(made.values())
    if os.geteuid() == 0:
        assert documented[2:] == list(made.values())
    assert len(documented) == 2 + len(fidelity.FEATURES)
