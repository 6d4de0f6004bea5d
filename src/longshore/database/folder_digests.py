"""What the catalogue knows of a folder's files as a whole, so that none is compared by itself.

A row of `folder_digests` says: the catalogue has these nodes in the folder, and of each its copy on
that storage. The digest is of all values that it would be given for them. It is noted in
the transaction that has written or compared them one by one; `folder_triggers` takes it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import xxhash
from sqlalchemy import Connection

from longshore.database import bulk
from longshore.database.bulk import Given
from longshore.database.tables.catalogue import folder_digests
from longshore.domain.storage import StorageReference

_CONFLICT = (
    "ON CONFLICT (folder_id, place_key) DO UPDATE "
    "SET digest = excluded.digest, file_ids = excluded.file_ids"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """That some files of a folder are in the catalogue, with their copies, as the digest says."""

    folder_id: int
    place_key: int  # of where the copies lie, and which piece of the folder they are of
    digest: bytes


def claim(
    folder_id: int,
    source: StorageReference,
    destination: StorageReference,
    target: bytes,
    piece: int,
    digest: bytes,
) -> Claim:
    """The claim about a piece of a folder; `digest` is of what a catalogue keeps of the files."""
    place = msgspec.msgpack.encode((source, destination, target, piece))
    key = xxhash.xxh3_64_intdigest(place)
    # The place again, whole: what two places that have one key claim stays apart.
    digest = xxhash.xxh3_128_digest(digest + place)
    return Claim(folder_id, key - (1 << 64) if key >= 1 << 63 else key, digest)


def ids_if_known(connection: Connection, claims: Sequence[Claim]) -> list[bytes | None]:
    """The ids of the files, as record_blocks packs them, of each claim that holds; else None."""
    if not claims:
        return []
    given: Given = {
        "folder_id": ("folder_id", [each.folder_id for each in claims]),
        "place_key": ("place_key", [each.place_key for each in claims]),
    }
    condition = "found.folder_id = given.folder_id AND found.place_key = given.place_key"
    columns = ("folder_id", "place_key", "digest", "file_ids")
    known = {
        Claim(folder_id, place_key, bytes(digest)): bytes(file_ids)
        for folder_id, place_key, digest, file_ids in bulk.look_up(
            connection, folder_digests, columns, given, condition
        )
    }
    return [known.get(each) for each in claims]


def note(connection: Connection, claims: Sequence[tuple[Claim, bytes]]) -> None:
    """Put on record that they hold, each with the packed ids of its files."""
    last = {(each.folder_id, each.place_key): (each.digest, ids) for each, ids in claims}
    if last:
        columns: dict[str, Sequence[object]] = {
            "folder_id": [folder_id for folder_id, _ in last],
            "place_key": [key for _, key in last],
            "digest": [digest for digest, _ in last.values()],
            "file_ids": [ids for _, ids in last.values()],
        }
        bulk.insert(connection, folder_digests, columns, conflict=_CONFLICT)
