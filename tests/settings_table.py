"""The table of all settings of `docs/configuration.md`; written there when run as a module."""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from longshore.config import ENVIRONMENT_PREFIX, Config, TextsByName

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEADING = "## All settings\n\n"
HEAD = (
    "| Setting, environment variable | Type | Default | Bounds | Meaning |",
    "|---|---|---|---|---|",
)

_KINDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    TextsByName: "table",
}
_UNITS = {"seconds": "seconds", "days": "days", "bytes": "bytes", "percent": "percent"}


def rows() -> dict[str, str]:
    """The line of each setting by its name."""
    hints = get_type_hints(Config)
    return {each.name: _row(each, hints[each.name]) for each in fields(Config)}


def _row(setting: Field[Any], hint: Any) -> str:
    cells = (
        f"`{setting.name}`, `{ENVIRONMENT_PREFIX}{setting.name.upper()}`",
        _kind(setting.name, hint),
        _default(setting.default),
        _bounds(setting.metadata["low"], setting.metadata["high"]),
        setting.metadata["help"].replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |"


def _kind(name: str, hint: Any) -> str:
    """The type in plain words, with the unit that the name tells."""
    plain = next((each for each in get_args(hint) if each is not type(None)), hint)
    unit = next((_UNITS[word] for word in name.split("_") if word in _UNITS), None)
    return f"{_KINDS[plain]}, {unit}" if unit else _KINDS[plain]


def _default(value: object) -> str:
    if value is None or value in {"", TextsByName()}:
        return "empty"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def write() -> None:
    """Put the table where the page has it, at the end."""
    before, heading, _ = PAGE.read_text().partition(HEADING)
    PAGE.write_text(
        "".join([before, heading, *(f"{line}\n" for line in (*HEAD, *rows().values()))])
    )


if __name__ == "__main__":
    write()
