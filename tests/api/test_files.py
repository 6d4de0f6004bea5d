from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import insert

from longshore.database import catalogue, copy_rows, identifiers
from longshore.database.connection import writing
from longshore.database.node_rows import NODE_IDS
from longshore.database.path_keys import path_key
from longshore.database.tables.catalogue import nodes
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageKind
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.test_storages import new_nas, new_pool, new_share

API = "/api/v2"
SECOND = 1_000_000_000
MODES = {EntryKind.FOLDER: 0o40755, EntryKind.FILE: 0o100644, EntryKind.SYMLINK: 0o120777}


def entry(name: bytes | str, kind: EntryKind = EntryKind.FILE, size: int = 7) -> Entry:
    raw = name if isinstance(name, bytes) else name.encode()
    return Entry(raw, kind, size, MODES[kind], 1000, 100, 5 * SECOND + 7, 6 * SECOND, 7 * SECOND)


def add(
    context: Context, root_id: object, parent_id: object, entries: Sequence[Entry]
) -> list[int]:
    """The ids of new entries of a folder."""
    with writing(context.database.journal) as connection:
        first = identifiers.reserve(connection, NODE_IDS, len(entries))
        places = {"root_id": root_id, "parent_id": parent_id}
        connection.execute(
            insert(nodes),
            [catalogue.node_values(e) | places | {"id": first + i} for i, e in enumerate(entries)],
        )
    return list(range(first, first + len(entries)))


def add_copy(
    context: Context, file_id: int, kind: StorageKind, storage_id: object, *, live: bool = True
) -> None:
    row = {
        "file_id": file_id,
        "storage_kind": kind.value,
        "storage_id": storage_id,
        "path": b"a/copy",
        "path_key": path_key(b"a/copy"),
        "size": 7,
        "mtime_ns": 5,
        "checksum_kind": None,
        "checksum": None,
        "xxh3_128": b"\x01" * 16,
        "live": live,
        "execution_id": 1_564_000_000_000_000_000,
        "written_ns": 9 * SECOND,
    }
    with writing(context.database.journal) as connection:
        copy_rows.put_copies(connection, [row])


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["files"]]


def test_roots_are_containers_and_primary_pools(admin: TestClient) -> None:
    pool = new_pool(admin)
    new_pool(admin, name="archive", type="offline_archive")
    admin.post(f"{API}/containers", json={"name": "projects"})
    found = admin.get(f"{API}/files").json()
    assert (found["count"], [each["name"] for each in found["files"]]) == (
        2,
        ["projects", "source"],
    )
    root = found["files"][1]
    assert (root["id"], root["parent"], root["type"]) == (pool["primary_id"], None, "folder")
    assert names(admin.get(f"{API}/files", params={"name": "~PROJ%"})) == ["projects"]
    assert names(admin.get(f"{API}/files", params={"limit": 1, "offset": 1})) == ["source"]


def test_children_come_folders_first_then_by_name_page_by_page(
    admin: TestClient, context: Context
) -> None:
    root = new_pool(admin)["primary_id"]
    folder, file, link = EntryKind.FOLDER, EntryKind.FILE, EntryKind.SYMLINK
    entries = [entry("b", file), entry("a", link), entry("d", folder), entry("c", folder)]
    entries += [entry(f"f{number:02}", file) for number in range(6)]
    entries += [entry(f"e{number:02}", folder) for number in range(6)]
    add(context, root, root, entries)
    expected = [
        "c",
        "d",
        *[f"e{n:02}" for n in range(6)],
        "a",
        "b",
        *[f"f{n:02}" for n in range(6)],
    ]
    path = f"{API}/files/{root}/children"
    assert names(admin.get(path)) == expected
    for limit in (1, 3, 8, 100):
        paged: list[str] = []
        for offset in range(0, len(expected), limit):
            answer = admin.get(path, params={"limit": limit, "offset": offset})
            assert answer.json()["count"] == len(expected)
            paged += names(answer)
        assert paged == expected
    assert names(admin.get(path, params={"limit": 0})) == []
    assert names(admin.get(path, params={"offset": 99})) == []


def test_far_pages_of_a_big_folder_are_right_alone_and_in_sequence(
    admin: TestClient, context: Context
) -> None:
    root = new_pool(admin)["primary_id"]
    kinds = [
        EntryKind.FOLDER if n % 7 == 0 or 800 < n < 900 else EntryKind.FILE for n in range(4000)
    ]
    add(context, root, root, [entry(f"{n:05}", kind) for n, kind in enumerate(kinds)])
    folders = [f"{n:05}" for n, kind in enumerate(kinds) if kind is EntryKind.FOLDER]
    files = [f"{n:05}" for n, kind in enumerate(kinds) if kind is EntryKind.FILE]
    expected = folders + files
    path = f"{API}/files/{root}/children"
    for offset in (3500, 10, 1300, 640, 1200, 2500):  # each alone
        answer = admin.get(path, params={"limit": 13, "offset": offset})
        assert names(answer) == expected[offset : offset + 13], offset
    in_sequence: list[str] = []
    for offset in range(0, 4000, 300):
        in_sequence += names(admin.get(path, params={"limit": 300, "offset": offset}))
    assert in_sequence == expected
    assert names(admin.get(path)) == expected[:1000], "the default limit"
    assert names(admin.get(path, params={"limit": 10_000})) == expected


def test_filters_know_types_numbers_dates_and_bytes(admin: TestClient, context: Context) -> None:
    root = new_pool(admin)["primary_id"]
    (strange,) = add(context, root, root, [entry(b"caf\xe9 \n", size=1)])
    add(context, root, root, [entry("Übung%_", size=2), entry("x", EntryKind.FOLDER, 0)])
    path = f"{API}/files/{root}/children"
    shown = r"caf\xe9 " + "\n"
    for parameters, expected in (
        ({"type": "folder"}, ["x"]),
        ({"type": "file", "size": ">1"}, ["Übung%_"]),
        ({"name": "Übung%_"}, ["Übung%_"]),
        ({"name": "~%\\%\\_"}, ["Übung%_"]),
        ({"permission": "100644"}, [shown, "Übung%_"]),
        ({"permission": "99"}, []),
        ({"modification_date": "1970-01-01T00:00:05Z"}, ["x", shown, "Übung%_"]),
        ({"modification_date": "<1970-01-01T00:00:05Z"}, []),
        ({"access_date": ">1970-01-01"}, ["x", shown, "Übung%_"]),
        ({"file_id": str(strange)}, [shown]),
        ({"uid": "!=1000"}, []),
        ({"gid": "><99|100", "unknown": "x"}, ["x", shown, "Übung%_"]),
        ({"size": str(2**70)}, []),
    ):
        assert names(admin.get(path, params=parameters)) == expected, parameters
    assert names(admin.get(f"{path}?name=caf%E9%20%0A")) == [shown]


def test_an_entry_shows_path_numbers_and_copies(admin: TestClient, context: Context) -> None:
    share = new_share(admin, new_nas(admin))
    active = new_share(admin, 1, name="active")
    new_pool(admin, name="archive", type="offline_archive", nas_share_ids=[share["id"]])
    new_pool(admin, name="active", type="active_archive", nas_share_ids=[active["id"]])
    container = admin.post(f"{API}/containers", json={"name": "projects"}).json()
    root = admin.get(f"{API}/files").json()["files"][0]["id"]
    (folder,) = add(context, root, root, [entry("a b", EntryKind.FOLDER)])
    (file,) = add(context, root, folder, [entry(b"n\xffame")])
    add_copy(context, file, StorageKind.CONTAINER, container["id"])
    add_copy(context, file, StorageKind.NAS_SHARE, share["id"])
    add_copy(context, file, StorageKind.NAS_SHARE, active["id"])
    add_copy(context, file, StorageKind.NAS_SHARE, 4711, live=False)
    shown = admin.get(f"{API}/files/{file}").json()
    copies = shown.pop("copies")
    assert shown == {
        "id": file,
        "name": r"n\xffame",
        "parent": folder,
        "primary_id": root,
        "type": "file",
        "permission": 100644,
        "size": 7,
        "change_date": "1970-01-01T00:00:07Z",
        "modification_date": "1970-01-01T00:00:05Z",
        "access_date": "1970-01-01T00:00:06Z",
        "uid": 1000,
        "gid": 100,
        "in_cache": 1,
        "offline": 1,
        "extern": 0,
        "file_path": r"/projects/a b/n\xffame",
        "state": "live",
    }
    assert [copy["state"] for copy in copies] == ["live", "live", "live", "dead"]
    assert copies[1] == {
        "storage": {"type": "nas_share", "id": share["id"], "name": "home"},
        "path": "a/copy",
        "size": 7,
        "checksum_type": "xxh3_128",
        "checksum": "01" * 16,
        "state": "live",
        "execution_id": "1564000000000000000",
        "written": "1970-01-01T00:00:09Z",
    }
    assert copies[3]["storage"]["name"] is None
    (listed,) = admin.get(f"{API}/files/{folder}/children").json()["files"]
    assert (listed["in_cache"], listed["offline"]) == (1, 1)


def test_files_are_scoped_by_container_and_pool(admin: TestClient, context: Context) -> None:
    pool_root = new_pool(admin)["primary_id"]
    new_pool(admin, name="archive", type="offline_archive")
    admin.post(f"{API}/containers", json={"name": "projects"})
    container_root = admin.get(f"{API}/files", params={"name": "projects"}).json()["files"][0]["id"]
    (in_pool,) = add(context, pool_root, pool_root, [entry("in pool")])
    (in_container,) = add(context, container_root, container_root, [entry("in container")])
    assert names(admin.get(f"{API}/pools/source/files")) == ["in pool"]
    assert names(admin.get(f"{API}/containers/projects/files")) == ["in container"]
    assert names(admin.get(f"{API}/pools/archive/files")) == []
    for place, own, other in (
        ("pools/source", in_pool, in_container),
        ("containers/projects", in_container, in_pool),
    ):
        assert admin.get(f"{API}/{place}/files/{own}").status_code == 200
        assert admin.get(f"{API}/{place}/files/{other}").status_code == 404
        assert admin.get(f"{API}/{place}/files/{other}/children").status_code == 404
    assert names(admin.get(f"{API}/pools/source/files/{pool_root}/children")) == ["in pool"]
    for path in (
        "files/4711",
        "files/x",
        f"files/{2**70}",
        "pools/none/files",
        "files/4711/children",
    ):
        assert admin.get(f"{API}/{path}").status_code == 404


def test_the_tree_of_a_removed_pool_cannot_be_reached(admin: TestClient, context: Context) -> None:
    root = new_pool(admin)["primary_id"]
    (file,) = add(context, root, root, [entry("file")])
    assert admin.delete(f"{API}/pools/source").status_code == 204
    assert admin.get(f"{API}/files").json()["count"] == 0
    assert admin.get(f"{API}/files/{file}").status_code == 404


@pytest.mark.parametrize(
    ("guest_right", "own", "readable"),
    [
        ("none", None, False),
        ("read", None, True),
        ("read_write", None, True),
        ("none", "read", True),
        ("read", "none", False),
    ],
)
def test_users_read_containers_they_have_a_right_on(
    admin: TestClient,
    user: TestClient,
    context: Context,
    guest_right: str,
    own: str | None,
    readable: bool,
) -> None:
    body = {"name": "projects", "guest_right": guest_right}
    admin.post(f"{API}/containers", json=body)
    root = admin.get(f"{API}/files").json()["files"][0]["id"]
    (file,) = add(context, root, root, [entry("file")])
    if own is not None:
        body = {"name": "ulla", "type": "user", "privilege": own}
        admin.post(f"{API}/containers/projects/container_privileges", json=body)
    assert user.get(f"{API}/files").json()["count"] == int(readable)
    for path in (f"files/{file}", f"files/{root}/children", "containers/projects/files"):
        assert (user.get(f"{API}/{path}").status_code == 200) is readable
        assert admin.get(f"{API}/{path}").status_code == 200


def test_users_read_primary_pools(admin: TestClient, user: TestClient, context: Context) -> None:
    root = new_pool(admin)["primary_id"]
    add(context, root, root, [entry("file")])
    assert names(user.get(f"{API}/files/{root}/children")) == ["file"]


def test_pools_without_tapes_have_nothing_to_import(admin: TestClient, context: Context) -> None:
    root = new_pool(admin)["primary_id"]
    (file,) = add(context, root, root, [entry("file")])
    for plural in ("import_files", "on_tapes_files"):
        path = f"{API}/pools/source/{plural}"
        assert admin.get(path).json() == {"count": 0, plural: []}
        assert admin.get(f"{path}/1").status_code == 404
        assert admin.get(f"{path}/1/children").status_code == 404
        assert admin.get(f"{API}/pools/none/{plural}").status_code == 404
    assert admin.get(f"{API}/pools/source/files/{file}/tapes").json() == {"count": 0, "tapes": []}
