import re
import time
from pathlib import Path
from typing import Any

import pytest

from longshore.callbacks import (
    Answer,
    CallbackFilter,
    FileInfo,
    Language,
    language_of,
    validate,
)
from tests.javascript import needs_javascript

from .examples import QUICK, file

PAGE = Path(__file__).parents[3] / "docs" / "callbacks.md"

RECIPE = re.compile(r"<!-- cookbook: (\w+) -->\n```\w+\n(.*?)```", re.DOTALL)

MIB = 1024 * 1024
NOW = int(time.time())
DAY = 86_400
APRIL_2024 = 1_711_929_600
JULY_2024 = 1_719_792_000

ACCEPTED_AND_REFUSED: dict[str, tuple[list[FileInfo], list[FileInfo]]] = {
    "types": (
        [file(b"/a/b.mov"), file(b"/a/B.MXF"), file(b"/a.b/\xff.wav")],
        [file(b"/a/b.txt"), file(b"/a.mov/b"), file(b"/mov")],
    ),
    "temporary": (
        [file(b"/a/b.txt"), file(b"/a/tmp/b"), file(b"/a.b")],
        [file(b"/a/.git/x"), file(b"/a/b~"), file(b"/a/b.TMP"), file(b"/a/Thumbs.db")],
    ),
    "untouched": (
        [file(atime=NOW - 400 * DAY, mtime=NOW - 500 * DAY)],
        [
            file(atime=NOW - 10 * DAY, mtime=NOW - 500 * DAY),
            file(atime=NOW - 400 * DAY, mtime=NOW - 10 * DAY),
        ],
    ),
    "quarter": (
        [file(mtime=APRIL_2024), file(mtime=JULY_2024 - 1)],
        [file(mtime=APRIL_2024 - 1), file(mtime=JULY_2024), file(mtime=-1)],
    ),
    "sizes": (
        [file(size=10 * MIB), file(size=2048 * MIB)],
        [file(size=10 * MIB - 1), file(size=2048 * MIB + 1), file(size=0)],
    ),
    "owners": (
        [file(uid=1001, gid=1), file(uid=1, gid=500)],
        [file(uid=1, gid=1), file(uid=500, gid=1001)],
    ),
    "regular": (
        [file(mode=0o100644), file(mode=0o100600)],
        [file(mode=0o120644), file(mode=0o100666), file(mode=0o020600), file(mode=0o140600)],
    ),
    "projects": (
        [file(b"/projects/2021-alps/a"), file(b"/projects/1999-sea/b/c")],
        [file(b"/projects/2022-lake/a"), file(b"/old/2001-x/a"), file(b"/projects/2001")],
    ),
    "sample": (
        [file(b"/sample/5"), file(b"/sample/7")],
        [file(b"/sample/0"), file(b"/sample/1")],
    ),
    "metadata": (
        [file(metadata={"state": "approved"}), file(metadata={"state": "Rejected"})],
        [file(metadata={"state": "open"}), file(), file(metadata={"other": "approved"})],
    ),
}

RECIPES = dict(RECIPE.findall(PAGE.read_text("utf-8")))


def _marked(name: str) -> Any:
    is_javascript = language_of(RECIPES[name]) is Language.JAVASCRIPT
    return pytest.param(name, marks=needs_javascript) if is_javascript else name


def test_the_page_has_ten_recipes_and_all_of_them_are_tested() -> None:
    assert len(RECIPES) == 10
    assert RECIPES.keys() == ACCEPTED_AND_REFUSED.keys()


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", [_marked(name) for name in RECIPES])
def test_a_recipe_is_valid_and_decides_as_its_heading_says(name: str) -> None:
    assert validate(RECIPES[name]) is None
    accepted, refused = ACCEPTED_AND_REFUSED[name]
    with CallbackFilter(RECIPES[name], task_id=1, limits=QUICK) as callback:
        decisions = callback.decide([*accepted, *refused])
    expected = [Answer.ACCEPTED] * len(accepted) + [Answer.REFUSED] * len(refused)
    assert decisions.failures == {}
    assert list(decisions.answers) == expected
