"""The places of copies, as conditions that queries of copies share."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, or_

from longshore.database.path_keys import path_keys
from longshore.database.tables.catalogue import copies
from longshore.domain.storage import StorageReference


def lie_at(storage: StorageReference, paths: Sequence[bytes]) -> ColumnElement[bool]:
    """At one of these paths of the storage; the index finds them however many copies it has."""
    return and_(share_keys(storage, paths), copies.c.path.in_(paths))


def share_keys(storage: StorageReference, paths: Sequence[bytes]) -> ColumnElement[bool]:
    """On the storage, and each path has the key of one of these: seldom it is another path."""
    return and_(copies.c.path_key.in_(path_keys(paths)), _lie_on(storage))


def lie_in(storage: StorageReference, path: bytes) -> ColumnElement[bool]:
    """At this path of the storage or below it; b"" is all of it."""
    if not path:
        return _lie_on(storage)
    below = and_(copies.c.path > path + b"/", copies.c.path < path + b"0")  # 0 follows the slash
    return and_(_lie_on(storage), or_(copies.c.path == path, below))


def _lie_on(storage: StorageReference) -> ColumnElement[bool]:
    return and_(copies.c.storage_kind == storage.kind.value, copies.c.storage_id == storage.id)
