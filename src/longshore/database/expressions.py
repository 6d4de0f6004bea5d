"""Expressions that SQLite and PostgreSQL write differently."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, Text, bindparam, cast
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from longshore.database.values import BILLION


class Among(GenericFunction[bool]):
    """`expression IN (all values of one JSON or array parameter)`; any number of values."""

    name = "longshore_among"
    inherit_cache = True


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    expression, values, _ = element.clauses
    listed = f"(SELECT value FROM json_each({compiler.process(values, **options)}))"  # noqa: S608
    return f"{compiler.process(expression, **options)} IN {listed}"


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    expression, _, values = element.clauses
    left = compiler.process(expression, **options)
    return f"{left} = ANY ({compiler.process(values, **options)})"


def among(expression: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether the expression is one of the values, however many they are."""
    return Among(
        expression,
        bindparam(None, json.dumps(values), type_=Text(), unique=True),
        bindparam(None, list(values), type_=ARRAY(expression.type), unique=True),
    )


class HexText(GenericFunction[str]):
    """Bytes as hexadecimal digits, small letters."""

    name = "longshore_hex_text"
    type = Text()
    inherit_cache = True


@compiles(HexText, "sqlite")
def _hex_text_sqlite(element: HexText, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower(hex({compiler.process(element.clauses, **options)}))"


@compiles(HexText, "postgresql")
def _hex_text_postgresql(element: HexText, compiler: SQLCompiler, **options: Any) -> str:
    return f"encode({compiler.process(element.clauses, **options)}, 'hex')"


def whole_seconds(nanoseconds: ColumnElement[Any]) -> ColumnElement[Any]:
    """Rounded down, also before 1970, where integer division rounds up."""
    rest = (nanoseconds % BILLION + BILLION) % BILLION
    # The cast keeps the difference together: an operator of `op` brings no brackets of its own.
    return cast(nanoseconds - rest, BigInteger).op("/")(BILLION)


def octal_text(mode: ColumnElement[Any]) -> ColumnElement[Any]:
    digits = [(mode.op(">>")(shift)).op("&")(7) for shift in (15, 12, 9, 6, 3, 0)]
    number: ColumnElement[Any] = digits[0]
    for digit in digits[1:]:
        number = number * 10 + digit
    return cast(number, Text)


ANY_RUN, ANY_ONE = object(), object()


class Matches(GenericFunction[bool]):
    """Whether a text matches; SQLite's GLOB and PostgreSQL's regular expressions know classes of
    characters, so the cases of every letter can be spelt out and both databases agree."""

    name = "longshore_matches"
    inherit_cache = True


@compiles(Matches, "sqlite")
def _matches_sqlite(element: Matches, compiler: SQLCompiler, **options: Any) -> str:
    expression, glob, _ = element.clauses
    return f"{compiler.process(expression, **options)} GLOB {compiler.process(glob, **options)}"


@compiles(Matches, "postgresql")
def _matches_postgresql(element: Matches, compiler: SQLCompiler, **options: Any) -> str:
    expression, _, regular = element.clauses
    return f"{compiler.process(expression, **options)} ~ {compiler.process(regular, **options)}"


class Unindexed(GenericFunction[Any]):
    """The expression in a form for which SQLite uses no index.

    SQLite keeps no statistics here and would guess; PostgreSQL decides by its own.
    """

    name = "longshore_unindexed"
    inherit_cache = True

    def __init__(self, expression: ColumnElement[Any]) -> None:
        super().__init__(expression)
        self.type = expression.type


@compiles(Unindexed, "sqlite")
def _unindexed_sqlite(element: Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(next(iter(element.clauses)), **options)}"


@compiles(Unindexed, "postgresql")
def _unindexed_postgresql(element: Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


class Computed(GenericFunction[Any]):
    """The expression's value in a form for which neither database uses an index to sort."""

    name = "longshore_computed"
    inherit_cache = True

    def __init__(self, expression: ColumnElement[Any]) -> None:
        super().__init__(expression)
        self.type = expression.type


@compiles(Computed, "sqlite")
def _computed_sqlite(element: Computed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(next(iter(element.clauses)), **options)}"


@compiles(Computed, "postgresql")
def _computed_postgresql(element: Computed, compiler: SQLCompiler, **options: Any) -> str:
    nothing = "|| ''" if isinstance(element.type, String) else "+ 0"
    return f"({compiler.process(next(iter(element.clauses)), **options)} {nothing})"


class CodePoints(GenericFunction[str]):
    """A text that compares and sorts by code points; SQLite's do so by themselves."""

    name = "longshore_code_points"
    type = Text()
    inherit_cache = True


@compiles(CodePoints, "sqlite")
def _code_points_sqlite(element: CodePoints, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


@compiles(CodePoints, "postgresql")
def _code_points_postgresql(element: CodePoints, compiler: SQLCompiler, **options: Any) -> str:
    return f'({compiler.process(next(iter(element.clauses)), **options)} COLLATE "C")'


class DateText(GenericFunction[str]):
    """Seconds since 1970 as `2019-08-05T14:24:15Z`."""

    name = "longshore_date_text"
    type = Text()
    inherit_cache = True


@compiles(DateText, "sqlite")
def _date_text_sqlite(element: DateText, compiler: SQLCompiler, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {inner}, 'unixepoch')"


@compiles(DateText, "postgresql")
def _date_text_postgresql(element: DateText, compiler: SQLCompiler, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    form = """'YYYY-MM-DD"T"HH24:MI:SS"Z"'"""
    return f"to_char(to_timestamp({inner}) AT TIME ZONE 'UTC', {form})"


class BytesText(GenericFunction[str]):
    """Bytes of a name as text."""

    name = "longshore_bytes_text"
    type = Text()
    inherit_cache = True


@compiles(BytesText, "sqlite")
def _bytes_text_sqlite(element: BytesText, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS TEXT)"


@compiles(BytesText, "postgresql")
def _bytes_text_postgresql(element: BytesText, compiler: SQLCompiler, **options: Any) -> str:
    # Bytes outside ASCII come escaped: names of any encoding may stand here.
    return f"encode({compiler.process(element.clauses, **options)}, 'escape')"
