"""Checks of single attributes that several resources share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import IntegrityError

from longshore.database.query import INTEGER_MAXIMUM
from longshore.services.errors import BASE, Invalid, Kind, Problem, Problems

NAME_CHARACTERS_MAXIMUM = 255
COMMENT_CHARACTERS_MAXIMUM = 65_535

_PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


def check_text(
    problems: Problems,
    attribute: str,
    value: str | None,
    *,
    maximum: int = NAME_CHARACTERS_MAXIMUM,
    required: bool = False,
) -> None:
    """Add what is wrong with a text: blank where it is required, or too long."""
    if attribute in problems:
        return
    if required and not (value or "").strip():
        problems.add(attribute, Kind.BLANK)
    elif value is not None and len(value) > maximum:
        problems.add(attribute, Kind.TOO_LONG, count=maximum)


def check_comment(problems: Problems, value: str | None) -> None:
    """Comments may be long, but not without end."""
    check_text(problems, "comment", value, maximum=COMMENT_CHARACTERS_MAXIMUM)


def check_given(problems: Problems, attribute: str, value: object) -> None:
    """Add `blank` where a value is needed and there is none."""
    if value is None and attribute not in problems:
        problems.add(attribute, Kind.BLANK)


def check_range(
    problems: Problems, attribute: str, value: int, *, low: int, high: int | None = None
) -> None:
    """Add the bound that the number breaks."""
    if attribute in problems:
        return
    if value < low:
        problems.add(attribute, Kind.GREATER_THAN_OR_EQUAL_TO, count=low, value=value)
    elif high is not None and value > high:
        problems.add(attribute, Kind.LESS_THAN_OR_EQUAL_TO, count=high, value=value)


def check_price(problems: Problems, value: str | None) -> None:
    """A price is a decimal number as text."""
    if value is not None and "price" not in problems and not _PRICE.fullmatch(value):
        problems.add("price", Kind.INVALID, value=value)


def check_root_name(problems: Problems, value: str | None) -> None:
    """The name of a tree's root is the first part of its files' paths."""
    if "name" in problems or value is None:
        return
    if "/" in value or value in {".", ".."}:
        problems.add(
            "name", Kind.INVALID, value=value, note="it is part of paths, so it may not hold '/'"
        )


def parse_id(identifier: str) -> int | None:
    """The number in a path where only ids are known; None for anything else."""
    if not (identifier.isascii() and identifier.isdigit()) or len(identifier) > 19:
        return None
    number = int(identifier)
    return number if number <= INTEGER_MAXIMUM else None


@contextmanager
def refusing_duplicates(attribute: str, value: object) -> Iterator[None]:
    """Makes `taken` of a value that somebody else took between the check and the insertion.

    That happens on PostgreSQL only; on SQLite one transaction writes at a time.
    """
    try:
        yield
    except IntegrityError as error:
        raise Invalid(Problem(attribute, Kind.TAKEN, value=value)) from error


@contextmanager
def refusing_use(note: str) -> Iterator[None]:
    """Makes a refusal of a removal that somebody's new use of the row forbids (see above)."""
    try:
        yield
    except IntegrityError as error:
        raise Invalid(Problem(BASE, Kind.FROZEN, note=note)) from error
