"""The catalogue as a tree: roots, folders, files and where their copies are.

Administrators see all of it. Other users see the trees of all primary pools, and of a container
what `guest_right` or a privilege lets them: one given to the user counts before one given to a
group, and that before `guest_right`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row

from longshore.database import clouds
from longshore.database import containers as container_rows
from longshore.database import files as file_rows
from longshore.database import nas as nas_rows
from longshore.database import nodes as node_rows
from longshore.database import pools as pool_rows
from longshore.database.connection import reading
from longshore.database.containers import Privilege
from longshore.database.files import Children, Copy, Place
from longshore.database.query import Page
from longshore.domain.entry import EntryKind
from longshore.domain.storage import GuestRight, PoolType, StorageKind
from longshore.services import containers, pool_lookup, system_accounts
from longshore.services.attributes import parse_id
from longshore.services.container_privileges import HolderType
from longshore.services.context import Context
from longshore.services.errors import NotFound
from longshore.services.principal import Principal

LIMIT_DEFAULT = 1_000  # entries of a listing that names no limit
COPIES_ENTRIES_MAXIMUM = 1_000  # entries whose copies are counted in one statement

_READING = {GuestRight.READ, GuestRight.READ_WRITE}


@dataclass(frozen=True, slots=True)
class Places:
    """On how many storages of each sort a file has live copies."""

    in_cache: int = 0  # in containers
    offline: int = 0  # on secondary storage that no container leads to
    extern: int = 0  # on ejected media


@dataclass(frozen=True, slots=True)
class Listing:
    """How many entries there are, and those of the page with their places, read as they go."""

    count: int
    rows: Iterator[tuple[Row[Any], Places]]


@dataclass(frozen=True, slots=True)
class NamedCopy:
    """A copy and the name of its storage, as long as the storage exists."""

    copy: Copy
    storage_name: str | None


@dataclass(frozen=True, slots=True)
class FileDetails:
    """An entry with its path from the roots down and all its copies."""

    row: Row[Any]
    places: Places
    path: bytes
    copies: list[NamedCopy]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where files were asked for: below a container, below a pool, or (neither) anywhere."""

    container: str | None = None
    pool: str | None = None


def index(context: Context, principal: Principal, scope: Scope, page: Page) -> Listing:
    """The roots; with a container or pool the entries directly below its root."""
    with reading(context.database.state) as connection:
        roots = _visible_roots(connection, context, principal, scope)
    if scope == Scope():
        return _root_listing(context, set(roots), page)
    if not roots:
        return Listing(0, iter(()))
    return _children_listing(context, next(iter(roots)), page)


def children(
    context: Context, principal: Principal, scope: Scope, parent: str, page: Page
) -> Listing:
    """The entries of a folder; none for a file. Raises NotFound."""
    node, _ = _resolve(context, principal, scope, parent)
    return _children_listing(context, node.id, page)


def show(context: Context, principal: Principal, scope: Scope, identifier: str) -> FileDetails:
    """One entry. Raises NotFound."""
    node, root_name = _resolve(context, principal, scope, identifier)
    with reading(context.database.journal) as connection:
        names = node_rows.names_from_root(connection, node)
        copies = file_rows.copies_of(connection, node.id)
    path = b"/" + b"/".join([root_name.encode(), *names])
    with reading(context.database.state) as connection:
        named = _named(connection, copies)
        behind = _storages_behind_containers(connection)
    live = [(c.file_id, c.storage_kind, c.storage_id) for c in copies if c.live]
    return FileDetails(node, _places(live, behind).get(node.id, Places()), path, named)


def require_pool(context: Context, identifier: str) -> None:
    """Return if there is such a pool. Raises NotFound."""
    with reading(context.database.state) as connection:
        pool_lookup.resolve(connection, identifier)


# ---------------------------------------------------------------------------------- access


def _visible_roots(
    connection: Connection, context: Context, principal: Principal, scope: Scope
) -> dict[int, str]:
    """The names of the storages whose trees this user may read, by the ids of their roots."""
    if scope.pool is not None:
        pools = [pool_lookup.resolve(connection, scope.pool)]
    else:
        pools = [] if scope.container is not None else pool_rows.with_roots(connection)
    found = {pool.root_id: pool.name for pool in pools if pool.root_id is not None}
    if scope.pool is not None:
        return found
    if scope.container is not None:
        listed = [containers.resolve(connection, scope.container)]
    else:
        listed = container_rows.with_roots(connection)
    readable = _Readable.of(connection, context, principal)
    visible = [each for each in listed if readable.allows(each.id, each.guest_right)]
    if scope.container is not None and not visible:
        raise NotFound("container")
    return found | {each.root_id: each.name for each in visible if each.root_id is not None}


@dataclass(frozen=True, slots=True)
class _Readable:
    """What one user may read in containers."""

    everything: bool
    privileges: dict[tuple[int, str], set[str]]  # (container, user or group) -> rights

    @classmethod
    def of(cls, connection: Connection, context: Context, principal: Principal) -> _Readable:
        if principal.administrator:
            return cls(everything=True, privileges={})
        groups = system_accounts.groups_of(principal.name, context.monotonic())
        given = container_rows.privileges_of(connection, principal.name, groups)
        return cls(everything=False, privileges=_grouped(given))

    def allows(self, container_id: int, guest_right: str) -> bool:
        if self.everything:
            return True
        for holder in HolderType:  # the user's own first
            rights = self.privileges.get((container_id, holder))
            if rights is not None:
                return not rights.isdisjoint(_READING)
        return guest_right in _READING


def _grouped(given: Iterable[Privilege]) -> dict[tuple[int, str], set[str]]:
    grouped: dict[tuple[int, str], set[str]] = {}
    for each in given:
        grouped.setdefault((each.container_id, each.type), set()).add(each.privilege)
    return grouped


def _resolve(
    context: Context, principal: Principal, scope: Scope, identifier: str
) -> tuple[Row[Any], str]:
    """The entry and its root's name, if the user may see it there. Raises NotFound."""
    with reading(context.database.state) as connection:
        roots = _visible_roots(connection, context, principal, scope)
    node_id = parse_id(identifier)
    node = None
    if node_id is not None:
        with reading(context.database.journal) as connection:
            node = node_rows.fetch(connection, node_id)
    if node is None or node.root_id not in roots:
        raise NotFound("file")
    return node, roots[node.root_id]


# -------------------------------------------------------------------------------- listings


def _root_listing(context: Context, root_ids: set[int], page: Page) -> Listing:
    with reading(context.database.journal) as connection:
        found = file_rows.roots(connection, root_ids, page.filters)
    end = None if page.limit is None else page.offset + page.limit
    return Listing(len(found), ((row, Places()) for row in found[page.offset : end]))


def _children_listing(context: Context, parent_id: int, page: Page) -> Listing:
    wanted = Children(parent_id, page.filters)

    def count() -> tuple[int, int]:
        with reading(context.database.journal) as connection:
            return wanted.counts(connection)

    total, folders = context.folders.counts(parent_id, page.filters, context.monotonic, count)
    if page.limit == 0 or page.offset >= total:
        return Listing(total, iter(()))
    return Listing(total, _rows(context, wanted, total, folders, page))


def _rows(
    context: Context, wanted: Children, total: int, folders: int, page: Page
) -> Iterator[tuple[Row[Any], Places]]:
    with reading(context.database.state) as connection:
        behind = _storages_behind_containers(connection)
    key = (wanted.parent_id, page.filters)
    place = context.folders.place(*key, page.offset, context.monotonic())
    shown, row = 0, None
    with reading(context.database.journal) as connection:
        if place is not None:
            rows = wanted.rows_after(connection, place, page.limit)
        else:
            rows = wanted.rows(
                connection, folders=folders, total=total, offset=page.offset, limit=page.limit
            )
        while piece := list(islice(rows, COPIES_ENTRIES_MAXIMUM)):
            file_ids = [each.id for each in piece if each.kind != EntryKind.FOLDER]
            live = file_rows.live_places(connection, file_ids) if file_ids else ()
            places = _places(live, behind)
            for row in piece:
                shown += 1
                yield row, places.get(row.id, Places())
    if row is not None and shown == page.limit:
        end = Place(row.kind == EntryKind.FOLDER, bytes(row.name))
        context.folders.keep_place(*key, page.offset + shown, end, context.monotonic())


# ---------------------------------------------------------------------------------- copies


def _places(
    live: Iterable[tuple[int, int, int]], behind_containers: frozenset[tuple[int, int]]
) -> dict[int, Places]:
    in_cache: Counter[int] = Counter()
    offline: Counter[int] = Counter()
    for file_id, kind, storage_id in live:
        if kind == StorageKind.CONTAINER:
            in_cache[file_id] += 1
        elif (kind, storage_id) not in behind_containers:
            offline[file_id] += 1
    return {
        file_id: Places(in_cache[file_id], offline[file_id]) for file_id in {*in_cache, *offline}
    }


def _storages_behind_containers(connection: Connection) -> frozenset[tuple[int, int]]:
    """(kind, id) of the storages of active archives: containers show what lies there."""
    active = {pool.id for pool in pool_rows.of_type(connection, PoolType.ACTIVE_ARCHIVE)}
    shares = [share.id for share in nas_rows.all_shares(connection) if share.pool_id in active]
    buckets = clouds.buckets_in_pools(connection, list(active))
    return frozenset(
        {(StorageKind.NAS_SHARE.value, each) for each in shares}
        | {(StorageKind.CLOUD_BUCKET.value, each) for each in buckets}
    )


def _named(connection: Connection, copies: list[Copy]) -> list[NamedCopy]:
    names: dict[tuple[int, int], str | None] = {}
    for copy in copies:
        key = (copy.storage_kind, copy.storage_id)
        if key not in names:
            names[key] = _storage_name(connection, *key)
    return [NamedCopy(copy, names[copy.storage_kind, copy.storage_id]) for copy in copies]


def _storage_name(connection: Connection, kind: int, storage_id: int) -> str | None:
    if kind == StorageKind.CONTAINER:
        container = container_rows.fetch(connection, storage_id)
        return container.name if container else None
    if kind == StorageKind.NAS_SHARE:
        share = nas_rows.fetch_share(connection, storage_id)
        return share.name if share else None
    if kind == StorageKind.CLOUD_BUCKET:
        bucket = clouds.fetch_bucket(connection, storage_id)
        return bucket.name if bucket else None
    return None
