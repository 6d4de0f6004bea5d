"""Writing many nodes of the catalogue's tree at once, of many folders.

Each function takes a few statements however many nodes and folders there are. Nodes that are in the
tree as they shall be are not written, so that looking at unchanged files changes no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection

from longshore.database import bulk, identifiers
from longshore.database.bulk import Given
from longshore.database.tables import nodes
from longshore.domain.entry import Entry, EntryKind

NODE_IDS = "nodes"


class NodeState(IntEnum):
    """Whether the file is still where its root says."""

    LIVE = 1
    VANISHED = 2  # a scan did not find it any more
    DELETED = 3  # erased; its copies may live on
    STUB = 4  # known and readable through its copies only


@dataclass(frozen=True, slots=True)
class Siblings:
    """Entries of one folder of the tree."""

    root_id: int
    parent_id: int
    entries: Sequence[Entry]


Key = tuple[int, bytes]  # parent and name

_WRITTEN = (
    "kind", "size", "mode", "uid", "gid", "mtime_ns", "atime_ns", "ctime_ns", "link_target",
    "state",
)  # fmt: skip
_Values = tuple[int, int, int, int, int, int, int, int, bytes | None, int]

_WITHIN = (
    "found.parent_id = given.parent_id AND found.name >= given.first AND found.name <= given.last"
)
_LIVE = NodeState.LIVE.value
_UNKNOWN_FOLDER: _Values = (
    EntryKind.FOLDER.value, 0, 0o40755, 0, 0, 0, 0, 0, None, _LIVE,
)  # fmt: skip


def put_all(connection: Connection, groups: Sequence[Siblings]) -> dict[Key, int]:
    """Make or update the nodes of these entries; their ids by parent and name.

    Of entries with the same name in one folder the last one counts.
    """
    wanted: dict[Key, tuple[int, _Values]] = {}
    for group in groups:
        root_id, parent_id = group.root_id, group.parent_id
        for entry in group.entries:
            wanted[parent_id, entry.name] = (root_id, _values(entry))
    if not wanted:
        return {}
    known = _known(connection, groups)
    ids: dict[Key, int] = {}
    changed: list[tuple[int, _Values]] = []
    missing: list[Key] = []
    for key, (_, values) in wanted.items():
        present = known.get(key)
        if present is None:
            missing.append(key)
            continue
        ids[key] = present[0]
        if present[1] != values:
            changed.append((present[0], values))
    _update(connection, changed)
    return ids | _make(connection, missing, wanted)


def folders(connection: Connection, root_ids: Sequence[int], keys: Sequence[Key]) -> list[int]:
    """The ids of the folders of these names, each in its root; those that there are not are made.

    What is known of folders stays. A new one has no metadata yet.
    """
    given: Given = {
        "parent_id": ("parent_id", [parent_id for parent_id, _ in keys]),
        "name": ("name", [name for _, name in keys]),
    }
    condition = "found.parent_id = given.parent_id AND found.name = given.name"
    rows = bulk.look_up(connection, nodes, ("parent_id", "name", "id"), given, condition)
    ids = {(parent_id, bytes(name)): node_id for parent_id, name, node_id in rows}
    wanted = {key: (root_id, _UNKNOWN_FOLDER) for root_id, key in zip(root_ids, keys, strict=True)}
    ids |= _make(connection, [key for key in wanted if key not in ids], wanted)
    return [ids[key] for key in keys]


def _values(entry: Entry) -> _Values:
    return (
        int(entry.kind), entry.size, entry.mode, entry.uid, entry.gid, entry.mtime_ns,
        entry.atime_ns, entry.ctime_ns, entry.link_target or None, _LIVE,
    )  # fmt: skip


def _known(connection: Connection, groups: Sequence[Siblings]) -> dict[Key, tuple[int, _Values]]:
    """What the tree has between the first and the last name of each group: id and values."""
    groups = [group for group in groups if group.entries]
    names = [[entry.name for entry in group.entries] for group in groups]
    given: Given = {
        "parent_id": ("parent_id", [group.parent_id for group in groups]),
        "first": ("name", [min(each) for each in names]),
        "last": ("name", [max(each) for each in names]),
    }
    rows = bulk.look_up(connection, nodes, ("parent_id", "name", "id", *_WRITTEN), given, _WITHIN)
    return {
        (parent_id, bytes(name)): (
            node_id,
            (*values[:-2], None if values[-2] is None else bytes(values[-2]), values[-1]),
        )
        for parent_id, name, node_id, *values in rows
    }


def _update(connection: Connection, changed: Sequence[tuple[int, _Values]]) -> None:
    if changed:
        columns = dict(
            zip(_WRITTEN, zip(*(values for _, values in changed), strict=True), strict=True)
        )
        bulk.update(connection, nodes, "id", {"id": [node_id for node_id, _ in changed], **columns})


def _make(
    connection: Connection, keys: Sequence[Key], wanted: dict[Key, tuple[int, _Values]]
) -> dict[Key, int]:
    """Insert the nodes; their ids."""
    if not keys:
        return {}
    first = identifiers.reserve(connection, NODE_IDS, len(keys))
    ids = range(first, first + len(keys))
    chosen = [wanted[key] for key in keys]
    places = {
        "id": ids,
        "root_id": [root_id for root_id, _ in chosen],
        "parent_id": [parent_id for parent_id, _ in keys],
        "name": [name for _, name in keys],
    }
    bulk.insert(connection, nodes, {**places, **_columns([values for _, values in chosen])})
    return dict(zip(keys, ids, strict=True))


def _columns(rows: Sequence[_Values]) -> dict[str, tuple[Any, ...]]:
    return dict(zip(_WRITTEN, zip(*rows, strict=True), strict=True))
