"""What is known of a folder as a whole is forgotten by the database itself, whoever writes."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection, func, select, text

from longshore.database import catalogue, copy_rows, folder_digests, node_rows
from longshore.database.connection import Database, reading, writing
from longshore.database.folder_digests import Claim, claim, ids_if_known
from longshore.database.node_rows import NodeState, Siblings
from longshore.database.path_keys import path_key
from longshore.database.record_blocks import pack_ids, put_unchanged
from longshore.database.tables.catalogue import folder_digests as table
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.record import PLACES_PER_WORK, UnchangedFolder, expand
from longshore.domain.storage import StorageKind, StorageReference
from longshore.pipeline.comparing import digest_of
from tests.records import files_on_record

SOURCE = StorageReference(StorageKind.NAS_SHARE, 1)
STORAGE = StorageReference(StorageKind.NAS_SHARE, 2)
OTHER = StorageReference(StorageKind.CLOUD_BUCKET, 2)
IDS = pack_ids([1])
EXECUTION = 5


def entry(name: bytes, kind: EntryKind = EntryKind.FILE) -> Entry:
    return Entry(name, kind, 10, 0o100644, 0, 0, 1, 2, 3)


def put_copy(connection: Connection, file_id: int, path: bytes, *, size: int = 10) -> None:
    row: dict[str, object] = {
        "file_id": file_id, "storage_kind": STORAGE.kind.value, "storage_id": STORAGE.id,
        "path": path, "path_key": path_key(path), "size": size, "mtime_ns": 1,
        "checksum_kind": None, "checksum": None, "xxh3_128": None, "live": True,
        "execution_id": EXECUTION, "written_ns": 4, "lost": None,
    }  # fmt: skip
    copy_rows.put_copies(connection, [row])


class Catalogue:
    """A root with a folder `a` of files x, y and a folder `inside`, and a folder `b` with z."""

    def __init__(self, connection: Connection) -> None:
        self.root = catalogue.create_root(connection, "root")
        folders = [entry(name, EntryKind.FOLDER) for name in (b"a", b"b")]
        above = catalogue.put(connection, self.root, self.root, folders)
        self.a, self.b = above[b"a"], above[b"b"]
        inside = entry(b"inside", EntryKind.FOLDER)
        ids = catalogue.put(connection, self.root, self.a, [entry(b"x"), entry(b"y"), inside])
        self.x, self.y, self.inside = ids[b"x"], ids[b"y"], ids[b"inside"]
        self.z = catalogue.put(connection, self.root, self.b, [entry(b"z")])[b"z"]
        for file_id, path in ((self.x, b"a/x"), (self.z, b"b/z"), (self.inside, b"a/inside")):
            put_copy(connection, file_id, path)


def noted(connection: Connection, found: Catalogue) -> list[Claim]:
    """A claim about each of the two folders."""
    claims = [claim(each, SOURCE, STORAGE, b"t", 0, b"digest") for each in (found.a, found.b)]
    assert IDS is not None
    folder_digests.note(connection, [(each, IDS) for each in claims])
    return claims


DEEDS = {
    "a file gets another mode": "UPDATE nodes SET mode = 5 WHERE id = {x}",
    "a file gets the same mode": "UPDATE nodes SET mode = mode WHERE id = {x}",
    "a file vanishes": "UPDATE nodes SET state = 2 WHERE id = {y}",
    "a file moves away": "UPDATE nodes SET parent_id = {b} WHERE id = {y}",
    "a file becomes a folder": "UPDATE nodes SET kind = 2 WHERE id = {x}",
    "a node goes": "DELETE FROM nodes WHERE id = {y}",
    "a copy dies": "UPDATE copies SET live = FALSE WHERE file_id = {x}",
    "a copy goes": "DELETE FROM copies WHERE file_id = {x}",
    "many change": "UPDATE nodes SET uid = 7 WHERE id IN ({x}, {y})",
}
HARMLESS = {
    "a folder inside gets another mode": "UPDATE nodes SET mode = 5 WHERE id = {inside}",
    "the folder itself gets another mode": "UPDATE nodes SET mode = 5 WHERE id = {a}",
    "a copy of a folder inside changes": "UPDATE copies SET size = 9 WHERE file_id = {inside}",
    "nothing is changed": "UPDATE nodes SET mode = 5 WHERE id = -1",
}


@pytest.mark.parametrize("deed", [*DEEDS, *HARMLESS])
def test_what_was_noted_holds_until_a_file_of_the_folder_changes(
    database: Database, deed: str
) -> None:
    with writing(database.journal) as connection:
        found = Catalogue(connection)
        claims = noted(connection, found)
        assert ids_if_known(connection, claims) == [IDS, IDS]
    with writing(database.journal) as connection:
        statement = (DEEDS | HARMLESS)[deed]
        connection.execute(text(statement.format(**vars(found))))
    with reading(database.journal) as connection:
        expected = [None if deed in DEEDS else IDS, IDS]
        assert ids_if_known(connection, claims) == expected


def test_every_way_of_ours_to_write_over_a_file_forgets_its_folder(database: Database) -> None:
    with writing(database.journal) as connection:
        found = Catalogue(connection)
        ways = (
            lambda: node_rows.put_all(
                connection,
                [Siblings(found.root, found.a, [msgspec.structs.replace(entry(b"x"), size=11)])],
            ),
            lambda: put_copy(connection, found.x, b"a/x", size=11),
            lambda: copy_rows.end_copies_at(connection, STORAGE, [b"a/x"]),
            lambda: catalogue.note_vanished(connection, found.a, b"", b"", []),
            lambda: catalogue.set_state(connection, found.a, [b"y"], NodeState.STUB),
            lambda: catalogue.set_state_of(connection, [found.x], NodeState.DELETED),
            lambda: copy_rows.end_other_copies(connection, STORAGE, b"a/x", None),
        )
        for way in ways:
            claims = noted(connection, found)
            way()
            assert ids_if_known(connection, claims) == [None, IDS]


def test_new_files_and_copies_leave_what_was_noted(database: Database) -> None:
    with writing(database.journal) as connection:
        found = Catalogue(connection)
        claims = noted(connection, found)
        new = catalogue.put(connection, found.root, found.a, [entry(b"x"), entry(b"new")])
        put_copy(connection, new[b"new"], b"a/new")
        put_copy(connection, found.y, b"a/y")
        assert ids_if_known(connection, claims) == [IDS, IDS]


def test_a_change_that_is_rolled_back_leaves_what_was_noted(database: Database) -> None:
    with writing(database.journal) as connection:
        found = Catalogue(connection)
        claims = noted(connection, found)

    def fail() -> None:
        with writing(database.journal) as connection:
            catalogue.set_state_of(connection, [found.x], NodeState.DELETED)
            assert ids_if_known(connection, claims) == [None, IDS]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with reading(database.journal) as connection:
        assert ids_if_known(connection, claims) == [IDS, IDS]


def test_only_exactly_what_was_noted_is_known(database: Database) -> None:
    said = (1, SOURCE, STORAGE, b"t", 0, b"digest")
    others = [
        (2, SOURCE, STORAGE, b"t", 0, b"digest"),
        (1, OTHER, STORAGE, b"t", 0, b"digest"),
        (1, SOURCE, OTHER, b"t", 0, b"digest"),
        (1, SOURCE, STORAGE, b"u", 0, b"digest"),
        (1, SOURCE, STORAGE, b"t", 1, b"digest"),
        (1, SOURCE, STORAGE, b"t", 0, b"another"),
    ]
    assert IDS is not None
    with writing(database.journal) as connection:
        folder_digests.note(connection, [(claim(*said), IDS)])
        asked = [claim(*said), *(claim(*each) for each in others)]
        assert ids_if_known(connection, asked) == [IDS, *[None] * len(others)]


def test_a_piece_of_a_folder_has_one_digest_for_each_place(database: Database) -> None:
    assert IDS is not None
    with writing(database.journal) as connection:
        for digest in (b"one", b"two"):
            folder_digests.note(connection, [(claim(1, SOURCE, STORAGE, b"t", 0, digest), IDS)] * 2)
        folder_digests.note(connection, [])
        assert connection.execute(select(func.count()).select_from(table)).scalar() == 1
        known = claim(1, SOURCE, STORAGE, b"t", 0, b"two")
        assert ids_if_known(connection, [known]) == [IDS]
        assert ids_if_known(connection, []) == []


# -------------------------------------------------------------------------------- records


def unchanged(folder: bytes, first_place: int, names: list[bytes]) -> UnchangedFolder:
    entries = [entry(name) for name in names]
    return UnchangedFolder(
        source=0, folder=folder, target=b"t/" + folder, piece=0, first_place=first_place,
        finished_ns=9, files=len(names), size=10 * len(names), first_name=names[0],
        last_name=names[-1], entries=msgspec.msgpack.encode(entries), digest=digest_of(entries),
    )  # fmt: skip


def test_unchanged_folders_are_on_record_file_by_file(database: Database) -> None:
    folders = [
        unchanged(b"a", 0, [b"x", b"y"]),
        unchanged(b"b", 2, [b"z"]),
        unchanged(b"c", 9, [b"f%04d" % number for number in range(900)]),
        unchanged(b"d", 909, [b"f%04d" % number for number in range(900)]),
    ]
    ids = [pack_ids(range(100 * n, 100 * n + each.files)) for n, each in enumerate(folders, 1)]
    with writing(database.journal) as connection:
        pairs = [(each, packed) for each, packed in zip(folders, ids, strict=True) if packed]
        put_unchanged(connection, EXECUTION, 3, pairs[::-1])
    found = files_on_record(database, EXECUTION)
    expected = [record for folder in folders for record in expand(folder)]
    assert [each.record for each in found] == expected
    base = 3 * PLACES_PER_WORK
    assert [each.number for each in found] == [base + record.place for record in expected]
    assert [each.file_id for each in found][:4] == [100, 101, 200, 300]
    with reading(database.journal) as connection:
        blocks = connection.execute(text("SELECT files FROM record_blocks ORDER BY first_number"))
        assert list(blocks.scalars()) == [3, 900, 900]
