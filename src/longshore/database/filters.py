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

import json
import operator
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Integer,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    not_,
    or_,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from longshore.database.expressions import (
    Among,
    BytesText,
    CodePoints,
    Computed,
    DateText,
    HexText,
    Matches,
    Unindexed,
    octal_text,
    whole_seconds,
)
from longshore.database.patterns import glob, pattern_parts, regular_expression
from longshore.database.values import BILLION, READERS, Kind, read_text

PATTERN_CHARACTERS_MAXIMUM = 8_000  # SQLite refuses patterns of more than 50,000 bytes
INLINE_ITEMS_MAXIMUM = 200  # items of a list that become parameters of their own

_OPERATORS = ("!><", "!=", "!~", ">=", "<=", "><", "=", ">", "<", "~")  # longest first
_NEGATIVE = {"!=": "=", "!><": "><", "!~": "~"}


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


class Form(StrEnum):
    """The clauses that a filter may become."""

    NEVER = "never"  # no value of this column is meant
    EQUAL = "="
    LISTED = "in"
    LISTED_LONG = "in many"
    WITHIN_SECONDS = "within"
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    PATTERN = "~"


@dataclass(frozen=True, slots=True)
class Shape:
    """A filter without its values: filters of the same shape differ in their parameters only."""

    name: str
    form: Form
    values: int  # how many parameters it has; a list is one
    or_null: bool = False
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a request, read."""

    shape: Shape
    values: tuple[Any, ...] = ()


Parameter = Callable[[int, TypeEngine[Any], bool], BindParameter[Any]]
"""From the number of a filter's value, its type and whether it is a list to what stands for it."""


_COMPARISONS: Mapping[Form, Callable[[Any, Any], ColumnElement[bool]]] = {
    Form.GREATER: operator.gt,
    Form.GREATER_OR_EQUAL: operator.ge,
    Form.LESS: operator.lt,
    Form.LESS_OR_EQUAL: operator.le,
}


# ------------------------------------------------------------------------------- reading


def read_filters(filterables: Filterables, given: Iterable[tuple[str, str]]) -> tuple[Filter, ...]:
    """The given filters; those with names that are not filterable are ignored."""
    return tuple(_read(name, filterables[name], raw) for name, raw in given if name in filterables)


def _read(name: str, filterable: Filterable | Related, raw: str) -> Filter:
    sign, value = split_operator(raw)
    inner = filterable.inner if isinstance(filterable, Related) else filterable
    form, values, or_null = _positive(inner, _NEGATIVE.get(sign, sign), value)
    return Filter(Shape(name, form, len(values), or_null, sign in _NEGATIVE), values)


def split_operator(raw: str) -> tuple[str, str]:
    """(operator, value)"""
    for sign in _OPERATORS:
        if raw.startswith(sign):
            return sign, raw[len(sign) :]
    return "=", raw


def _positive(filterable: Filterable, sign: str, value: str) -> tuple[Form, tuple[Any, ...], bool]:
    """(form, values, whether null passes, too)"""
    if sign == "~":
        return *_pattern(value), False
    if sign in {"=", "><"}:
        items = value.split("|") if sign == "><" else [value]
        return *_one_of(filterable, items), "" in items and filterable.nullable
    return *_compared(filterable, sign, value), False


def _one_of(filterable: Filterable, items: Sequence[str]) -> tuple[Form, tuple[Any, ...]]:
    values = list(dict.fromkeys(v for v in map(_reader(filterable), items) if v is not None))
    if not values:
        return Form.NEVER, ()
    if len(values) > INLINE_ITEMS_MAXIMUM:
        return Form.LISTED_LONG, _long_list(filterable.kind, values)
    if filterable.kind is Kind.NANOSECONDS:
        return Form.WITHIN_SECONDS, tuple(values)
    return (Form.EQUAL, (values[0],)) if len(values) == 1 else (Form.LISTED, (values,))


def _long_list(kind: Kind, values: list[Any]) -> tuple[Any, ...]:
    """The list as each of the databases takes it."""
    if kind is Kind.NANOSECONDS:
        values = [value // BILLION for value in values]
    elif kind is Kind.BYTES:
        values = [value.hex() for value in values]
    return json.dumps(values), values


def _compared(filterable: Filterable, sign: str, raw: str) -> tuple[Form, tuple[Any, ...]]:
    value = _reader(filterable)(raw)
    if value is None:
        return Form.NEVER, ()
    if filterable.kind is Kind.NANOSECONDS and sign in {">", "<="}:
        # After a second, and up to its end: times are shown, and so compared, in whole seconds.
        return Form({">": ">=", "<=": "<"}[sign]), (value + BILLION,)
    return Form(sign), (value,)


def _pattern(pattern: str) -> tuple[Form, tuple[Any, ...]]:
    """The pattern as each of the databases takes it."""
    if len(pattern) > PATTERN_CHARACTERS_MAXIMUM or read_text(pattern) is None:
        return Form.NEVER, ()
    parts = pattern_parts(pattern)
    return Form.PATTERN, (glob(parts), regular_expression(parts))


def _reader(filterable: Filterable) -> Callable[[str], Any]:
    if filterable.codes is not None:
        return filterable.codes.get
    return READERS[filterable.kind]


# ------------------------------------------------------------------------------- clauses


def conditions(filterables: Filterables, given: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """All given filters together; names that are not filterable are ignored."""
    found = read_filters(filterables, given)
    clauses = [_clause(filterables[each.shape.name], each.shape, _valued(each)) for each in found]
    return and_(true(), *clauses)


def shaped_conditions(filterables: Filterables, shapes: Iterable[Shape]) -> ColumnElement[bool]:
    """All filters of these shapes together; `named_values` has what their parameters stand for."""
    clauses = [
        _clause(filterables[shape.name], shape, _named(number))
        for number, shape in enumerate(shapes)
    ]
    return and_(true(), *clauses)


def named_values(filters: Iterable[Filter]) -> dict[str, Any]:
    """The values of filters under the names of the parameters in `shaped_conditions`."""
    return {
        _parameter_name(number, index): value
        for number, each in enumerate(filters)
        for index, value in enumerate(each.values)
    }


def _parameter_name(number: int, index: int) -> str:
    return f"filter_{number}_{index}"


def _named(number: int) -> Parameter:
    return lambda index, kind, is_list: bindparam(
        _parameter_name(number, index), type_=kind, expanding=is_list
    )


def _valued(given: Filter) -> Parameter:
    return lambda index, kind, is_list: bindparam(
        None, given.values[index], type_=kind, unique=True, expanding=is_list
    )


def _clause(
    filterable: Filterable | Related, shape: Shape, parameter: Parameter
) -> ColumnElement[bool]:
    """One filter as a clause that is never null."""
    if isinstance(filterable, Related):
        clause = filterable.wrap(_positive_clause(filterable.inner, shape, parameter))
        return not_(clause) if shape.negative else clause
    clause = _positive_clause(filterable, shape, parameter)
    if not shape.negative:
        return clause
    # `x IN (…)` is null where x is null; its negation has to hold there.
    return not_(func.coalesce(clause, false()) if filterable.nullable else clause)


def _positive_clause(
    filterable: Filterable, shape: Shape, parameter: Parameter
) -> ColumnElement[bool]:
    clause = _formed(filterable, shape, parameter)
    return or_(clause, filterable.expression.is_(None)) if shape.or_null else clause


def _formed(filterable: Filterable, shape: Shape, parameter: Parameter) -> ColumnElement[bool]:
    expression = filterable.expression
    match shape.form:
        case Form.NEVER:
            return false()
        case Form.EQUAL:
            return expression == parameter(0, _value_type(expression), False)
        case Form.LISTED:
            return expression.in_(parameter(0, _value_type(expression), True))
        case Form.LISTED_LONG:
            listed = _listable(filterable)
            arrayed = parameter(1, ARRAY(_value_type(listed)), False)
            return Among(listed, parameter(0, Text(), False), arrayed)
        case Form.WITHIN_SECONDS:
            kind = _value_type(expression)
            starts = [parameter(index, kind, False) for index in range(shape.values)]
            return or_(false(), *[_within_second(expression, start) for start in starts])
        case Form.PATTERN:
            texts = parameter(0, String(), False), parameter(1, String(), False)
            return Matches(_as_text(filterable), *texts)
        case _:
            ordered = in_order(filterable)
            return _COMPARISONS[shape.form](ordered, parameter(0, _value_type(ordered), False))


def _value_type(expression: ColumnElement[Any]) -> TypeEngine[Any]:
    """The type of what is compared: a number may be greater than the column could hold."""
    kind: TypeEngine[Any] = expression.type
    return BigInteger() if isinstance(kind, Integer) else kind


def _within_second(
    nanoseconds: ColumnElement[Any], start: BindParameter[Any]
) -> ColumnElement[bool]:
    """A range rather than a rounded column, so that an index serves."""
    return and_(nanoseconds >= start, nanoseconds < start + BILLION)


def _listable(filterable: Filterable) -> ColumnElement[Any]:
    """The column in a form that long lists of both databases can hold."""
    match filterable.kind:
        case Kind.NANOSECONDS:
            return whole_seconds(filterable.expression)
        case Kind.BYTES:
            return HexText(filterable.expression)
        case _:
            return filterable.expression


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
