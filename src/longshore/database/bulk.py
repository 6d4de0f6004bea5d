"""Many rows at once: columns of values instead of a statement and a dict for every row.

Recording a file writes two rows, so what a row costs above the database itself decides how many
files a second the controller keeps up with. SQLite gets the rows of a statement one by one, bound
by its driver; PostgreSQL gets each column as one array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table
from sqlalchemy.dialects import postgresql

GIVEN_ROWS_MAXIMUM = 250  # rows of one lookup; SQLite takes 32,766 parameters, some builds only 999

Columns = Mapping[str, Sequence[Any]]
"""Values by the name of their column; all of the same length, which is not 0."""

Given = Mapping[str, tuple[str, Sequence[Any]]]
"""Values by a name of their own, with the column that has their type."""

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


def insert(
    connection: Connection,
    table: Table,
    columns: Columns,
    *,
    fixed: Mapping[str, int | bool] | None = None,
    conflict: str = "",
) -> None:
    """Insert a row for each place of the columns, all with the fixed values besides.

    Columns that hold nothing but null are left out. `conflict` is an ON CONFLICT clause, as both
    databases understand it. With one, no two of the rows may mean the same place: PostgreSQL
    refuses to write a row twice in a statement.
    """
    kept = {name: column for name, column in columns.items() if not _is_empty(column)}
    literals = {name: _literal(value) for name, value in (fixed or {}).items()}
    names = ", ".join((*kept, *literals))
    if connection.dialect.name == "sqlite":
        places = ", ".join((*repeat("?", len(kept)), *literals.values()))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({places}) {conflict}"
        connection.exec_driver_sql(statement, _rows(table, kept))
        return
    chosen = ", ".join((*(f"given.{name}" for name in kept), *literals.values()))
    given = _arrays(table, _own_types(kept))
    statement = f"INSERT INTO {table.name} ({names}) SELECT {chosen} FROM {given} {conflict}"
    connection.exec_driver_sql(statement, tuple(list(column) for column in kept.values()))


def update(connection: Connection, table: Table, key: str, columns: Columns) -> None:
    """Write the columns of the rows whose `key` is given as one of the columns."""
    changed = [name for name in columns if name != key]
    if connection.dialect.name == "sqlite":
        assignments = ", ".join(f"{name} = ?" for name in changed)
        statement = f"UPDATE {table.name} SET {assignments} WHERE {key} = ?"
        ordered = {name: columns[name] for name in (*changed, key)}
        connection.exec_driver_sql(statement, _rows(table, ordered))
        return
    assignments = ", ".join(f"{name} = given.{name}" for name in changed)
    statement = (
        f"UPDATE {table.name} SET {assignments} FROM {_arrays(table, _own_types(columns))} "
        f"WHERE {table.name}.{key} = given.{key}"
    )
    connection.exec_driver_sql(statement, tuple(list(column) for column in columns.values()))


def look_up(
    connection: Connection,
    table: Table,
    wanted: Sequence[str],
    given: Given,
    condition: str,
) -> Iterator[tuple[Any, ...]]:
    """The wanted columns of the table's rows for which the condition holds with a given row.

    The condition speaks of `found.<column>` and `given.<name>`, and should fit an index.
    """
    values = {name: column for name, (_, column) in given.items()}
    types = {name: type_of for name, (type_of, _) in given.items()}
    chosen = ", ".join(f"found.{name}" for name in wanted)
    length = len(next(iter(values.values())))
    for start in range(0, length, GIVEN_ROWS_MAXIMUM):
        part = {name: col[start : start + GIVEN_ROWS_MAXIMUM] for name, col in values.items()}
        source, parameters = _given(connection, table, types, part)
        # SQLite keeps the order of a cross join: for each given row it asks the index.
        statement = (
            f"SELECT {chosen} FROM {source} CROSS JOIN {table.name} AS found WHERE {condition}"
        )
        for row in connection.exec_driver_sql(statement, parameters):
            yield tuple(row)


# ------------------------------------------------------------------------------- inside


def _rows(table: Table, columns: Columns) -> list[tuple[Any, ...]]:
    # The driver of SQLite asks for an adapter of every `bytes`, but binds a bytearray at once.
    bound = [
        _as_bytearrays(column) if isinstance(table.c[name].type, LargeBinary) else column
        for name, column in columns.items()
    ]
    return list(zip(*bound, strict=True))


def _as_bytearrays(column: Sequence[Any]) -> Sequence[Any]:
    if None in column:
        return [None if value is None else bytearray(value) for value in column]
    return list(map(bytearray, column))


def _is_empty(column: Sequence[Any]) -> bool:
    """Whether it holds nothing but null, so that it can be left out."""
    return column[0] is None and column.count(None) == len(column)


def _own_types(columns: Columns) -> dict[str, str]:
    return {name: name for name in columns}


def _literal(value: int | bool) -> str:
    return str(value).upper() if isinstance(value, bool) else str(int(value))


def _given(
    connection: Connection, table: Table, types: Mapping[str, str], columns: Columns
) -> tuple[str, tuple[Any, ...]]:
    """The columns as a table `given`, and the parameters of that."""
    if connection.dialect.name != "sqlite":
        return _arrays(table, types), tuple(list(column) for column in columns.values())
    rows = list(zip(*columns.values(), strict=True))
    named = ", ".join(f"column{number} AS {name}" for number, name in enumerate(columns, start=1))
    places = ", ".join(repeat(f"({', '.join(repeat('?', len(columns)))})", len(rows)))
    return f"(SELECT {named} FROM (VALUES {places})) AS given", tuple(chain.from_iterable(rows))


def _arrays(table: Table, types: Mapping[str, str]) -> str:
    """A table `given` of PostgreSQL with one array for each column; `types` are its columns."""
    arrays = (f"%s::{table.c[of].type.compile(_POSTGRESQL)}[]" for of in types.values())
    return f"unnest({', '.join(arrays)}) AS given({', '.join(types)})"
