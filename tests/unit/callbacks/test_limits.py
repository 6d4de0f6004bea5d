import pickle
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from longshore.bootstrap import callback_limits
from longshore.callbacks import Limits
from longshore.config import Config

PAGE = Path(__file__).parents[3] / "docs" / "callbacks.md"


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Limits) if field.name not in {"landlock", "languages"}]
)
@pytest.mark.parametrize("value", [0, -1])
def test_no_limit_may_be_nothing(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        replace(Limits(), **{name: value})  # type: ignore[arg-type]


def test_contradicting_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="hard_timeout_seconds"):
        Limits(soft_timeout_seconds=1.0, hard_timeout_seconds=2.0)
    with pytest.raises(ValueError, match="answer_frame_bytes"):
        Limits(answer_frame_bytes=1000)
    with pytest.raises(ValueError, match="memory_bytes"):
        Limits(memory_bytes=1 << 20)
    with pytest.raises(ValueError, match="landlock"):
        Limits(landlock="perhaps")  # type: ignore[arg-type]


def test_limits_travel_to_movers_unchanged() -> None:
    limits = Limits(max_deaths=2)
    assert pickle.loads(pickle.dumps(limits)) == limits


def test_every_limit_is_a_documented_setting_with_the_same_default() -> None:
    documented = set(re.findall(r"`(\w+)`", PAGE.read_text("utf-8")))
    assert {f"callback_{field.name}" for field in fields(Limits)} <= documented
    assert callback_limits(Config()) == Limits()
