"""Entries of the catalogue as the api shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from longshore.api.rendering import date_of_nanoseconds, permission
from longshore.domain import paths
from longshore.domain.entry import EntryKind


def render_node(node: Row[Any]) -> dict[str, object]:
    """An entry without the numbers of its copies."""
    return {
        "id": node.id,
        "name": paths.to_text(node.name),
        "parent": node.parent_id,
        "primary_id": node.root_id,
        "type": "folder" if node.kind == EntryKind.FOLDER else "file",
        "permission": permission(node.mode),
        "size": node.size,
        "change_date": date_of_nanoseconds(node.ctime_ns),
        "modification_date": date_of_nanoseconds(node.mtime_ns),
        "access_date": date_of_nanoseconds(node.atime_ns),
        "uid": node.uid,
        "gid": node.gid,
    }
