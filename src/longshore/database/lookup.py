"""Rows by the identifiers of paths: numbers or names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select

from longshore.database.values import INTEGER_MAXIMUM, read_text


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
