"""Trying callbacks over the catalogue and over live listings, before anything is moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.callbacks import Limits
from longshore.database import catalogue, copy_rows
from longshore.database.connection import writing
from longshore.database.path_keys import path_key
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageKind, StorageReference
from longshore.services.context import Context
from longshore.services.errors import Busy
from tests.api.client import TestClient
from tests.api.conftest import OTHER_USER, ClientOf
from tests.javascript import needs_javascript

API = "/api/v2"

BY_SIZE = """import utils

def run(req):
    info = utils.get_node_info(req)
    print("asked", info.path)
    if info.path.endswith(".bad"):
        raise ValueError("cannot say")
    return info.size > 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "projects"
    (made / "deep" / "deeper").mkdir(parents=True)
    (made / "large.dat").write_bytes(b"12345")
    (made / "deep" / "small.dat").write_bytes(b"1")
    (made / "deep" / "deeper" / "what.bad").write_bytes(b"1234")
    (made / "deep" / "empty").mkdir()
    return made


@pytest.fixture
def pools(admin: TestClient, tmp_path: Path, folder: Path) -> dict[str, int]:
    """A primary and a secondary pool, each with one share."""
    vault = tmp_path / "vault"
    vault.mkdir()
    nas = post(admin, "/nas", {"name": "filer", "host": "127.0.0.1", "type": "nfs_v4"})
    found = {}
    for name, kind, path in (("live", "primary", folder), ("vault", "offline_archive", vault)):
        share = post(
            admin,
            f"/nas/{nas['id']}/nas_shares",
            {"name": name, "path": f"/{name}", "options": f"mount_point={path}"},
        )
        found[f"share of {name}"] = int(share["id"])
        body = {"name": name, "type": kind, "content": "nas"}
        found[name] = int(post(admin, "/pools", {**body, "nas_share_ids": [share["id"]]})["id"])
    return found


@pytest.fixture
def task(admin: TestClient, pools: dict[str, int]) -> str:
    """The path of a task whose source is the primary pool."""
    made = post(admin, "/tasks", {"name": "nightly"})
    post(admin, f"/tasks/{made['id']}/task_sources", {"pool_id": pools["live"]})
    return f"/tasks/{made['id']}"


def post(client: TestClient, path: str, body: dict[str, object]) -> Any:
    answer = client.post(f"{API}{path}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def tried(client: TestClient, task: str, script: str = BY_SIZE, **query: object) -> Any:
    answer = client.post(
        f"{API}{task}/task_callbacks/-/test", json={"script": script}, params=query
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def snapshot(root: Path) -> Iterator[tuple[str, int, int]]:
    for where, folders, files in os.walk(root):
        for name in (*folders, *files):
            state = (Path(where) / name).stat()
            yield str(Path(where) / name), state.st_size, state.st_mtime_ns


def test_a_script_is_tried_over_what_lies_in_the_sources_now(
    admin: TestClient, task: str, folder: Path
) -> None:
    before = sorted(snapshot(folder))
    found = tried(admin, task, source="live")
    counts = {name: found[name] for name in ("files", "accepted", "refused", "failed", "timed_out")}
    assert counts == {"files": 3, "accepted": 1, "refused": 1, "failed": 1, "timed_out": 0}
    assert (found["source"], found["language"]) == ("live", "python")
    assert (found["complete"], found["stopped"], found["warnings"]) == (True, None, [])
    assert found["accepted_size"] == 5
    (accepted,) = found["samples"]["accepted"]
    assert (accepted["path"], accepted["size"]) == ("/large.dat", 5)
    assert accepted["modification_date"].endswith("Z")
    assert [each["path"] for each in found["samples"]["refused"]] == ["/deep/small.dat"]
    (failed,) = found["samples"]["failed"]
    assert failed["path"] == "/deep/deeper/what.bad"
    assert (failed["error"], failed["line"]) == ("ValueError: cannot say", 7)
    assert failed["timed_out"] is False
    assert sorted(found["output"]) == sorted(
        f"asked {path}" for path in ("/large.dat", "/deep/small.dat", "/deep/deeper/what.bad")
    )
    assert 0 < found["microseconds_per_file"] < 1e6
    assert sorted(snapshot(folder)) == before
    assert admin.get(f"{API}{task}/task_callbacks").json()["count"] == 0


@needs_javascript
def test_a_saved_callback_is_tried_by_its_id(admin: TestClient, task: str) -> None:
    script = "// js\nfunction run(req) { return utils.getNodeInfo(req).getSize() < 3 }\n"
    made = post(admin, f"{task}/task_callbacks", {"type": "filter", "script": script})
    path = f"{API}{task}/task_callbacks/{made['id']}/test"
    found = admin.post(path, params={"source": "live"}).json()
    assert (found["language"], found["accepted"], found["refused"]) == ("javascript", 1, 2)
    assert admin.post(f"{API}{task}/task_callbacks/{made['id'] + 1}/test").status_code == 404


def test_the_catalogue_is_asked_unless_the_client_wants_otherwise(
    admin: TestClient, task: str, context: Context, pools: dict[str, int]
) -> None:
    assert tried(admin, task)["files"] == 0
    root_id = admin.get(f"{API}/pools/{pools['live']}").json()["primary_id"]
    with writing(context.database.journal) as connection:
        inside = catalogue.put(connection, root_id, root_id, [known(b"old", EntryKind.FOLDER)])
        here = [known(b"gone-%04d" % number) for number in range(2500)]
        catalogue.put(connection, root_id, inside[b"old"], here)
    found = tried(admin, task, "def run(req):\n    return True\n")
    assert (found["source"], found["files"], found["accepted"]) == ("catalogue", 2500, 2500)
    assert found["samples"]["accepted"][0]["path"] == "/old/gone-0000"
    assert len(found["samples"]["accepted"]) == 20


def test_files_of_secondary_storage_are_known_by_their_copies(
    admin: TestClient, context: Context, pools: dict[str, int]
) -> None:
    share_id = pools["share of vault"]
    root_id = admin.get(f"{API}/pools/{pools['live']}").json()["primary_id"]
    storage = StorageReference(StorageKind.NAS_SHARE, share_id)
    with writing(context.database.journal) as connection:
        ids = catalogue.put(connection, root_id, root_id, [known(b"a"), known(b"b"), known(b"c")])
        rows = [copy(storage, ids[name], b"2024/" + name) for name in (b"a", b"b")]
        other = StorageReference(StorageKind.NAS_SHARE, share_id + 100)
        copy_rows.put_copies(connection, [*rows, copy(other, ids[b"c"], b"2024/c")])
    made = post(admin, "/tasks", {"name": "restore"})
    post(admin, f"/tasks/{made['id']}/task_sources", {"pool_id": pools["vault"]})
    found = tried(admin, f"/tasks/{made['id']}")
    assert [each["path"] for each in found["samples"]["accepted"]] == ["/2024/a", "/2024/b"]


def known(name: bytes, kind: EntryKind = EntryKind.FILE) -> Entry:
    return Entry(name, kind, 10, 0o100644, 0, 0, 10**18, 10**18, 10**18)


def copy(storage: StorageReference, file_id: int, path: bytes) -> dict[str, object]:
    return {
        "file_id": file_id,
        "storage_kind": storage.kind.value,
        "storage_id": storage.id,
        "path": path,
        "path_key": path_key(path),
        "size": 10,
        "mtime_ns": 10**18,
        "checksum_kind": None,
        "checksum": None,
        "xxh3_128": None,
        "live": True,
        "execution_id": 1,
        "written_ns": 1,
    }


def test_a_test_ends_at_its_number_of_files(admin: TestClient, task: str) -> None:
    found = tried(admin, task, source="live", files=2, samples=1)
    assert (found["files"], found["stopped"], found["complete"]) == (2, "files", False)
    assert max(len(each) for each in found["samples"].values()) <= 1
    found = tried(admin, task, source="live", files=3)
    assert (found["files"], found["stopped"], found["complete"]) == (3, None, True)


def test_an_endless_script_shows_its_time_outs_and_an_end(admin: TestClient, task: str) -> None:
    found = tried(
        admin, task, "def run(req):\n    while True:\n        pass\n", source="live", seconds=2
    )
    assert found["stopped"] == "seconds"
    assert found["accepted"] == 0
    assert found["timed_out"] == len(found["samples"]["failed"]) >= 1
    assert all(each["timed_out"] for each in found["samples"]["failed"])


def test_a_callback_that_is_given_up_says_why(
    admin: TestClient, task: str, context: Context
) -> None:
    limits = Limits(soft_timeout_seconds=0.1, hard_timeout_seconds=1.0, max_deaths=2)
    object.__setattr__(context, "callback_limits", limits)
    found = tried(admin, task, "def run(req):\n    while True:\n        pass\n", source="live")
    assert found["stopped"] == "callback"
    assert "2 times" in found["reason"]


def test_names_that_are_no_unicode_are_shown_as_everywhere(
    admin: TestClient, task: str, folder: Path
) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.dat"))).write_bytes(b"12345")
    found = tried(admin, task, source="live")
    assert "/caf\\xe9.dat" in [each["path"] for each in found["samples"]["accepted"]]


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ("def run(req):\n    return (\n", "line 2, column 12"),
        ("import os\n\ndef run(req):\n    return True\n", "line 1"),
        ("x = 1\n", "run"),
        pytest.param("// js\nfunction run(req) { return ( }\n", "line 2", marks=needs_javascript),
    ],
)
def test_an_invalid_script_is_refused_with_its_place(
    admin: TestClient, task: str, script: str, place: str
) -> None:
    answer = admin.post(f"{API}{task}/task_callbacks/-/test", json={"script": script})
    assert answer.status_code == 422
    assert answer.json()["details"]["script"][0]["error"] == "invalid"
    assert place in answer.json()["messages"][0]


@pytest.mark.parametrize(
    ("query", "attribute", "kind"),
    [
        ({"source": "tape"}, "source", "invalid"),
        ({"files": "0"}, "files", "greater_than_or_equal_to"),
        ({"files": "100001"}, "files", "less_than_or_equal_to"),
        ({"files": "-1"}, "files", "invalid"),
        ({"seconds": "61"}, "seconds", "less_than_or_equal_to"),
        ({"seconds": "soon"}, "seconds", "invalid"),
        ({"samples": "9" * 30}, "samples", "invalid"),
    ],
)
def test_wrong_bounds_are_refused(
    admin: TestClient, task: str, query: dict[str, str], attribute: str, kind: str
) -> None:
    made = post(admin, f"{task}/task_callbacks", {"type": "filter", "script": BY_SIZE})
    answers = [
        admin.post(f"{API}{task}/task_callbacks/-/test", json={"script": BY_SIZE}, params=query),
        admin.post(f"{API}{task}/task_callbacks/{made['id']}/test", params=query),
    ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert answer.json()["details"][attribute][0]["error"] == kind


def test_a_blank_script_and_a_task_without_sources_are_refused(
    admin: TestClient, task: str
) -> None:
    path = f"{API}{task}/task_callbacks/-/test"
    for script in (None, "", " \n"):
        answer = admin.post(path, json={"script": script})
        assert answer.json()["details"] == {"script": [{"error": "blank"}]}
    empty = post(admin, "/tasks", {"name": "empty"})
    answer = admin.post(
        f"{API}/tasks/{empty['id']}/task_callbacks/-/test", json={"script": BY_SIZE}
    )
    assert answer.status_code == 422
    assert answer.json()["details"] == {"base": [{"error": "blank"}]}


def test_a_source_that_is_gone_is_told_in_a_warning(
    admin: TestClient, task: str, folder: Path
) -> None:
    folder.rename(folder.with_name("elsewhere"))
    found = tried(admin, task, source="live")
    assert (found["files"], found["complete"]) == (0, False)
    assert len(found["warnings"]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_told_and_left_out(
    admin: TestClient, task: str, folder: Path
) -> None:
    (folder / "deep" / "deeper").chmod(0)
    try:
        found = tried(admin, task, source="live")
    finally:
        (folder / "deep" / "deeper").chmod(0o755)
    assert (found["files"], found["complete"]) == (2, False)
    assert "deeper" in found["warnings"][0]


def test_only_a_few_tests_run_at_the_same_time(
    admin: TestClient, task: str, context: Context
) -> None:
    refusal = Busy("unexpected", 1)
    with context.callback_tests.place(refusal), context.callback_tests.place(refusal):
        answer = admin.post(f"{API}{task}/task_callbacks/-/test", json={"script": BY_SIZE})
    assert answer.status_code == 429
    assert answer.json()["messages"] == ["Other callbacks are being tested, try again later"]
    assert int(answer.headers["Retry-After"]) > 0
    assert tried(admin, task, source="live")["files"] == 3


def test_tasks_of_others_and_keys_without_the_scope_are_refused(
    admin: TestClient, task: str, client_of: ClientOf
) -> None:
    path = f"{API}{task}/task_callbacks/-/test"
    assert client_of(OTHER_USER).post(path, json={"script": BY_SIZE}).status_code == 404
    keys = {}
    for action in ("test", "create"):
        scopes = [{"controller": "task_callbacks", "action": action}]
        made = post(admin, "/users/me/api_keys", {"name": action, "api_key_scopes": scopes})
        keys[action] = made["key"]
    admin.auth = None
    for action, status in (("test", 200), ("create", 403)):
        answer = admin.post(path, json={"script": BY_SIZE}, headers={"Authorization": keys[action]})
        assert answer.status_code == status, answer.text
