"""From what a client writes to a place: a pool or container, a path in it, a catalogue entry.

    /<container or primary pool>/<path>    the first name says where
    <pool> and a path                      the path lies inside the pool
    <file id>                              the catalogue knows where

What the catalogue does not have yet is looked up in the storage and added to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from longshore.database import catalogue, clouds
from longshore.database import containers as container_rows
from longshore.database import nas as nas_rows
from longshore.database import nodes as node_rows
from longshore.database import pools as pool_rows
from longshore.database.connection import reading, writing
from longshore.database.containers import Container
from longshore.database.pools import Pool
from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import PoolContent, PoolType, StorageAddress
from longshore.services import cloud_buckets
from longshore.services.context import Context
from longshore.services.storage_folders import (
    Looked,
    container_address,
    look,
    share_addresses,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a pool or a container. `kind` is None where nothing is there yet."""

    pool: Pool | None = None
    container: Container | None = None
    path: bytes = b""
    file_id: int | None = None
    kind: EntryKind | None = EntryKind.FOLDER
    reason: str = ""  # why nothing is known to be there

    @property
    def root_id(self) -> int | None:
        owner = self.pool or self.container
        return owner.root_id if owner else None


def place_of_file(context: Context, file_id: int) -> Place | None:
    """Where the catalogue's file is; None when there is no such file."""
    with reading(context.database.journal) as connection:
        node = node_rows.fetch(connection, file_id)
        if node is None:
            return None
        path = paths.join(*node_rows.names_from_root(connection, node))
    with reading(context.database.state) as connection:
        pool = pool_rows.with_root(connection, node.root_id)
        container = container_rows.with_root(connection, node.root_id)
    if pool is None and container is None:
        return None
    return Place(
        pool=pool, container=container, path=path, file_id=node.id, kind=EntryKind(node.kind)
    )


def place_of_path(context: Context, text: str) -> Place | None:
    """The place that `/<container or primary pool>/<path>` means; None for an unknown first name.

    Raises InvalidPath.
    """
    names = paths.names(parse(text))
    if not names:
        return None
    first = names[0].decode()
    with reading(context.database.state) as connection:
        container = container_rows.fetch_named(connection, first)
        pool = pool_rows.fetch_named(connection, first) if container is None else None
    if pool is not None and pool.type != PoolType.PRIMARY:
        pool = None
    if container is None and pool is None:
        return None
    return _found(context, Place(pool=pool, container=container, path=b"/".join(names[1:])))


def place_in_pool(context: Context, pool: Pool, text: str) -> Place:
    """The place at the path inside the pool; the pool's own name may stand in front of it.

    Raises InvalidPath.
    """
    path = parse(text)
    place = _found(context, Place(pool=pool, path=path))
    names = paths.names(path)
    if place.kind is None and names[0] == pool.name.encode():
        return _found(context, Place(pool=pool, path=b"/".join(names[1:])))
    return place


def parse(text: str) -> bytes:
    """A path as clients write it. Raises InvalidPath."""
    return paths.parse(paths.from_text(text))


def without_prefix(text: str, prefix: str | None) -> str:
    """The path without the prefix under which the task's owner sees the storage."""
    shortened = (prefix or "").rstrip("/")
    if shortened and (text == shortened or text.startswith(shortened + "/")):
        return text[len(shortened) :] or "/"
    return text


def _found(context: Context, place: Place) -> Place:
    """The place with what the catalogue, or else its storage, says about it."""
    names = paths.names(place.path)
    root_id = place.root_id
    if not names:
        return replace(place, file_id=root_id, kind=EntryKind.FOLDER)
    if root_id is not None:
        with reading(context.database.journal) as connection:
            file_id = catalogue.find(connection, root_id, names)
            node = None if file_id is None else node_rows.fetch(connection, file_id)
        if node is not None:
            return replace(place, file_id=node.id, kind=EntryKind(node.kind))
    looked = look(context, addresses(context, place), names)
    return _recorded(context, place, looked)


def _recorded(context: Context, place: Place, looked: Looked) -> Place:
    if looked.chain is None:
        return replace(place, kind=None, reason=looked.reason)
    last: Entry = looked.chain[-1]
    file_id = None
    if place.root_id is not None:
        with writing(context.database.journal) as connection:
            file_id = catalogue.ensure(connection, place.root_id, looked.chain)
    return replace(place, file_id=file_id, kind=last.kind)


def addresses(context: Context, place: Place) -> list[StorageAddress]:
    """The storages that the place may lie on."""
    if place.container is not None:
        return [container_address(context, place.container)]
    assert place.pool is not None
    with reading(context.database.state) as connection:
        if place.pool.content == PoolContent.CLOUD:
            buckets = clouds.buckets_of_pool(connection, place.pool.id)
            return cloud_buckets.addresses(context, connection, buckets)
        return share_addresses(nas_rows.shares_of_pool(connection, place.pool.id))
