"""Copies that are erased on secondary storage end, and a file with the last thing left of it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from longshore.database import catalogue, copy_ends, copy_rows
from longshore.database.connection import Database, writing
from longshore.database.node_rows import NodeState
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageKind, StorageReference

FIRST = StorageReference(StorageKind.NAS_SHARE, 3)
SECOND = StorageReference(StorageKind.NAS_SHARE, 4)
BUCKET = StorageReference(StorageKind.CLOUD_BUCKET, 3)  # another kind, the same number


def entry(name: bytes, kind: EntryKind = EntryKind.FILE) -> Entry:
    return Entry(name, kind, 1, 0o100644, 0, 0, 1, 1, 1)


def put_copy(
    connection: Connection, file_id: int, storage: StorageReference, path: bytes = b"there/\xff"
) -> None:
    columns: dict[str, list[object]] = {
        "file_id": [file_id], "path": [path], "size": [1], "mtime_ns": [1],
        "xxh3_128": [b"x" * 16], "written_ns": [8],
    }  # fmt: skip
    copy_rows.put_copies_in(connection, storage, columns, 7, verified=True)


def put_stub(
    connection: Connection, root: int, name: bytes = b"a", kind: EntryKind = EntryKind.FILE
) -> int:
    """The id of a node that is not at its place any more."""
    node_id = catalogue.put(connection, root, root, [entry(name, kind)])[name]
    catalogue.set_state_of(connection, [node_id], NodeState.STUB)
    return node_id


def state_of(connection: Connection, node_id: int) -> NodeState:
    query = select(nodes.c.state).where(nodes.c.id == node_id)
    return NodeState(connection.execute(query).scalar_one())


def live_copies(connection: Connection, file_id: int) -> set[StorageReference]:
    query = select(copies.c.storage_kind, copies.c.storage_id).where(
        copies.c.file_id == file_id, copies.c.live
    )
    return {
        StorageReference(StorageKind(kind), number) for kind, number in connection.execute(query)
    }


def test_a_stub_is_deleted_with_its_last_copy_and_not_before(database: Database) -> None:
    with writing(database.journal) as connection:
        stub = put_stub(connection, catalogue.create_root(connection, "root"))
        for storage in (FIRST, SECOND, BUCKET):
            put_copy(connection, stub, storage)
        for storage, left in ((FIRST, {SECOND, BUCKET}), (BUCKET, {SECOND})):
            copy_ends.end_erased_at(connection, storage, [b"there/\xff", b"nothing"])
            assert live_copies(connection, stub) == left
            assert state_of(connection, stub) is NodeState.STUB
        copy_ends.end_erased_at(connection, SECOND, [b"there/\xff"])
        assert live_copies(connection, stub) == set()
        assert state_of(connection, stub) is NodeState.DELETED


def test_a_file_that_is_at_its_place_stays_live_without_a_copy(database: Database) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        file_id = catalogue.put(connection, root, root, [entry(b"a")])[b"a"]
        put_copy(connection, file_id, FIRST)
        copy_ends.end_erased_at(connection, FIRST, [b"there/\xff"])
        assert live_copies(connection, file_id) == set()
        assert state_of(connection, file_id) is NodeState.LIVE


def test_only_what_was_erased_ends(database: Database) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        stubs = [put_stub(connection, root, name) for name in (b"a", b"b", b"c")]
        for stub, path in zip(stubs, (b"a", b"b", b"c"), strict=True):
            put_copy(connection, stub, FIRST, path)
        copy_ends.end_erased_at(connection, FIRST, [])
        copy_ends.end_erased_at(connection, FIRST, [b"a", b"c"])
        states = [state_of(connection, stub) for stub in stubs]
        assert states == [NodeState.DELETED, NodeState.STUB, NodeState.DELETED]
        # A second time, after another file has taken the place: nothing is told of the first.
        catalogue.set_state_of(connection, stubs[:1], NodeState.STUB)
        copy_ends.end_erased_at(connection, FIRST, [b"a"])
        assert state_of(connection, stubs[0]) is NodeState.STUB


def test_a_folder_is_deleted_when_nothing_in_it_is_left(database: Database) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        folder = put_stub(connection, root, b"folder", EntryKind.FOLDER)
        inside = catalogue.put(connection, root, folder, [entry(b"a")])[b"a"]
        catalogue.set_state_of(connection, [inside], NodeState.STUB)
        put_copy(connection, folder, FIRST, b"folder")
        put_copy(connection, inside, FIRST, b"folder/a")
        copy_ends.end_erased_at(connection, FIRST, [b"folder"])
        assert state_of(connection, folder) is NodeState.STUB, "there is a file in it"
        put_copy(connection, folder, FIRST, b"folder")
        copy_ends.end_erased_at(connection, FIRST, [b"folder/a"])
        assert state_of(connection, inside) is NodeState.DELETED
        copy_ends.end_erased_at(connection, FIRST, [b"folder"])
        assert state_of(connection, folder) is NodeState.DELETED
