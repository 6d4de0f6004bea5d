from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.api.client import TestClient

API = "/api/v2"


@pytest.fixture
def source_folder(tmp_path: Path) -> Path:
    """A folder that a primary pool shows."""
    folder = tmp_path / "source"
    (folder / "photos" / "2024").mkdir(parents=True)
    (folder / "photos" / "2024" / "a b.jpg").write_bytes(b"picture")
    (folder / "notes.txt").write_bytes(b"words")
    return folder


@pytest.fixture
def task(admin: TestClient, tmp_path: Path, source_folder: Path) -> str:
    """The path of a task, beside a primary and a secondary pool and a container."""
    archive = tmp_path / "archive"
    (archive / "2023").mkdir(parents=True)
    made = post(admin, "/nas", {"name": "filer", "host": "127.0.0.1", "type": "nfs_v4"})
    shares = [
        post(
            admin,
            f"/nas/{made['id']}/nas_shares",
            {"name": folder.name, "path": f"/{folder.name}", "options": f"mount_point={folder}"},
        )
        for folder in (source_folder, archive)
    ]
    post(admin, "/pools", pool("projects", "primary", shares[0]["id"]))
    post(admin, "/pools", pool("vault", "offline_archive", shares[1]["id"]))
    post(admin, "/containers", {"name": "inbox", "quota_on_cache": 10})
    made = post(admin, "/tasks", {"name": "nightly"})
    return f"{API}/tasks/{made['id']}"


def pool(name: str, kind: str, share_id: int) -> dict[str, object]:
    return {"name": name, "type": kind, "content": "nas", "nas_share_ids": [share_id]}


def post(client: TestClient, path: str, body: Mapping[str, object]) -> Any:
    answer = client.post(f"{API}{path}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_source_is_found_in_the_storage_and_then_in_the_catalogue(
    admin: TestClient, task: str, source_folder: Path
) -> None:
    path = "/projects/photos/2024/a b.jpg"
    made = admin.post(f"{task}/task_sources", json={"file_path": path, "range": [1, 3]})
    assert made.status_code == 201, made.text
    file = made.json()["file"]
    assert (file["name"], file["type"], file["size"]) == ("a b.jpg", "file", 7)
    assert made.json()["range"] == [1, 3]
    assert made.json()["pool"] is None
    (source_folder / "photos" / "2024" / "a b.jpg").unlink()
    again = admin.post(f"{task}/task_sources", json={"file_path": path, "file_id": file["id"]})
    assert again.status_code == 201, again.text
    assert admin.get(f"{task}/task_sources").json()["count"] == 2


@pytest.mark.parametrize(
    ("body", "attribute"),
    [
        ({"file_path": "/projects/missing"}, "file_path"),
        ({"file_path": "/nowhere/photos"}, "file_path"),
        ({"file_path": "/vault/2023"}, "file_path"),
        ({"file_path": "/projects/../x"}, "file_path"),
        ({"file_path": "/"}, "file_path"),
        ({"file_path": ""}, "file_path"),
        ({"file_path": 5}, "file_path"),
        ({"file_path": "/projects/\0"}, "file_path"),
        ({"file_id": 10**6}, "file_id"),
        ({"file_id": 10**30}, "file_id"),
        ({"file_id": -1}, "file_id"),
        ({"pool_id": 99}, "pool_id"),
        ({"pool_name": "none"}, "pool_name"),
        ({"pool_id": 1, "pool_name": "vault"}, "pool_name"),
        ({"pool_name": "vault", "file_path": "/missing"}, "file_path"),
        ({"tape_id": 1}, "tape_id"),
        ({"tape_barcode": "A00001L8"}, "tape_barcode"),
        ({"import_file_id": 1}, "import_file_id"),
        ({"file_path": "/projects/photos", "range": [0, 5]}, "range"),
        ({"file_path": "/projects/notes.txt", "range": [5, 5]}, "range"),
        ({"file_path": "/projects/notes.txt", "range": [1]}, "range"),
        ({"file_path": "/projects/notes.txt", "range": [1, 2, 3]}, "range"),
        ({"file_path": "/projects/notes.txt", "range": "all"}, "range"),
        ({}, "base"),
    ],
)
def test_a_source_that_means_nothing_is_refused(
    admin: TestClient, task: str, body: dict[str, object], attribute: str
) -> None:
    answer = admin.post(f"{task}/task_sources", json=body)
    assert answer.status_code == 422, answer.text
    assert list(answer.json()["details"]) == [attribute]
    assert admin.get(f"{task}/task_sources").json()["count"] == 0


def test_whole_pools_and_containers_are_sources(admin: TestClient, task: str) -> None:
    for body, shown in (
        ({"pool_name": "vault"}, "pool"),
        ({"pool_name": "projects"}, "pool"),
        ({"file_path": "/inbox"}, "container"),
        ({"file_path": "projects"}, "file"),
    ):
        made = admin.post(f"{task}/task_sources", json=body).json()
        kinds = [name for name in ("file", "container", "pool") if made[name] is not None]
        assert kinds == [shown]


def test_a_folder_of_a_secondary_pool_is_a_source_without_a_catalogue_entry(
    admin: TestClient, task: str
) -> None:
    made = admin.post(
        f"{task}/task_sources", json={"pool_name": "vault", "file_path": "/2023"}
    ).json()
    assert made["file"] == {"name": "2023", "file_path": "/2023"}
    assert made["pool"]["name"] == "vault"


def test_a_destination_may_be_a_folder_that_the_run_will_make(admin: TestClient, task: str) -> None:
    body = {"pool_name": "vault", "folder_path": "/2024/spring"}
    made = admin.post(f"{task}/task_destinations", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["folder"] == {"name": "spring", "file_path": "/2024/spring"}
    changed = admin.put(
        f"{task}/task_destinations/{made.json()['id']}", json={"folder_path": "/inbox/new"}
    ).json()
    assert changed["folder"] == {"name": "new", "file_path": "/inbox/new"}
    assert changed["pool"] is None


def test_a_file_is_no_destination(admin: TestClient, task: str) -> None:
    body = {"folder_path": "/projects/notes.txt"}
    answer = admin.post(f"{task}/task_destinations", json=body)
    assert answer.status_code == 422
    assert answer.json()["details"]["folder_path"][0]["error"] == "invalid"


def test_the_local_prefix_of_a_path_stands_for_the_storage(admin: TestClient, task: str) -> None:
    admin.put(task, json={"local_server_path": "/mnt/projects"})
    body = {"pool_name": "projects", "file_path": "/mnt/projects/photos"}
    made = admin.post(f"{task}/task_sources", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["file"]["name"] == "photos"


GOOD_OPTIONS = [
    ("file_checksum", "xxhash64"), ("file_checksum", "none"), ("reset_file_date", "1"),
    ("reset_folder_date", "0"), ("rename_to", "new name"), ("selected_drive", "drive 1"),
    ("parallel_processing", "64"), ("full_report", "1"), ("processing_order", "size"),
    ("rehydration_usage_threshold", "0"), ("rehydration_deleted_files_threshold", "100"),
    ("learning_type", "text"), ("learning_threshold", "50"), ("tape_to_scratch", "1"),
    ("eject_tape_after", "0"), ("barcodes", "A1,B2|C3"), ("overwrite", "1"),
    ("soft_erase", "1"), ("task_template", "0"), ("task_id", "1"),
]  # fmt: skip
BAD_OPTIONS = [
    ("file_checksum", "sha1"), ("file_checksum", ""), ("reset_file_date", "yes"),
    ("rename_to", "a/b"), ("rename_to", ".."), ("rename_to", "é" * 128), ("selected_drive", " "),
    ("parallel_processing", "0"), ("parallel_processing", "65"), ("parallel_processing", "many"),
    ("processing_order", "age"), ("rehydration_usage_threshold", "101"),
    ("learning_threshold", "-1"), ("barcodes", "A1,,B2"), ("overwrite", "2"),
    ("execution_task_id", "7"), ("task_id", "99"), ("task_id", "nightly"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), GOOD_OPTIONS)
def test_an_option_with_a_fitting_value_is_kept(
    admin: TestClient, task: str, kind: str, value: str
) -> None:
    made = admin.post(f"{task}/task_options", json={"type": kind, "value": value})
    assert made.status_code == 201, made.text
    shown = admin.get(f"{task}/task_options/{made.json()['id']}").json()
    assert (shown["type"], shown["value"]) == (kind, value)


@pytest.mark.parametrize(("kind", "value"), BAD_OPTIONS)
def test_an_option_with_another_value_is_refused(
    admin: TestClient, task: str, kind: str, value: str
) -> None:
    answer = admin.post(f"{task}/task_options", json={"type": kind, "value": value})
    assert answer.status_code == 422
    assert list(answer.json()["details"]) == ["value"]


def test_only_barcodes_may_be_given_twice(admin: TestClient, task: str) -> None:
    for kind, value, status in (
        ("barcodes", "A1", 201), ("barcodes", "A2", 201), ("overwrite", "1", 201),
        ("overwrite", "0", 422),
    ):  # fmt: skip
        answer = admin.post(f"{task}/task_options", json={"type": kind, "value": value})
        assert answer.status_code == status
    assert answer.json()["details"]["type"] == [{"error": "taken", "value": "overwrite"}]


def test_metadata_keys_are_unique_and_without_equals_signs(admin: TestClient, task: str) -> None:
    path = f"{task}/task_metadata"
    made = admin.post(path, json={"key": "project", "value": "moon"})
    assert made.status_code == 201
    twice = admin.post(path, json={"key": "project", "value": "sun"})
    assert twice.json()["details"]["key"] == [{"error": "taken", "value": "project"}]
    assert admin.post(path, json={"key": "a=b", "value": ""}).status_code == 422
    both = admin.post(path, json={})
    assert set(both.json()["details"]) == {"key", "value"}
    one = f"{path}/{made.json()['id']}"
    assert admin.put(one, json={"value": "mars"}).json()["value"] == "mars"
    assert admin.delete(one).status_code == 204
    assert admin.get(one).status_code == 404


def test_a_script_that_cannot_run_is_refused_with_its_place(admin: TestClient, task: str) -> None:
    path = f"{task}/task_callbacks"
    good = admin.post(path, json={"type": "filter", "script": "def run(req):\n    return True\n"})
    assert good.status_code == 201, good.text
    bad = admin.post(path, json={"type": "filter", "script": "def run(req):\n    return (\n"})
    assert bad.status_code == 422
    assert bad.json()["details"]["script"][0]["error"] == "invalid"
    assert "line 2" in bad.json()["messages"][0]
    long = admin.post(path, json={"type": "other", "script": "#" * 70_000})
    assert long.json()["details"]["script"] == [{"error": "too_long", "count": 65536}]
    assert long.json()["details"]["type"] == [{"error": "invalid", "value": "other"}]


def test_parts_of_another_task_are_not_found(admin: TestClient, task: str) -> None:
    other = post(admin, "/tasks", {"name": "other"})
    made = admin.post(f"{task}/task_metadata", json={"key": "a", "value": "b"}).json()
    path = f"{API}/tasks/{other['id']}/task_metadata/{made['id']}"
    assert admin.get(path).json()["details"] == {"task_metadatum": [{"error": "not_found"}]}
    assert admin.delete(path).status_code == 404


def test_a_clone_has_everything_but_the_history(admin: TestClient, task: str) -> None:
    made = {
        "task_sources": {"file_path": "/projects/photos"},
        "task_destinations": {"pool_name": "vault", "folder_path": "/2024"},
        "task_options": {"type": "overwrite", "value": "1"},
        "task_metadata": {"key": "a", "value": "b"},
        "task_callbacks": {"type": "filter", "script": "def run(req):\n    return True\n"},
    }
    for part, body in made.items():
        assert admin.post(f"{task}/{part}", json=body).status_code == 201
    admin.post(f"{task}/task_options", json={"type": "task_template", "value": "1"})
    admin.put(task, json={"name": "n" * 255, "priority": 9})
    answer = admin.post(f"{task}/clone")
    assert answer.status_code == 201, answer.text
    clone = answer.json()
    assert (clone["name"], clone["priority"]) == ("n" * 248 + " (copy)", 9)
    assert clone["status"] == "not_activated"
    for part in made:
        old, new = (
            admin.get(path).json()[part]
            for path in (f"{task}/{part}", f"{API}/tasks/{clone['id']}/{part}")
        )
        kept = [each | {"id": 0} for each in old if each.get("type") != "task_template"]
        assert [each | {"id": 0} for each in new] == kept


def test_a_clone_has_the_limits_of_its_own(admin: TestClient, task: str) -> None:
    limits = [f"{task}/limits"]
    for _ in range(2):
        admin.put(limits[0], json={"bandwidth": 5_000_000})
        limits.append(f"{API}/tasks/{admin.post(f'{task}/clone').json()['id']}/limits")
        admin.put(limits[0], json={"bandwidth": None})
        limits.append(f"{API}/tasks/{admin.post(f'{task}/clone').json()['id']}/limits")
    found = [admin.get(path).json()["bandwidth"] for path in limits]
    assert found == [None, 5_000_000, None, 5_000_000, None]


def test_a_container_takes_part_only_in_tasks_of_those_with_a_right_to_it(
    admin: TestClient, user: TestClient, task: str
) -> None:
    own = f"{API}/tasks/{post(user, '/tasks', {'name': 'own'})['id']}"
    source, destination = {"file_path": "/inbox"}, {"folder_path": "/inbox/new"}

    def answers() -> list[int]:
        return [
            user.post(f"{own}/task_sources", json=source).status_code,
            user.post(f"{own}/task_destinations", json=destination).status_code,
        ]

    assert answers() == [422, 422]
    privilege = {"name": "ulla", "type": "user", "privilege": "read"}
    made = post(admin, "/containers/inbox/container_privileges", privilege)
    assert answers() == [201, 422]
    path = f"{API}/containers/inbox/container_privileges/{made['id']}"
    assert admin.put(path, json={"privilege": "read_write"}).status_code == 200
    assert answers() == [201, 201]
