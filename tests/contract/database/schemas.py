"""What a database consists of, as texts to be compared: tables, indexes, triggers and rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, inspect, text

_IN_SCHEMA = "namespace.oid = {}namespace AND namespace.nspname = current_schema()"
_TABLES = f"pg_class AS owner, pg_namespace AS namespace WHERE {_IN_SCHEMA.format('rel')}"
_ASKED = {
    "column": (
        "SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, "
        "attcollation::regcollation::text, pg_get_expr(adbin, adrelid) "
        "FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum, "
        f"{_TABLES} AND owner.oid = attrelid AND attnum > 0 AND NOT attisdropped"
    ),
    "index": f"SELECT pg_get_indexdef(owner.oid) FROM {_TABLES} AND relkind = 'i'",
    "constraint": (
        "SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid) "
        f"FROM pg_constraint, {_TABLES} AND owner.oid = conrelid"
    ),
    "trigger": (
        "SELECT pg_get_triggerdef(pg_trigger.oid) "
        f"FROM pg_trigger, {_TABLES} AND owner.oid = tgrelid AND NOT tgisinternal"
    ),
    "function": (
        "SELECT pg_get_functiondef(pg_proc.oid) FROM pg_proc, pg_namespace AS namespace "
        f"WHERE {_IN_SCHEMA.format('pro')}"
    ),
    "sequence": "SELECT * FROM pg_sequences",
}
"""What PostgreSQL's own tables say, whatever the order in which columns were added."""


def schema(connection: Connection) -> list[tuple[str, ...]]:
    """Everything that was declared, in one order."""
    if connection.dialect.name == "postgresql":
        return _described(connection)
    query = text("SELECT name, sql FROM sqlite_master")
    return sorted(_normal(row) for row in connection.execute(query))


def _described(connection: Connection) -> list[tuple[str, ...]]:
    return sorted(
        (kind, *map(str, row))
        for kind, query in _ASKED.items()
        for row in connection.execute(text(query))
    )


def _normal(row: Row[Any]) -> tuple[str, ...]:
    """The statement's words in alphabetical order: columns and constraints come in any order."""
    return (row.name, *sorted(re.findall(r"\w+", row.sql or "")))


def rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table."""
    quoted: Callable[[str], str] = connection.dialect.identifier_preparer.quote
    return {
        name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {quoted(name)}"))]
        for name in sorted(inspect(connection).get_table_names())
    }
