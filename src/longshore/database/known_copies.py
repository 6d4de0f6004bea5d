"""What the catalogue knows of live copies, asked by file or by the place where they lie.

Backups, restores and cleanings decide by it. It is what was recorded: whether a copy still lies
there, only its storage can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from longshore.database.copy_places import lie_in, share_keys
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.copy_choice import REACH, StoredCopy
from longshore.domain.entry import EntryKind
from longshore.domain.storage import StorageKind, StorageReference


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
            or_(*(lie_in(storage, path) for storage, path in places)),
            nodes.c.kind != EntryKind.FOLDER.value,
        )
        .order_by(copies.c.file_id)
    )
    return list(connection.execute(query).scalars())


def last_file_with_copies(connection: Connection) -> int:
    """The highest id of a file or folder that has, or had, a copy; 0 where there is none."""
    return connection.execute(select(func.max(copies.c.file_id))).scalar() or 0


def files_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> dict[bytes, int]:
    """The files whose live copies lie at the paths of the storage, by path."""
    query = select(copies.c.path, copies.c.file_id).where(share_keys(storage, paths), copies.c.live)
    return {bytes(path): file_id for path, file_id in connection.execute(query)}


def unkept_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> dict[bytes, tuple[int, bytes]]:
    """(size, what they do not bear of their originals) of the live copies at the paths, by path."""
    query = select(copies.c.path, copies.c.size, copies.c.lost).where(
        share_keys(storage, paths), copies.c.live, copies.c.lost.is_not(None)
    )
    return {bytes(path): (size, bytes(lost)) for path, size, lost in connection.execute(query)}


def hashes_at(
    connection: Connection, storage: StorageReference, paths: Sequence[bytes]
) -> dict[bytes, bytes]:
    """The XXH3-128 on record of the live copies at the paths of the storage, by path."""
    query = select(copies.c.path, copies.c.xxh3_128).where(
        share_keys(storage, paths), copies.c.live, copies.c.xxh3_128.is_not(None)
    )
    return {bytes(path): bytes(digest) for path, digest in connection.execute(query)}


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
