import time
from collections.abc import Callable, Iterator

import pytest

from tests.javascript import needs_javascript

from . import hostile_javascript, hostile_python
from .trial import Case, judge, living_children

GRACE_SECONDS = 5.0
"""How long a killed process may take to vanish on a busy machine."""


@pytest.fixture(scope="module")
def judged() -> Callable[[Case], str | None]:
    return judge()


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    before = set(living_children())
    yield
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := set(living_children()) - before) and time.monotonic() < deadline:
        pass
    assert not left, f"processes left behind: {left}"


def test_the_collection_has_the_promised_size() -> None:
    assert len({case.name for case in hostile_python.CASES}) == len(hostile_python.CASES) >= 60
    names = {case.name for case in hostile_javascript.CASES}
    assert len(names) == len(hostile_javascript.CASES) >= 30


@pytest.mark.parametrize("case", hostile_python.CASES, ids=lambda case: case.name)
def test_hostile_python_ends_as_documented(
    case: Case, judged: Callable[[Case], str | None]
) -> None:
    assert judged(case) is None


@needs_javascript
@pytest.mark.parametrize("case", hostile_javascript.CASES, ids=lambda case: case.name)
def test_hostile_javascript_ends_as_documented(
    case: Case, judged: Callable[[Case], str | None]
) -> None:
    assert judged(case) is None
