"""The filter language of the api, as SQL clauses.

A filter is `<operator><value>`; the longest operator wins and none means `=`:

    =  !=  >  >=  <  <=     comparison as the column's type
    ><  !><                 in the list, items separated by `|`; not in it
    ~  !~                   pattern: `%` any run, `_` one character, `\\` escapes; not matching

A value that cannot be read as the column's type matches nothing. Null matches the empty value and
nothing else. Negative operators are the exact negation of the positive ones. Both databases give
the same rows: text compares by code points, patterns ignore case.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, false, func, not_, or_, true

from longshore.database.expressions import (
    BytesText,
    CodePoints,
    Computed,
    DateText,
    HexText,
    Matches,
    Unindexed,
    among,
    octal_text,
    whole_seconds,
)
from longshore.database.patterns import pattern_parts
from longshore.database.values import BILLION, READERS, Kind, read_text

PATTERN_CHARACTERS_MAXIMUM = 8_000  # SQLite refuses patterns of more than 50,000 bytes
INLINE_ITEMS_MAXIMUM = 200  # items of a list that become parameters of their own

_OPERATORS = ("!><", "!=", "!~", ">=", "<=", "><", "=", ">", "<", "~")  # longest first
_NEGATIVE = {"!=": "=", "!><": "><", "!~": "~"}
_COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Filterable:
    """An expression that clients may filter and sort by under a name of their own.

    `codes` are the numbers that stand in the database for words of the api.
    """

    expression: ColumnElement[Any]
    kind: Kind = Kind.TEXT
    nullable: bool = True
    codes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """Filters rows that have at least one related row: `wrap` makes the condition a subquery."""

    inner: Filterable
    wrap: Callable[[ColumnElement[bool]], ColumnElement[bool]]


Filterables = Mapping[str, Filterable | Related]


def conditions(filterables: Filterables, given: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """All given filters together; names that are not filterable are ignored."""
    clauses = [condition(filterables[name], raw) for name, raw in given if name in filterables]
    return and_(true(), *clauses)


def condition(filterable: Filterable | Related, raw: str) -> ColumnElement[bool]:
    """One filter as a clause that is never null."""
    if isinstance(filterable, Related):
        sign, value = split_operator(raw)
        clause = filterable.wrap(_positive(filterable.inner, _NEGATIVE.get(sign, sign), value))
        return not_(clause) if sign in _NEGATIVE else clause
    sign, value = split_operator(raw)
    if sign not in _NEGATIVE:
        return _positive(filterable, sign, value)
    positive = _positive(filterable, _NEGATIVE[sign], value)
    if not filterable.nullable:
        return not_(positive)
    # `x IN (…)` is null where x is null; its negation has to hold there.
    return not_(func.coalesce(positive, false()))


def split_operator(raw: str) -> tuple[str, str]:
    """(operator, value)"""
    for sign in _OPERATORS:
        if raw.startswith(sign):
            return sign, raw[len(sign) :]
    return "=", raw


def _positive(filterable: Filterable, sign: str, value: str) -> ColumnElement[bool]:
    if sign == "~":
        return _pattern(filterable, value)
    if sign in {"=", "><"}:
        return _one_of(filterable, value.split("|") if sign == "><" else [value])
    return _compared(filterable, sign, value)


def _one_of(filterable: Filterable, items: Sequence[str]) -> ColumnElement[bool]:
    expression = filterable.expression
    values = list(dict.fromkeys(v for v in map(_reader(filterable), items) if v is not None))
    clauses: list[ColumnElement[bool]] = []
    if filterable.kind is Kind.NANOSECONDS and len(values) <= INLINE_ITEMS_MAXIMUM:
        clauses += [_within_second(expression, value) for value in values]
    elif len(values) == 1:
        clauses.append(expression == values[0])
    elif len(values) > INLINE_ITEMS_MAXIMUM:
        clauses.append(_among_many(filterable, values))
    elif values:
        clauses.append(expression.in_(values))
    if "" in items and filterable.nullable:
        clauses.append(expression.is_(None))
    return or_(false(), *clauses)


def _compared(filterable: Filterable, sign: str, raw: str) -> ColumnElement[bool]:
    value = _reader(filterable)(raw)
    if value is None:
        return false()
    if filterable.kind is Kind.NANOSECONDS and sign in {">", "<="}:
        # After a second, and up to its end: times are shown, and so compared, in whole seconds.
        return _COMPARISONS[{">": ">=", "<=": "<"}[sign]](filterable.expression, value + BILLION)
    return _COMPARISONS[sign](in_order(filterable), value)


def _within_second(nanoseconds: ColumnElement[Any], start: int) -> ColumnElement[bool]:
    """A range rather than a rounded column, so that an index serves."""
    return and_(nanoseconds >= start, nanoseconds < start + BILLION)


def _reader(filterable: Filterable) -> Callable[[str], Any]:
    if filterable.codes is not None:
        return filterable.codes.get
    return READERS[filterable.kind]


def _among_many(filterable: Filterable, values: Sequence[Any]) -> ColumnElement[bool]:
    if filterable.kind is Kind.NANOSECONDS:
        seconds = [value // BILLION for value in values]
        return among(whole_seconds(filterable.expression), seconds)
    if filterable.kind is Kind.BYTES:
        return among(HexText(filterable.expression), [value.hex() for value in values])
    return among(filterable.expression, values)


def _pattern(filterable: Filterable, pattern: str) -> ColumnElement[bool]:
    if len(pattern) > PATTERN_CHARACTERS_MAXIMUM or read_text(pattern) is None:
        return false()
    return Matches(_as_text(filterable), pattern_parts(pattern))


def _as_text(filterable: Filterable) -> ColumnElement[Any]:
    """The column as the api shows it, because that is what people write patterns for."""
    if filterable.codes is not None:
        words = {code: word for word, code in filterable.codes.items()}
        return case(words, value=filterable.expression, else_="")
    match filterable.kind:
        case Kind.TEXT:
            return filterable.expression
        case Kind.SECONDS:
            return DateText(filterable.expression)
        case Kind.NANOSECONDS:
            return DateText(whole_seconds(filterable.expression))
        case Kind.BYTES:
            return BytesText(filterable.expression)
        case Kind.PERMISSION:
            return octal_text(filterable.expression)
        case _:
            return cast(filterable.expression, Text)


def unindexed(filterables: Filterables, names: Container[str] | None = None) -> Filterables:
    """The same to filter by, without the indexes of these names (None = of all)."""
    return {
        name: replace(each, expression=Unindexed(each.expression))
        if isinstance(each, Filterable) and (names is None or name in names)
        else each
        for name, each in filterables.items()
    }


def computed(sortables: Filterables) -> dict[str, Filterable]:
    """The same to sort by, without indexes."""
    return {
        name: replace(each, expression=Computed(each.expression))
        for name, each in sortables.items()
        if isinstance(each, Filterable)
    }


def in_order(filterable: Filterable) -> ColumnElement[Any]:
    """The expression as it compares: texts alike in both databases."""
    if filterable.kind is Kind.TEXT and filterable.codes is None:
        return CodePoints(filterable.expression)
    return filterable.expression
