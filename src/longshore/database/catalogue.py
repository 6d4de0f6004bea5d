"""Writing the catalogue: its tree of nodes, and the copies that point to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash
from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from longshore.database import bulk, identifiers, node_rows
from longshore.database.node_rows import NODE_IDS, NodeState, Siblings
from longshore.database.tables import copies, nodes
from longshore.domain.copy_choice import REACH, StoredCopy
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.paths import join
from longshore.domain.storage import StorageKind, StorageReference


def create_root(connection: Connection, name: str) -> int:
    """The id of a new tree's root, for a container or a primary pool."""
    node_id = identifiers.reserve(connection, NODE_IDS, 1)
    connection.execute(
        insert(nodes),
        node_values(Entry(name.encode(), EntryKind.FOLDER, 0, 0o40755, 0, 0, 0, 0, 0))
        | {"id": node_id, "root_id": node_id, "parent_id": None},
    )
    return node_id


def rename_root(connection: Connection, root_id: int, name: str) -> None:
    """Show the root under its storage's new name."""
    connection.execute(update(nodes).where(nodes.c.id == root_id).values(name=name.encode()))


def find(connection: Connection, root_id: int, names: list[bytes]) -> int | None:
    """The id of the node that the names lead to from the root, if the catalogue has it."""
    node_id: int | None = root_id
    for name in names:
        query = select(nodes.c.id).where(nodes.c.parent_id == node_id, nodes.c.name == name)
        node_id = connection.execute(query).scalar()
        if node_id is None:
            return None
    return node_id


def ensure(connection: Connection, root_id: int, chain: list[Entry]) -> int:
    """The id of the last entry of the chain from the root down; missing nodes are made."""
    parent_id = root_id
    for entry in chain:
        found = find(connection, parent_id, [entry.name])
        if found is None:
            found = identifiers.reserve(connection, NODE_IDS, 1)
            connection.execute(
                insert(nodes),
                node_values(entry) | {"id": found, "root_id": root_id, "parent_id": parent_id},
            )
        parent_id = found
    return parent_id


def node_values(entry: Entry) -> dict[str, object]:
    """The columns of a node that come from its storage."""
    return {
        "name": entry.name,
        "kind": entry.kind.value,
        "size": entry.size,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime_ns": entry.mtime_ns,
        "atime_ns": entry.atime_ns,
        "ctime_ns": entry.ctime_ns,
        "link_target": entry.link_target or None,
        "state": NodeState.LIVE.value,
    }


def note_lost(connection: Connection, node_id: int, lost: bytes) -> None:
    """Keep what a copy of a folder does not bear, as domain.fidelity encodes it."""
    connection.execute(update(nodes).where(nodes.c.id == node_id).values(lost=lost))


def children_between(
    connection: Connection, parent_id: int, first: bytes, last: bytes
) -> dict[bytes, int]:
    """The ids of the parent's nodes whose names lie between the two, both included, by name."""
    query = select(nodes.c.name, nodes.c.id).where(
        nodes.c.parent_id == parent_id, nodes.c.name >= first, nodes.c.name <= last
    )
    return {bytes(name): node_id for name, node_id in connection.execute(query)}


def put(
    connection: Connection, root_id: int, parent_id: int, entries: Sequence[Entry]
) -> dict[bytes, int]:
    """Make or update the nodes of one folder; their ids by name."""
    (ids,) = node_rows.put_all(connection, [Siblings(root_id, parent_id, entries)])
    return {entry.name: node_id for entry, node_id in zip(entries, ids, strict=True)}


# --------------------------------------------------------------------------------- copies


def path_key(path: bytes) -> int:
    """A number by which an index finds the path: small, and near those of the same folder.

    The upper half is the folder's hash, the lower half the name's, so that the copies of a folder
    share a few pages of the index however big the catalogue is.
    """
    (key,) = path_keys((path,))
    return key


def path_keys(paths: Iterable[bytes]) -> list[int]:
    """The keys of many paths: those of one folder mostly come one behind the other."""
    digest = xxhash.xxh32_intdigest
    known, upper = None, 0
    keys = []
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        if folder != known:
            known, upper = folder, digest(folder) << 32
            if upper >= 1 << 63:
                upper -= 1 << 64
        keys.append(upper | digest(name))
    return keys


def put_copies(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Make copies, or write over what was known of the same file at the same place."""
    if rows:
        bulk.insert(connection, copies, _columns(rows), conflict=_WRITE_OVER)


def put_copies_in(
    connection: Connection,
    storage: StorageReference,
    columns: bulk.Columns,
    execution_id: int,
    *,
    verified: bool,
) -> None:
    """As put_copies, of one storage and execution: the other columns, but for path_key."""
    fixed = _fixed(storage, execution_id, verified=verified)
    bulk.insert(connection, copies, _with_keys(columns), fixed=fixed, conflict=_WRITE_OVER)


def put_found_copies_in(
    connection: Connection, storage: StorageReference, columns: bulk.Columns, execution_id: int
) -> None:
    """As put_found_copies, of one storage and execution: the other columns, but for path_key."""
    fixed = _fixed(storage, execution_id, verified=False)
    bulk.insert(connection, copies, _with_keys(columns), fixed=fixed, conflict=_WRITE_FOUND)


def put_found_copies(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Make copies that were found, not written: what is known of the same state of them stays."""
    if rows:
        bulk.insert(connection, copies, _columns(rows), conflict=_WRITE_FOUND)


def _columns(rows: Sequence[dict[str, object]]) -> dict[str, list[object]]:
    """The rows as columns; of several of one place the last one counts."""
    kept = {
        (row["file_id"], row["storage_kind"], row["storage_id"], row["path"]): row for row in rows
    }.values()
    return {name: [row[name] for row in kept] for name in rows[0]}


def _fixed(storage: StorageReference, execution_id: int, *, verified: bool) -> dict[str, int]:
    return {
        "storage_kind": storage.kind.value,
        "storage_id": storage.id,
        "execution_id": execution_id,
        "live": True,
        "verified": verified,
    }


def _with_keys(columns: bulk.Columns) -> bulk.Columns:
    return {**columns, "path_key": path_keys(columns["path"])}


_KNOWN = ("checksum_kind", "checksum", "xxh3_128")
_ON_COPY = "ON CONFLICT (file_id, storage_kind, storage_id, path) DO UPDATE SET"
_REWRITTEN = ("size", "mtime_ns", *_KNOWN, "live", "execution_id", "written_ns", "lost", "verified")
_WRITE_OVER = f"{_ON_COPY} {', '.join(f'{name} = excluded.{name}' for name in _REWRITTEN)}"

_SAME = "copies.size = excluded.size AND copies.mtime_ns = excluded.mtime_ns"
_AS_FOUND = ", ".join(
    f"{name} = CASE WHEN {_SAME} THEN copies.{name} ELSE excluded.{name} END" for name in _KNOWN
)
_WRITE_FOUND = (
    f"{_ON_COPY} {_AS_FOUND}, size = excluded.size, mtime_ns = excluded.mtime_ns, live = TRUE, "
    f"verified = CASE WHEN {_SAME} OR copies.xxh3_128 = excluded.xxh3_128 "
    "THEN copies.verified ELSE FALSE END "
    f"WHERE NOT (copies.live AND {_SAME})"
)
"""Nothing is written where the copy is known as it was found. What is known of another state of it
is not true any more: then only what has come with this one is."""


def end_other_copies(
    connection: Connection, storage: StorageReference, path: bytes, file_id: int | None
) -> None:
    """The place now holds another file's content: copies of other files there are dead."""
    connection.execute(
        update(copies)
        .where(
            copies.c.path_key == path_key(path),
            copies.c.storage_id == storage.id,
            copies.c.storage_kind == storage.kind.value,
            copies.c.path == path,
            copies.c.file_id != (file_id or 0),
        )
        .values(live=False)
    )


def end_copies_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> None:
    """Nothing lies at these paths of the storage any more."""
    if paths:
        connection.execute(
            update(copies)
            .where(
                copies.c.path_key.in_(path_keys(paths)),
                copies.c.storage_id == storage.id,
                copies.c.storage_kind == storage.kind.value,
                copies.c.path.in_(paths),
            )
            .values(live=False)
        )


def set_state(
    connection: Connection, parent_id: int, names: Sequence[bytes], state: NodeState
) -> None:
    """Write the state of nodes of one folder."""
    connection.execute(
        update(nodes)
        .where(nodes.c.parent_id == parent_id, nodes.c.name.in_(names))
        .values(state=state.value)
    )


def set_state_of(connection: Connection, node_ids: Sequence[int], state: NodeState) -> None:
    """Write the state of nodes."""
    if node_ids:
        connection.execute(update(nodes).where(nodes.c.id.in_(node_ids)).values(state=state.value))


def unkept_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> dict[bytes, tuple[int, bytes]]:
    """(size, what they do not bear of their originals) of the live copies at the paths, by path."""
    query = select(copies.c.path, copies.c.size, copies.c.lost).where(
        copies.c.path_key.in_(path_keys(paths)),
        copies.c.storage_id == storage.id,
        copies.c.storage_kind == storage.kind.value,
        copies.c.live,
        copies.c.lost.is_not(None),
    )
    return {bytes(path): (size, bytes(lost)) for path, size, lost in connection.execute(query)}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCopy:
    """A copy: where it lies on its storage, and which state of the file it holds."""

    path: bytes
    size: int
    mtime_ns: int
    xxh3_128: bytes  # b"" = unknown
    checksum_kind: str | None
    checksum: bytes


def copies_of(
    connection: Connection,
    file_ids: Sequence[int],
    storage: StorageReference,
    execution_ids: Sequence[int],
) -> dict[int, list[HeldCopy]]:
    """The files' live copies on the storage that these executions wrote, by file."""
    query = select(copies).where(
        copies.c.file_id.in_(file_ids),
        copies.c.storage_kind == storage.kind.value,
        copies.c.storage_id == storage.id,
        copies.c.execution_id.in_(execution_ids),
        copies.c.live,
    )
    found: dict[int, list[HeldCopy]] = {}
    for row in connection.execute(query):
        copy = HeldCopy(
            path=bytes(row.path),
            size=row.size,
            mtime_ns=row.mtime_ns,
            xxh3_128=bytes(row.xxh3_128 or b""),
            checksum_kind=row.checksum_kind,
            checksum=bytes(row.checksum or b""),
        )
        found.setdefault(row.file_id, []).append(copy)
    return found


def each_copy_of(
    connection: Connection, file_ids: Sequence[int]
) -> Iterator[tuple[int, StoredCopy]]:
    """The live copies of the files on secondary storage, file by file: one may have very many."""
    query = (
        select(copies)
        .where(
            copies.c.file_id.in_(file_ids),
            copies.c.storage_kind.in_([kind.value for kind in REACH]),
            copies.c.live,
        )
        .order_by(copies.c.file_id)
    )
    for row in connection.execute(query):
        yield (
            row.file_id,
            StoredCopy(
                storage=StorageReference(StorageKind(row.storage_kind), row.storage_id),
                path=bytes(row.path),
                size=row.size,
                mtime_ns=row.mtime_ns,
                execution_id=row.execution_id,
                written_ns=row.written_ns,
                xxh3_128=bytes(row.xxh3_128 or b""),
                checksum_kind=row.checksum_kind or "",
                checksum=bytes(row.checksum or b""),
                unkept=bytes(row.lost or b""),
            ),
        )


def files_with_copies(
    connection: Connection,
    first_id: int,
    last_id: int,
    places: Collection[tuple[StorageReference, bytes]],
) -> list[int]:
    """The files and links with an id in this range, both included, and a live copy at a place.

    A place is a storage with the path of a file or folder: b"" is all of it.
    """
    query = (
        select(copies.c.file_id)
        .distinct()
        .join(nodes, nodes.c.id == copies.c.file_id)
        .where(
            copies.c.file_id.between(first_id, last_id),
            copies.c.live,
            or_(*(_lies_in(storage, path) for storage, path in places)),
            nodes.c.kind != EntryKind.FOLDER.value,
        )
        .order_by(copies.c.file_id)
    )
    return list(connection.execute(query).scalars())


def _lies_in(storage: StorageReference, path: bytes) -> ColumnElement[bool]:
    there = and_(copies.c.storage_kind == storage.kind.value, copies.c.storage_id == storage.id)
    if not path:
        return there
    below = and_(copies.c.path > path + b"/", copies.c.path < path + b"0")  # 0 follows the slash
    return and_(there, or_(copies.c.path == path, below))


def last_file_with_copies(connection: Connection) -> int:
    """The highest id of a file or folder that has, or had, a copy; 0 where there is none."""
    return connection.execute(select(func.max(copies.c.file_id))).scalar() or 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the catalogue has a file: the root, the folder's path in it, the name."""

    root_id: int
    folder: bytes
    name: bytes


def places_of(connection: Connection, node_ids: Sequence[int]) -> dict[int, Place]:
    """The places of nodes, by id; unknown ids are left out."""
    columns = (nodes.c.id, nodes.c.root_id, nodes.c.parent_id, nodes.c.name)
    query = select(*columns).where(nodes.c.id.in_(node_ids))
    folders: dict[int, bytes] = {}
    return {
        node_id: Place(root_id, _path_of(connection, parent_id, root_id, folders), bytes(name))
        for node_id, root_id, parent_id, name in connection.execute(query).all()
        if parent_id is not None
    }


def _path_of(connection: Connection, node_id: int, root_id: int, known: dict[int, bytes]) -> bytes:
    """The path of a folder inside its root."""
    if node_id == root_id:
        return b""
    if node_id not in known:
        query = select(nodes.c.parent_id, nodes.c.name).where(nodes.c.id == node_id)
        parent_id, name = connection.execute(query).one()
        above = _path_of(connection, parent_id, root_id, known)
        known[node_id] = join(above, bytes(name))
    return known[node_id]


@dataclass(frozen=True, slots=True)
class FolderNode:
    """A folder of the catalogue: its path in its root, and what is known of it."""

    id: int
    root_id: int
    path: bytes
    entry: Entry
    lost: bytes  # what a copy of it does not bear


def folders_above(connection: Connection, node_ids: Sequence[int]) -> dict[int, FolderNode]:
    """The nodes that are folders, and all folders above any of the nodes, by id; no roots."""
    rows: dict[int, Row[Any]] = {}
    wanted = set(node_ids)
    while wanted:
        found = connection.execute(select(nodes).where(nodes.c.id.in_(wanted))).all()
        rows |= {row.id: row for row in found if row.parent_id is not None}
        wanted = {row.parent_id for row in found if row.parent_id is not None} - rows.keys()
    folders: dict[int, FolderNode] = {}
    for row in rows.values():
        if row.kind == EntryKind.FOLDER.value:
            _add_folder(row, rows, folders)
    return folders


def _add_folder(row: Row[Any], rows: dict[int, Row[Any]], folders: dict[int, FolderNode]) -> bytes:
    """Add the folder and those above it; its path."""
    if row.id not in folders:
        above = rows.get(row.parent_id)
        parent = b"" if above is None else _add_folder(above, rows, folders)
        name = bytes(row.name)
        entry = Entry(
            name, EntryKind.FOLDER, 0, row.mode, row.uid, row.gid,
            row.mtime_ns, row.atime_ns, row.ctime_ns,
        )  # fmt: skip
        path = join(parent, name)
        folders[row.id] = FolderNode(row.id, row.root_id, path, entry, bytes(row.lost or b""))
    return folders[row.id].path


def hashes_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> dict[bytes, bytes]:
    """The XXH3-128 on record of the live copies at the paths of the storage, by path."""
    query = select(copies.c.path, copies.c.xxh3_128).where(
        copies.c.path_key.in_(path_keys(paths)),
        copies.c.storage_id == storage.id,
        copies.c.storage_kind == storage.kind.value,
        copies.c.live,
        copies.c.xxh3_128.is_not(None),
    )
    return {bytes(path): bytes(digest) for path, digest in connection.execute(query)}


def note_checked(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes], *, sound: bool
) -> None:
    """The live copies at these paths were read, and are what is on record, or are not."""
    if paths:
        connection.execute(
            update(copies)
            .where(
                copies.c.path_key.in_(path_keys(paths)),
                copies.c.storage_id == storage.id,
                copies.c.storage_kind == storage.kind.value,
                copies.c.path.in_(paths),
                copies.c.live,
            )
            .values(verified=sound)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """The state of a file that a live copy with a checksum holds, and who has written it."""

    size: int
    mtime_ns: int
    verified: bool | None  # None: written before anybody kept that
    execution_id: int


def archived_on(
    connection: Connection, file_ids: Sequence[int], storages: Collection[StorageReference]
) -> dict[int, list[Archived]]:
    """The files' live copies with a checksum on these storages, by file."""
    columns = (copies.c.storage_kind, copies.c.storage_id)
    state = (copies.c.size, copies.c.mtime_ns, copies.c.verified, copies.c.execution_id)
    query = select(copies.c.file_id, *columns, *state).where(
        copies.c.file_id.in_(file_ids), copies.c.live, copies.c.xxh3_128.is_not(None)
    )
    found: dict[int, list[Archived]] = {}
    for row in connection.execute(query):
        if StorageReference(StorageKind(row.storage_kind), row.storage_id) in storages:
            copy = Archived(
                size=row.size,
                mtime_ns=row.mtime_ns,
                verified=row.verified,
                execution_id=row.execution_id,
            )
            found.setdefault(row.file_id, []).append(copy)
    return found


def note_vanished(
    connection: Connection, parent_id: int, after: bytes, last: bytes, names: Sequence[bytes]
) -> None:
    """Of the live nodes behind `after` and up to `last` only these are still there."""
    present = set(names)
    bounds = [nodes.c.name > after, *([nodes.c.name <= last] if last else [])]
    query = select(nodes.c.id, nodes.c.name).where(
        nodes.c.parent_id == parent_id, nodes.c.state == NodeState.LIVE.value, *bounds
    )
    gone = [node_id for node_id, name in connection.execute(query) if bytes(name) not in present]
    if gone:
        connection.execute(
            update(nodes).where(nodes.c.id.in_(gone)).values(state=NodeState.VANISHED.value)
        )


def files_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> dict[bytes, int]:
    """The files whose live copies lie at the paths of the storage, by path."""
    query = select(copies.c.path, copies.c.file_id).where(
        copies.c.path_key.in_(path_keys(paths)),
        copies.c.storage_id == storage.id,
        copies.c.storage_kind == storage.kind.value,
        copies.c.live,
    )
    return {bytes(path): file_id for path, file_id in connection.execute(query)}
