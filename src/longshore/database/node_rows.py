"""Writing many nodes of the catalogue's tree at once, of many folders.

Each function takes a few statements however many nodes and folders there are. Nodes that are in the
tree as they shall be are not written, so that looking at unchanged files changes no page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import repeat
from typing import Any

from sqlalchemy import Connection

from longshore.database import bulk, identifiers
from longshore.database.bulk import Given
from longshore.database.tables.catalogue import nodes
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
_EVEN = ("kind", "mode", "uid", "gid", "state")
"""Columns that mostly hold one value for all files of a batch."""

_Row = tuple[Any, ...]
"""Of the tree: parent, name, id, and what is written."""

_WITHIN = (
    "found.parent_id = given.parent_id AND found.name >= given.first AND found.name <= given.last"
)
_LIVE = NodeState.LIVE.value


def put_all(connection: Connection, groups: Sequence[Siblings]) -> list[list[int]]:
    """Make or update the nodes of these entries; the ids of each group's, in their order.

    Of entries with the same name in one folder the last one counts.
    """
    putting = _Putting(_known(connection, groups))
    placed = [putting.place(group) for group in groups]
    _update(connection, putting.changed)
    first = _make(connection, putting)
    # What is new has its place among the new ones instead of an id so far: the first is -1.
    return [[node_id if node_id >= 0 else first - 1 - node_id for node_id in ids] for ids in placed]


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
    ids = {(parent_id, name): node_id for parent_id, name, node_id in rows}
    missing = {key: root_id for root_id, key in zip(root_ids, keys, strict=True) if key not in ids}
    putting = _Putting({})
    for (parent_id, name), root_id in missing.items():
        unknown = Entry(name, EntryKind.FOLDER, 0, 0o40755, 0, 0, 0, 0, 0)
        putting.place(Siblings(root_id, parent_id, [unknown]))
    first = _make(connection, putting)
    ids |= dict(zip(missing, range(first, first + len(missing)), strict=True))
    return [ids[key] for key in keys]


@dataclass(slots=True)
class _Putting:
    """What has to be written: nodes that are not in the tree, and those that are not as there."""

    known: dict[int, dict[bytes, _Row]]  # by parent and name
    root_ids: list[int] = field(default_factory=list)  # of the new ones, as the next two
    parent_ids: list[int] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    changed: dict[int, Entry] = field(default_factory=dict)  # by id
    _placed: dict[int, dict[bytes, int]] = field(default_factory=dict)  # new, by parent and name

    def place(self, group: Siblings) -> list[int]:
        """The ids of the group's entries; of new ones minus their number among all new ones."""
        known, names = self.known.get(group.parent_id), [entry.name for entry in group.entries]
        placed = self._placed.get(group.parent_id)
        first = len(self.entries) + 1
        ids = list(range(-first, -first - len(names), -1))
        new = dict(zip(names, ids, strict=True))
        if known is not None or placed is not None or len(new) < len(names):
            return self._place_each(group, known or {})
        self._placed[group.parent_id] = new
        self._add(group, group.entries)
        return ids

    def _place_each(self, group: Siblings, known: dict[bytes, _Row]) -> list[int]:
        placed = self._placed.setdefault(group.parent_id, {})
        ids = []
        for entry in group.entries:
            row = known.get(entry.name)
            if row is not None:
                node_id = row[2]
                if row[3:] != _values(entry):
                    self.changed[node_id] = entry
                elif node_id in self.changed:
                    del self.changed[node_id]  # an earlier entry of this name was another
            elif entry.name in placed:
                node_id = placed[entry.name]
                self.entries[-node_id - 1] = entry
            else:
                self._add(group, (entry,))
                node_id = placed[entry.name] = -len(self.entries)
            ids.append(node_id)
        return ids

    def _add(self, group: Siblings, entries: Sequence[Entry]) -> None:
        self.entries += entries
        self.root_ids += repeat(group.root_id, len(entries))
        self.parent_ids += repeat(group.parent_id, len(entries))


def _values(entry: Entry) -> _Row:
    return (
        entry.kind, entry.size, entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.atime_ns,
        entry.ctime_ns, entry.link_target or None, _LIVE,
    )  # fmt: skip


def _columns(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    return {
        "kind": [int(entry.kind) for entry in entries],
        "size": [entry.size for entry in entries],
        "mode": [entry.mode for entry in entries],
        "uid": [entry.uid for entry in entries],
        "gid": [entry.gid for entry in entries],
        "mtime_ns": [entry.mtime_ns for entry in entries],
        "atime_ns": [entry.atime_ns for entry in entries],
        "ctime_ns": [entry.ctime_ns for entry in entries],
        "link_target": [entry.link_target or None for entry in entries],
        "state": [_LIVE] * len(entries),
    }


def _known(connection: Connection, groups: Sequence[Siblings]) -> dict[int, dict[bytes, _Row]]:
    """What the tree has between the first and the last name of each group, by parent and name."""
    groups = [group for group in groups if group.entries]
    if not groups:
        return {}
    names = [[entry.name for entry in group.entries] for group in groups]
    given: Given = {
        "parent_id": ("parent_id", [group.parent_id for group in groups]),
        "first": ("name", [min(each) for each in names]),
        "last": ("name", [max(each) for each in names]),
    }
    known: dict[int, dict[bytes, _Row]] = {}
    rows = bulk.look_up(connection, nodes, ("parent_id", "name", "id", *_WRITTEN), given, _WITHIN)
    parent_id, inside = None, {}
    for row in rows:
        if row[0] != parent_id:
            parent_id = row[0]
            inside = known.setdefault(parent_id, {})
        inside[row[1]] = row
    return known


def _update(connection: Connection, changed: Mapping[int, Entry]) -> None:
    if changed:
        columns = {"id": list(changed), **_columns(list(changed.values()))}
        bulk.update(connection, nodes, "id", columns)


def _make(connection: Connection, putting: _Putting) -> int:
    """Insert the new nodes; the id of the first."""
    entries = putting.entries
    if not entries:
        return 0
    first = identifiers.reserve(connection, NODE_IDS, len(entries))
    columns = {
        "id": range(first, first + len(entries)),
        "root_id": putting.root_ids,
        "parent_id": putting.parent_ids,
        "name": [entry.name for entry in entries],
        **_columns(entries),
    }
    bulk.insert(connection, nodes, columns, even=_EVEN)
    return first
