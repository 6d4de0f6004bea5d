"""The filter language, sorting and identifiers of the api, as SQL clauses.

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
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
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
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

PATTERN_CHARACTERS_MAXIMUM = 8_000  # SQLite refuses patterns of more than 50,000 bytes
INLINE_ITEMS_MAXIMUM = 200  # items of a list that become parameters of their own
INTEGER_MINIMUM, INTEGER_MAXIMUM = -(2**63), 2**63 - 1
BILLION = 1_000_000_000  # nanoseconds of a second

_OPERATORS = ("!><", "!=", "!~", ">=", "<=", "><", "=", ">", "<", "~")  # longest first
_NEGATIVE = {"!=": "=", "!><": "><", "!~": "~"}
_COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Kind(StrEnum):
    """How the values of a column are read and shown."""

    INTEGER = "integer"
    TEXT = "text"
    SWITCH = "switch"  # 0 and 1, also written false and true
    SECONDS = "seconds"  # a date, stored as seconds since 1970
    NANOSECONDS = "nanoseconds"  # a date, stored as nanoseconds since 1970
    BYTES = "bytes"  # names and paths
    PERMISSION = "permission"  # `st_mode`, shown as octal digits


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


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of an order."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a listing was asked for. `limit` None = all rows; 0 = only the count."""

    filters: tuple[tuple[str, str], ...] = ()
    sort: tuple[Sort, ...] = ()
    limit: int | None = None
    offset: int = 0


# -------------------------------------------------------------------------------- filters


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
    return _COMPARISONS[sign](_in_order(filterable), value)


def _within_second(nanoseconds: ColumnElement[Any], start: int) -> ColumnElement[bool]:
    """A range rather than a rounded column, so that an index serves."""
    return and_(nanoseconds >= start, nanoseconds < start + BILLION)


def _reader(filterable: Filterable) -> Callable[[str], Any]:
    if filterable.codes is not None:
        return filterable.codes.get
    return _READERS[filterable.kind]


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


_READERS: dict[Kind, Callable[[str], Any]] = {
    Kind.INTEGER: read_integer,
    Kind.TEXT: read_text,
    Kind.SWITCH: read_switch,
    Kind.SECONDS: read_date,
    Kind.NANOSECONDS: _read_nanoseconds,
    Kind.BYTES: _read_bytes,
    Kind.PERMISSION: _read_permission,
}

# ------------------------------------------------------------------------ long value lists


class _Among(GenericFunction[bool]):
    """`expression IN (all values of one JSON or array parameter)`; any number of values."""

    name = "longshore_among"
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    expression, values, _ = element.clauses
    listed = f"(SELECT value FROM json_each({compiler.process(values, **options)}))"  # noqa: S608
    return f"{compiler.process(expression, **options)} IN {listed}"


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    expression, _, values = element.clauses
    left = compiler.process(expression, **options)
    return f"{left} = ANY ({compiler.process(values, **options)})"


def among(expression: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether the expression is one of the values, however many they are."""
    return _Among(
        expression,
        bindparam(None, json.dumps(values), type_=Text(), unique=True),
        bindparam(None, list(values), type_=ARRAY(expression.type), unique=True),
    )


def _among_many(filterable: Filterable, values: Sequence[Any]) -> ColumnElement[bool]:
    if filterable.kind is Kind.NANOSECONDS:
        seconds = [value // BILLION for value in values]
        return among(_whole_seconds(filterable.expression), seconds)
    if filterable.kind is Kind.BYTES:
        return among(_HexText(filterable.expression), [value.hex() for value in values])
    return among(filterable.expression, values)


class _HexText(GenericFunction[str]):
    """Bytes as hexadecimal digits, small letters."""

    name = "longshore_hex_text"
    type = Text()
    inherit_cache = True


@compiles(_HexText, "sqlite")
def _hex_text_sqlite(element: _HexText, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower(hex({compiler.process(element.clauses, **options)}))"


@compiles(_HexText, "postgresql")
def _hex_text_postgresql(element: _HexText, compiler: SQLCompiler, **options: Any) -> str:
    return f"encode({compiler.process(element.clauses, **options)}, 'hex')"


# ------------------------------------------------------------------------------- patterns


def _pattern(filterable: Filterable, pattern: str) -> ColumnElement[bool]:
    if len(pattern) > PATTERN_CHARACTERS_MAXIMUM or read_text(pattern) is None:
        return false()
    return _Matches(_as_text(filterable), pattern_parts(pattern))


def _as_text(filterable: Filterable) -> ColumnElement[Any]:
    """The column as the api shows it, because that is what people write patterns for."""
    if filterable.codes is not None:
        words = {code: word for word, code in filterable.codes.items()}
        return case(words, value=filterable.expression, else_="")
    match filterable.kind:
        case Kind.TEXT:
            return filterable.expression
        case Kind.SECONDS:
            return _DateText(filterable.expression)
        case Kind.NANOSECONDS:
            return _DateText(_whole_seconds(filterable.expression))
        case Kind.BYTES:
            return _BytesText(filterable.expression)
        case Kind.PERMISSION:
            return _octal_text(filterable.expression)
        case _:
            return cast(filterable.expression, Text)


def _whole_seconds(nanoseconds: ColumnElement[Any]) -> ColumnElement[Any]:
    """Rounded down, also before 1970, where integer division rounds up."""
    rest = (nanoseconds % BILLION + BILLION) % BILLION
    # The cast keeps the difference together: an operator of `op` brings no brackets of its own.
    return cast(nanoseconds - rest, BigInteger).op("/")(BILLION)


def _octal_text(mode: ColumnElement[Any]) -> ColumnElement[Any]:
    digits = [(mode.op(">>")(shift)).op("&")(7) for shift in (15, 12, 9, 6, 3, 0)]
    number: ColumnElement[Any] = digits[0]
    for digit in digits[1:]:
        number = number * 10 + digit
    return cast(number, Text)


ANY_RUN, ANY_ONE = object(), object()


def pattern_parts(pattern: str) -> tuple[object, ...]:
    """The pattern as characters and the marks ANY_RUN and ANY_ONE."""
    parts: list[object] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(next(characters, "\\"))
        elif character == "%":
            parts.append(ANY_RUN)
        else:
            parts.append(ANY_ONE if character == "_" else character)
    return tuple(parts)


def cases(character: str) -> str:
    """The character in its cases, each one character long."""
    both = {character, character.lower(), character.upper()}
    return "".join(sorted(each for each in both if len(each) == 1))


class _Matches(GenericFunction[bool]):
    """Whether a text matches; SQLite's GLOB and PostgreSQL's regular expressions know classes of
    characters, so the cases of every letter can be spelt out and both databases agree."""

    name = "longshore_matches"
    inherit_cache = True

    def __init__(self, expression: ColumnElement[Any], parts: tuple[object, ...]) -> None:
        super().__init__(
            expression,
            bindparam(None, _glob(parts), type_=String(), unique=True),
            bindparam(None, _regular_expression(parts), type_=String(), unique=True),
        )


def _glob(parts: tuple[object, ...]) -> str:
    return "".join(_glob_part(part) for part in parts)


def _glob_part(part: object) -> str:
    if part is ANY_RUN:
        return "*"
    if part is ANY_ONE:
        return "?"
    spelt = cases(str(part))
    return f"[{spelt}]" if len(spelt) > 1 or spelt in "*?[" else spelt


def _regular_expression(parts: tuple[object, ...]) -> str:
    return f"^{''.join(_regular_part(part) for part in parts)}$"


def _regular_part(part: object) -> str:
    if part is ANY_RUN:
        return ".*"
    if part is ANY_ONE:
        return "."
    spelt = cases(str(part))
    if len(spelt) > 1:
        return f"[{spelt}]"
    return spelt if spelt.isalnum() else f"\\{spelt}" if spelt.isascii() else spelt


@compiles(_Matches, "sqlite")
def _matches_sqlite(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    expression, glob, _ = element.clauses
    return f"{compiler.process(expression, **options)} GLOB {compiler.process(glob, **options)}"


@compiles(_Matches, "postgresql")
def _matches_postgresql(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    expression, _, regular = element.clauses
    return f"{compiler.process(expression, **options)} ~ {compiler.process(regular, **options)}"


class _Unindexed(GenericFunction[Any]):
    """The expression in a form for which SQLite uses no index.

    SQLite keeps no statistics here and would guess; PostgreSQL decides by its own.
    """

    name = "longshore_unindexed"
    inherit_cache = True

    def __init__(self, expression: ColumnElement[Any]) -> None:
        super().__init__(expression)
        self.type = expression.type


@compiles(_Unindexed, "sqlite")
def _unindexed_sqlite(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(next(iter(element.clauses)), **options)}"


@compiles(_Unindexed, "postgresql")
def _unindexed_postgresql(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


class _Computed(GenericFunction[Any]):
    """The expression's value in a form for which neither database uses an index to sort."""

    name = "longshore_computed"
    inherit_cache = True

    def __init__(self, expression: ColumnElement[Any]) -> None:
        super().__init__(expression)
        self.type = expression.type


@compiles(_Computed, "sqlite")
def _computed_sqlite(element: _Computed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(next(iter(element.clauses)), **options)}"


@compiles(_Computed, "postgresql")
def _computed_postgresql(element: _Computed, compiler: SQLCompiler, **options: Any) -> str:
    nothing = "|| ''" if isinstance(element.type, String) else "+ 0"
    return f"({compiler.process(next(iter(element.clauses)), **options)} {nothing})"


def unindexed(filterables: Filterables, names: Container[str] | None = None) -> Filterables:
    """The same to filter by, without the indexes of these names (None = of all)."""
    return {
        name: replace(each, expression=_Unindexed(each.expression))
        if isinstance(each, Filterable) and (names is None or name in names)
        else each
        for name, each in filterables.items()
    }


def computed(sortables: Filterables) -> dict[str, Filterable]:
    """The same to sort by, without indexes."""
    return {
        name: replace(each, expression=_Computed(each.expression))
        for name, each in sortables.items()
        if isinstance(each, Filterable)
    }


class _CodePoints(GenericFunction[str]):
    """A text that compares and sorts by code points; SQLite's do so by themselves."""

    name = "longshore_code_points"
    type = Text()
    inherit_cache = True


@compiles(_CodePoints, "sqlite")
def _code_points_sqlite(element: _CodePoints, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


@compiles(_CodePoints, "postgresql")
def _code_points_postgresql(element: _CodePoints, compiler: SQLCompiler, **options: Any) -> str:
    return f'({compiler.process(next(iter(element.clauses)), **options)} COLLATE "C")'


def _in_order(filterable: Filterable) -> ColumnElement[Any]:
    """The expression as it compares: texts alike in both databases."""
    if filterable.kind is Kind.TEXT and filterable.codes is None:
        return _CodePoints(filterable.expression)
    return filterable.expression


class _DateText(GenericFunction[str]):
    """Seconds since 1970 as `2019-08-05T14:24:15Z`."""

    name = "longshore_date_text"
    type = Text()
    inherit_cache = True


@compiles(_DateText, "sqlite")
def _date_text_sqlite(element: _DateText, compiler: SQLCompiler, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {inner}, 'unixepoch')"


@compiles(_DateText, "postgresql")
def _date_text_postgresql(element: _DateText, compiler: SQLCompiler, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    form = """'YYYY-MM-DD"T"HH24:MI:SS"Z"'"""
    return f"to_char(to_timestamp({inner}) AT TIME ZONE 'UTC', {form})"


class _BytesText(GenericFunction[str]):
    """Bytes of a name as text."""

    name = "longshore_bytes_text"
    type = Text()
    inherit_cache = True


@compiles(_BytesText, "sqlite")
def _bytes_text_sqlite(element: _BytesText, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS TEXT)"


@compiles(_BytesText, "postgresql")
def _bytes_text_postgresql(element: _BytesText, compiler: SQLCompiler, **options: Any) -> str:
    # Bytes outside ASCII come escaped: names of any encoding may stand here.
    return f"encode({compiler.process(element.clauses, **options)}, 'escape')"


# ---------------------------------------------------------------------- order and identity


def order(
    filterables: Filterables, sort: Sequence[Sort], identity: ColumnElement[Any]
) -> list[ColumnElement[Any]]:
    """The order: unknown names skipped, null first when ascending, ties by identity."""
    keys: list[ColumnElement[Any]] = []
    for each in dict.fromkeys(sort):
        filterable = filterables.get(each.name)
        if isinstance(filterable, Filterable):
            keys.append(_key(filterable, descending=each.descending))
    return [*keys, identity]


def _key(filterable: Filterable, *, descending: bool) -> ColumnElement[Any]:
    expression = _in_order(filterable)
    if not filterable.nullable:
        return expression.desc() if descending else expression.asc()
    return expression.desc().nulls_last() if descending else expression.asc().nulls_first()


def paged(statement: Select[Any], page: Page) -> Select[Any]:
    """The statement with the page's limit and offset."""
    if page.limit is not None:
        statement = statement.limit(page.limit)
    return statement.offset(page.offset) if page.offset else statement


def find_id(
    connection: Connection,
    statement: Select[Any],
    *,
    identifier: str,
    identity: ColumnElement[int],
    names: Sequence[ColumnElement[str]] = (),
) -> int | None:
    """The id of the row that an identifier of a path means: by id, then by each name.

    The statement gives the rows that may be seen; of several with one name the lowest id wins.
    """
    text = read_text(identifier)
    if text is None:
        return None
    tried = [(identity == number) for number in _as_id(text)]
    tried += [name == text for name in names]
    for clause in tried:
        query = statement.with_only_columns(identity).where(clause).order_by(identity).limit(1)
        found = connection.execute(query).scalar()
        if found is not None:
            return int(found)
    return None


def _as_id(text: str) -> list[int]:
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        return []
    number = int(text)
    return [number] if number <= INTEGER_MAXIMUM else []


def count(connection: Connection, statement: Select[Any]) -> int:
    """How many rows the statement has, without its order."""
    counted = statement.with_only_columns(func.count(), maintain_column_froms=True)
    return int(connection.execute(counted.order_by(None)).scalar_one())
