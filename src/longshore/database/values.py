"""How the text of a filter is read as a value of its column's type."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

INTEGER_MINIMUM, INTEGER_MAXIMUM = -(2**63), 2**63 - 1
BILLION = 1_000_000_000  # nanoseconds of a second


class Kind(StrEnum):
    """How the values of a column are read and shown."""

    INTEGER = "integer"
    TEXT = "text"
    SWITCH = "switch"  # 0 and 1, also written false and true
    SECONDS = "seconds"  # a date, stored as seconds since 1970
    NANOSECONDS = "nanoseconds"  # a date, stored as nanoseconds since 1970
    BYTES = "bytes"  # names and paths
    PERMISSION = "permission"  # `st_mode`, shown as octal digits


def read_text(raw: str) -> str | None:
    """The text, or None where no database row can hold it."""
    try:
        raw.encode()
    except UnicodeEncodeError:
        return None
    return None if "\0" in raw else raw


def read_integer(raw: str) -> int | None:
    """The number, or None where it is none or does not fit 64 bits."""
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,30}\s*", raw):
        return None
    number = int(raw)
    return number if INTEGER_MINIMUM <= number <= INTEGER_MAXIMUM else None


def read_switch(raw: str) -> int | None:
    """0 or 1 from `0`, `1`, `false` or `true` in any case."""
    return {"0": 0, "1": 1, "false": 0, "true": 1}.get(raw.strip().lower())


def read_date(raw: str) -> int | None:
    """Seconds since 1970 of an RFC 3339 date, of one with a blank for the T, or of a day.

    Without a zone it is UTC. A `+` that form decoding turned into a blank is put back.
    """
    text = re.sub(r" (?=\d\d:?\d\d$)(?<=:\d\d )", "+", raw.strip())
    if not re.match(r"^\d{4}-\d\d-\d\d", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return int(moment.timestamp() // 1)
    except (OverflowError, ValueError):
        return None


def _read_nanoseconds(raw: str) -> int | None:
    seconds = read_date(raw)
    if seconds is None or not -9_000_000_000 < seconds < 9_000_000_000:
        return None
    return seconds * BILLION


def _read_bytes(raw: str) -> bytes | None:
    return raw.encode("utf-8", "surrogateescape")


def _read_permission(raw: str) -> int | None:
    """`100644` as the mode it stands for."""
    return int(raw, 8) if re.fullmatch(r"[0-7]{1,7}", raw.strip()) else None


READERS: dict[Kind, Callable[[str], Any]] = {
    Kind.INTEGER: read_integer,
    Kind.TEXT: read_text,
    Kind.SWITCH: read_switch,
    Kind.SECONDS: read_date,
    Kind.NANOSECONDS: _read_nanoseconds,
    Kind.BYTES: _read_bytes,
    Kind.PERMISSION: _read_permission,
}
