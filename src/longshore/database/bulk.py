"""Many rows at once: columns of values instead of a statement and a dict for every row.

Recording a file writes two rows, so what a row costs above the database itself decides how many
files a second the controller keeps up with. SQLite gets some rows with each statement, which its
driver binds; PostgreSQL gets each column as one array.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table
from sqlalchemy.dialects import postgresql

GIVEN_ROWS_MAXIMUM = 250  # rows of one lookup; SQLite takes 32,766 parameters, some builds only 999

STATEMENT_ROWS = (100, 25, 1)
"""Inserted by one statement of SQLite: as many as are left, and as fit. With 100 instead of 25, a
row takes a tenth less; still more gain nothing."""

PARAMETERS_MAXIMUM = 999  # of one statement, in builds of SQLite that take the fewest
EVEN_ROWS_MINIMUM = 50  # below, a statement of its own costs more than binding what is the same

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
    even: Collection[str] = (),
    conflict: str = "",
) -> None:
    """Insert a row for each place of the columns, all with the fixed values besides.

    Columns that hold nothing but null are left out. Of `even` ones, which are of numbers and mostly
    hold a single one, that stands in the statement: no row has to bring it. `conflict` is an ON
    CONFLICT clause, as both databases understand it. With one, no two of the rows may mean the same
    place: PostgreSQL refuses to write a row twice in a statement.
    """
    kept = {name: column for name, column in columns.items() if not _is_empty(column)}
    literals = {name: _literal(value) for name, value in (fixed or {}).items()}
    if len(next(iter(columns.values()))) >= EVEN_ROWS_MINIMUM:
        for name in even:
            column = columns[name]
            if column.count(column[0]) == len(column):
                literals[name] = _literal(kept.pop(name)[0])
    names = ", ".join((*kept, *literals))
    if connection.dialect.name == "sqlite":
        row = f"({', '.join((*repeat('?', len(kept)), *literals.values()))})"
        for rows, parameters in _statements(table, kept):
            values = ", ".join(repeat(row, rows))
            statement = f"INSERT INTO {table.name} ({names}) VALUES {values} {conflict}"
            connection.exec_driver_sql(statement, parameters)
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
        result = connection.exec_driver_sql(statement, parameters)
        # The rows of the driver itself: a third of the time, and nobody asks for their names.
        rows = result.cursor.fetchall() if result.cursor is not None else []
        result.close()
        yield from rows


# ------------------------------------------------------------------------------- inside


def _statements(table: Table, columns: Columns) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """(rows of a statement, parameters of each time that it is carried out): all rows in order."""
    bound = _bound(table, columns)
    width, length = len(bound), len(bound[0])
    flat: list[Any] = [None] * (width * length)
    for place, column in enumerate(bound):
        flat[place::width] = column
    first = 0
    for rows in STATEMENT_ROWS:
        step = rows * width
        last = len(flat) - (len(flat) - first) % step
        if last > first and (step <= PARAMETERS_MAXIMUM or rows == 1):
            yield rows, [tuple(flat[i : i + step]) for i in range(first, last, step)]
            first = last


def _rows(table: Table, columns: Columns) -> list[tuple[Any, ...]]:
    return list(zip(*_bound(table, columns), strict=True))


def _bound(table: Table, columns: Columns) -> list[Sequence[Any]]:
    # The driver of SQLite asks for an adapter of every `bytes`, but binds a bytearray at once.
    return [
        _as_bytearrays(column) if isinstance(table.c[name].type, LargeBinary) else column
        for name, column in columns.items()
    ]


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
