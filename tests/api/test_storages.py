from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from longshore.database.connection import reading, writing
from longshore.database.tables.catalogue import nodes
from longshore.database.tables.storages import nas_shares as nas_shares_table
from longshore.services.context import Context
from tests.api.client import TestClient

API = "/api/v2"


def new_nas(admin: TestClient, name: str = "filer") -> int:
    body = {"name": name, "host": "filer.example", "type": "nfs_v4"}
    answer = admin.post(f"{API}/nas", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def new_share(admin: TestClient, nas_id: int, **more: object) -> dict[str, object]:
    body = {"name": "home", "path": "/export/home"} | more
    answer = admin.post(f"{API}/nas/{nas_id}/nas_shares", json=body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, object] = answer.json()
    return shown


def new_pool(admin: TestClient, **more: object) -> dict[str, object]:
    body = {"name": "source", "type": "primary", "content": "nas"} | more
    answer = admin.post(f"{API}/pools", json=body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, object] = answer.json()
    return shown


def errors(answer: object) -> dict[str, list[str]]:
    body = answer.json()  # type: ignore[attr-defined]
    assert answer.status_code == 422, body  # type: ignore[attr-defined]
    return {name: [each["error"] for each in found] for name, found in body["details"].items()}


class TestNas:
    def test_a_nas_lives_through_create_show_update_and_destroy(self, admin: TestClient) -> None:
        nas_id = new_nas(admin)
        shown = admin.get(f"{API}/nas/filer").json()
        assert shown == admin.get(f"{API}/nas/{nas_id}").json()
        changed = admin.put(f"{API}/nas/{nas_id}", json=shown | {"price": "12.50"})
        assert changed.status_code == 200
        assert changed.json() == shown | {"price": "12.50"}
        assert admin.put(f"{API}/nas/filer", json={"price": None}).json() == shown
        assert admin.delete(f"{API}/nas/filer").status_code == 204
        assert admin.get(f"{API}/nas/{nas_id}").status_code == 404

    def test_everything_wrong_comes_at_once(self, admin: TestClient) -> None:
        body = {"name": " ", "type": "floppy", "price": "cheap", "comment": 7}
        assert errors(admin.post(f"{API}/nas", json=body)) == {
            "name": ["blank"],
            "host": ["blank"],
            "type": ["invalid"],
            "price": ["invalid"],
            "comment": ["invalid"],
        }

    def test_a_name_is_given_once(self, admin: TestClient) -> None:
        new_nas(admin)
        body = {"name": "filer", "host": "h", "type": "nfs_v3"}
        assert errors(admin.post(f"{API}/nas", json=body)) == {"name": ["taken"]}

    def test_a_nas_with_shares_stays(self, admin: TestClient) -> None:
        nas_id = new_nas(admin)
        new_share(admin, nas_id)
        answer = admin.delete(f"{API}/nas/{nas_id}")
        assert errors(answer) == {"base": ["frozen"]}
        assert "still has shares" in answer.json()["messages"][0]

    def test_filters_and_order_apply(self, admin: TestClient) -> None:
        for name in ("b", "a", "c"):
            new_nas(admin, name)
        found = admin.get(f"{API}/nas", params={"name": "!=b", "sort_by": "name:desc"}).json()
        assert (found["count"], [row["name"] for row in found["nas"]]) == (2, ["c", "a"])
        assert admin.get(f"{API}/nas", params={"limit": 0}).json() == {"count": 3, "nas": []}

    def test_users_read_and_do_not_change(self, admin: TestClient, user: TestClient) -> None:
        nas_id = new_nas(admin)
        assert user.get(f"{API}/nas").json()["count"] == 1
        body = {"name": "x", "host": "h", "type": "nfs_v3"}
        for answer in (
            user.post(f"{API}/nas", json=body),
            user.put(f"{API}/nas/{nas_id}", json=body),
            user.delete(f"{API}/nas/{nas_id}"),
        ):
            assert answer.status_code == 403
            assert answer.json()["details"]["base"][0]["controller"] == "nas"


class TestNasShares:
    def test_a_share_is_the_same_below_its_nas_its_pool_and_alone(self, admin: TestClient) -> None:
        share = new_share(admin, new_nas(admin))
        pool = new_pool(admin, nas_share_ids=[share["id"]])
        shown = admin.get(f"{API}/nas_shares/home").json()
        assert shown == share | {"pool_id": pool["id"]}
        assert admin.get(f"{API}/nas/filer/nas_shares/home").json() == shown
        assert admin.get(f"{API}/pools/source/nas_shares/{share['id']}").json() == shown
        for place in ("nas/filer/nas_shares", "pools/source/nas_shares", "nas_shares"):
            assert admin.get(f"{API}/{place}").json() == {"count": 1, "nas_shares": [shown]}

    def test_a_share_of_another_parent_is_not_found(self, admin: TestClient) -> None:
        share = new_share(admin, new_nas(admin))
        new_nas(admin, "other")
        new_pool(admin)
        for place in ("nas/other", "pools/source", "nas/none"):
            answer = admin.get(f"{API}/{place}/nas_shares/{share['id']}")
            assert answer.status_code == 404

    def test_the_password_is_encrypted_and_only_for_administrators(
        self, admin: TestClient, user: TestClient, context: Context
    ) -> None:
        share = new_share(admin, new_nas(admin), username="backup", password="pässword")
        assert share["password"] == "pässword"
        path = f"{API}/nas_shares/{share['id']}"
        assert admin.get(path).json()["password"] == "pässword"
        assert "password" not in user.get(path).json()
        assert "password" not in user.get(f"{API}/nas_shares").json()["nas_shares"][0]
        with reading(context.database.state) as connection:
            stored = connection.execute(select(nas_shares_table.c.password_encrypted)).scalar_one()
        assert "pässword".encode() not in stored
        assert (context.data_dir / "secret.key").stat().st_mode & 0o777 == 0o600
        assert "password" not in admin.put(path, json={"password": None}).json()

    def test_a_mount_point_has_to_be_a_readable_folder(
        self, admin: TestClient, tmp_path: Path
    ) -> None:
        nas_id = new_nas(admin)
        (tmp_path / "file").write_text("")
        for folder, reason in (
            ("relative", "absolute"),
            (str(tmp_path / "none"), "No such file"),
            (str(tmp_path / "file"), "not a folder"),
            ("", "absolute"),
        ):
            body = {"name": "s", "path": "/", "options": f"ro,mount_point={folder}"}
            answer = admin.post(f"{API}/nas/{nas_id}/nas_shares", json=body)
            assert errors(answer) == {"options": ["invalid"]}
            assert reason in answer.json()["messages"][0]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
    def test_an_unreadable_mount_point_is_refused(self, admin: TestClient, tmp_path: Path) -> None:
        (tmp_path / "locked").mkdir(mode=0o000)
        body = {"name": "s", "path": "/", "options": f"mount_point={tmp_path / 'locked'}"}
        answer = admin.post(f"{API}/nas/{new_nas(admin)}/nas_shares", json=body)
        assert errors(answer) == {"options": ["invalid"]}

    def test_the_servers_own_folders_are_no_mount_points(
        self, admin: TestClient, context: Context, tmp_path: Path
    ) -> None:
        nas_id = new_nas(admin)
        inside = context.data_dir / "inside"
        inside.mkdir()
        link = tmp_path / "link"
        link.symlink_to(context.data_dir)
        for folder in (context.data_dir, inside, tmp_path, link, link / "inside", Path("/")):
            body = {"name": "s", "path": "/", "options": f"mount_point={folder}"}
            answer = admin.post(f"{API}/nas/{nas_id}/nas_shares", json=body)
            assert errors(answer) == {"options": ["invalid"]}, folder
            assert "own data folder" in answer.json()["messages"][0]

    def test_two_shares_may_lead_to_one_folder(self, admin: TestClient, tmp_path: Path) -> None:
        nas_id = new_nas(admin)
        (tmp_path / "mounted").mkdir()
        options = f"mount_point={tmp_path / 'mounted'}"
        new_share(admin, nas_id, options=options)
        new_share(admin, nas_id, name="again", options=options)

    def test_a_folder_that_went_away_does_not_stop_other_changes(
        self, admin: TestClient, tmp_path: Path
    ) -> None:
        folder = tmp_path / "mounted"
        folder.mkdir()
        share = new_share(admin, new_nas(admin), options=f"mount_point={folder}")
        folder.rmdir()
        answer = admin.put(f"{API}/nas_shares/{share['id']}", json=share | {"path": "/moved"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["path"] == "/moved"

    def test_names_are_unique_per_nas(self, admin: TestClient) -> None:
        one, other = new_nas(admin, "one"), new_nas(admin, "other")
        new_share(admin, one)
        new_share(admin, other)
        body = {"name": "home", "path": "/"}
        answer = admin.post(f"{API}/nas/{one}/nas_shares", json=body)
        assert errors(answer) == {"name": ["taken"]}

    def test_a_trial_says_how_it_went(self, admin: TestClient, tmp_path: Path) -> None:
        nas_id = new_nas(admin)
        path = f"{API}/nas/{nas_id}/nas_shares/-/test"
        (tmp_path / "mounted").mkdir()
        for options, status in (
            (f"mount_point={tmp_path / 'mounted'}", "completed"),
            (f"mount_point={tmp_path / 'none'}", "failed"),
            ("", "failed"),
        ):
            started = admin.put(path, json={"name": "s", "path": "/", "options": options})
            assert started.status_code == 202
            assert started.json()["status"] == status
            result = admin.get(path, params={"job_id": started.json()["job_id"]})
            assert (result.status_code, result.json()) == (200, started.json())
        assert errors(admin.get(path)) == {"job_id": ["blank"]}
        assert admin.get(path, params={"job_id": "unknown"}).status_code == 404

    def test_the_mount_status_tells_whether_the_folder_is_there(
        self, admin: TestClient, tmp_path: Path
    ) -> None:
        folder = tmp_path / "mounted"
        folder.mkdir()
        share = new_share(admin, new_nas(admin), options=f"mount_point={folder}")
        new_pool(admin, nas_share_ids=[share["id"]])
        places = (f"nas_shares/{share['id']}", "nas/filer/nas_shares/home", "pools/source")
        for place in places:
            status = admin.get(f"{API}/{place}/mount").json()
            assert status["mounted"] is True
            assert status["status"]["target"] == str(folder)
            assert status["status"]["pool_name"] == "source"
        assert len(admin.get(f"{API}/mounts").json()["mounts"]) == 1
        folder.rmdir()
        for place in places:
            status = admin.get(f"{API}/{place}/mount").json()
            assert (status["mounted"], "No such file" in status["message"]) == (False, True)
        assert admin.get(f"{API}/mounts").json() == {"mounts": []}


class TestPools:
    def test_a_primary_pool_has_a_root_in_the_catalogue(
        self, admin: TestClient, context: Context
    ) -> None:
        pool = new_pool(admin)
        archive = new_pool(admin, name="archive", type="offline_archive")
        assert archive["primary_id"] is None
        assert _root_name(context, pool["primary_id"]) == b"source"
        renamed = admin.put(f"{API}/pools/source", json=pool | {"name": "renamed"})
        assert renamed.json() == pool | {"name": "renamed"}
        assert _root_name(context, pool["primary_id"]) == b"renamed"

    def test_type_and_content_are_frozen(self, admin: TestClient) -> None:
        pool = new_pool(admin)
        body = {"type": "offline_archive", "content": "cloud"}
        answer = admin.put(f"{API}/pools/{pool['id']}", json=body)
        assert errors(answer) == {"type": ["frozen"], "content": ["frozen"]}
        same = {"type": "primary", "content": "nas", "comment": "same"}
        assert admin.put(f"{API}/pools/{pool['id']}", json=same).status_code == 200

    def test_a_type_says_what_a_pool_can_hold(self, admin: TestClient) -> None:
        for kind, content in (
            ("primary", "tape"),
            ("data_exchange", "nas"),
            ("scratch", "cloud"),
        ):
            answer = admin.post(
                f"{API}/pools", json={"name": "p", "type": kind, "content": content}
            )
            assert errors(answer) == {"content": ["invalid"]}

    def test_a_share_is_in_one_pool_at_most(self, admin: TestClient) -> None:
        share = new_share(admin, new_nas(admin))
        new_pool(admin, nas_share_ids=[share["id"]])
        body = {"name": "p", "type": "primary", "content": "nas", "nas_share_ids": [share["id"]]}
        assert errors(admin.post(f"{API}/pools", json=body)) == {"nas_share_ids": ["taken"]}
        assert admin.put(f"{API}/pools/source", json={"nas_share_ids": []}).status_code == 200
        assert admin.post(f"{API}/pools", json=body).status_code == 201

    def test_members_have_to_exist_and_to_fit(self, admin: TestClient) -> None:
        share = new_share(admin, new_nas(admin))
        for more, wrong in (
            ({"nas_share_ids": [4711]}, "nas_share_ids"),
            ({"nas_share_ids": ["x"]}, "nas_share_ids"),
            ({"nas_share_ids": [2**70]}, "nas_share_ids"),
            ({"nas_share_ids": 5}, "nas_share_ids"),
            ({"tape_ids": [1]}, "tape_ids"),
            ({"cloud_bucket_ids": [1]}, "cloud_bucket_ids"),
            ({"content": "cloud", "nas_share_ids": [share["id"]]}, "nas_share_ids"),
        ):
            body = {"name": "p", "type": "primary", "content": "nas"} | more
            assert errors(admin.post(f"{API}/pools", json=body)) == {wrong: ["invalid"]}

    def test_a_refused_pool_leaves_no_root_behind(
        self, admin: TestClient, context: Context
    ) -> None:
        new_pool(admin)
        body = {"name": "source", "type": "primary", "content": "nas"}
        assert errors(admin.post(f"{API}/pools", json=body)) == {"name": ["taken"]}
        with reading(context.database.journal) as connection:
            assert connection.execute(select(func.count()).select_from(nodes)).scalar() == 1

    def test_a_primary_pool_and_a_container_cannot_share_a_name(self, admin: TestClient) -> None:
        new_pool(admin)
        assert errors(admin.post(f"{API}/containers", json={"name": "source"})) == {
            "name": ["taken"]
        }
        for name in ("a/b", ".", ".."):
            body = {"name": name, "type": "primary", "content": "nas"}
            assert errors(admin.post(f"{API}/pools", json=body)) == {"name": ["invalid"]}

    def test_a_pool_that_a_task_uses_stays(self, admin: TestClient, context: Context) -> None:
        pool = new_pool(admin)
        task = admin.post(f"{API}/tasks", json={"name": "t"}).json()
        _use(context, task["id"], pool_id=int(str(pool["id"])))
        answer = admin.delete(f"{API}/pools/source")
        assert errors(answer) == {"base": ["frozen"]}
        assert "task uses" in answer.json()["messages"][0]
        assert admin.delete(f"{API}/tasks/{task['id']}").status_code == 204
        assert admin.delete(f"{API}/pools/source").status_code == 204

    def test_removing_a_pool_sets_its_shares_free(self, admin: TestClient) -> None:
        share = new_share(admin, new_nas(admin))
        new_pool(admin, nas_share_ids=[share["id"]])
        assert admin.delete(f"{API}/pools/source").status_code == 204
        assert admin.get(f"{API}/nas_shares/home").json()["pool_id"] is None

    def test_a_primary_pool_is_scanned_as_often_as_asked(self, admin: TestClient) -> None:
        new_pool(admin)
        path = f"{API}/pools/source/primary_scan"
        assert admin.get(path).status_code == 404
        wrong = admin.post(path, json={"operand": 0, "unit": "fortnights"})
        assert errors(wrong) == {"operand": ["greater_than"], "unit": ["invalid"]}
        scan = admin.post(path, json={"operand": 1.5, "unit": "days"})
        assert scan.status_code == 201
        assert (scan.json()["enabled"], scan.json()["operand"]) == (True, 1.5)
        assert errors(admin.post(path, json={"operand": 1, "unit": "days"})) == {
            "pool_id": ["taken"]
        }
        assert admin.put(path, json={"enabled": False}).json()["enabled"] is False
        assert admin.delete(path).status_code == 204
        new_pool(admin, name="archive", type="offline_archive")
        other = admin.post(f"{API}/pools/archive/primary_scan", json={"operand": 1, "unit": "days"})
        assert errors(other) == {"pool_id": ["invalid"]}

    def test_a_notice_of_changes_is_accepted(self, admin: TestClient) -> None:
        new_pool(admin)
        path = f"{API}/pools/source/sync"
        assert admin.post(path, params={"tx": 7}).status_code == 204
        assert errors(admin.post(path)) == {"tx": ["blank"]}
        assert errors(admin.post(path, params={"tx": "x"})) == {"tx": ["invalid"]}

    def test_tape_pools_are_not_mounted(self, admin: TestClient, user: TestClient) -> None:
        new_pool(admin, name="tapes", type="scratch", content="tape")
        for answer in (
            admin.get(f"{API}/pools/tapes/mount"),
            admin.put(f"{API}/pools/tapes/mount"),
            admin.delete(f"{API}/pools/tapes/mount"),
        ):
            assert answer.status_code == 200
            assert answer.json()["mounted"] is False
        assert user.put(f"{API}/pools/tapes/mount").status_code == 403


class TestContainers:
    def test_a_container_has_a_folder_and_a_root(self, admin: TestClient, context: Context) -> None:
        answer = admin.post(f"{API}/containers", json={"name": "../../etc"})
        assert errors(answer) == {"name": ["invalid"]}
        container = admin.post(f"{API}/containers", json={"name": "projects"}).json()
        assert container["guest_right"] == "none"
        folders = list(context.containers_folder.iterdir())
        assert [folder.name for folder in folders] == [f"container-{container['id']}"]
        assert admin.delete(f"{API}/containers/projects").status_code == 204
        assert list(context.containers_folder.iterdir()) == []

    def test_the_name_is_frozen(self, admin: TestClient) -> None:
        admin.post(f"{API}/containers", json={"name": "projects"})
        path = f"{API}/containers/projects"
        assert errors(admin.put(path, json={"name": "other"})) == {"name": ["frozen"]}
        changed = admin.put(path, json={"name": "projects", "guest_right": "read"})
        assert changed.json()["guest_right"] == "read"

    def test_cache_quotas_add_up_to_a_hundred_percent_at_most(self, admin: TestClient) -> None:
        admin.post(f"{API}/containers", json={"name": "one", "quota_on_cache": 60})
        answer = admin.post(f"{API}/containers", json={"name": "two", "quota_on_cache": 41})
        assert errors(answer) == {"quota_on_cache": ["quota_on_cache"]}
        ok = admin.post(f"{API}/containers", json={"name": "two", "quota_on_cache": 40})
        assert ok.status_code == 201
        again = admin.put(f"{API}/containers/one", json={"quota_on_cache": 60})
        assert again.status_code == 200
        wrong = admin.put(
            f"{API}/containers/one", json={"quota_on_cache": 101, "quota_total_size": -1}
        )
        assert errors(wrong) == {
            "quota_on_cache": ["less_than_or_equal_to"],
            "quota_total_size": ["greater_than_or_equal_to"],
        }

    def test_a_container_with_files_stays(self, admin: TestClient, context: Context) -> None:
        container = admin.post(f"{API}/containers", json={"name": "projects"}).json()
        file = context.containers_folder / f"container-{container['id']}" / "file"
        file.write_text("precious")
        answer = admin.delete(f"{API}/containers/projects")
        assert errors(answer) == {"base": ["frozen"]}
        assert "not empty" in answer.json()["messages"][0]
        assert file.read_text() == "precious"

    def test_a_container_that_a_task_uses_stays(self, admin: TestClient, context: Context) -> None:
        container = admin.post(f"{API}/containers", json={"name": "projects"}).json()
        task = admin.post(f"{API}/tasks", json={"name": "t"}).json()
        _use(context, task["id"], container_id=container["id"])
        assert errors(admin.delete(f"{API}/containers/projects")) == {"base": ["frozen"]}

    def test_a_folder_left_by_a_crash_is_taken_only_when_empty(
        self, admin: TestClient, context: Context
    ) -> None:
        (context.containers_folder / "container-1").mkdir()
        (context.containers_folder / "container-2").mkdir()
        (context.containers_folder / "container-2" / "file").write_text("precious")
        assert admin.post(f"{API}/containers", json={"name": "one"}).status_code == 201
        assert errors(admin.post(f"{API}/containers", json={"name": "two"})) == {
            "base": ["invalid"]
        }
        with reading(context.database.journal) as connection:
            assert connection.execute(select(func.count()).select_from(nodes)).scalar() == 1

    def test_privileges_are_kept_per_container(self, admin: TestClient) -> None:
        admin.post(f"{API}/containers", json={"name": "one"})
        admin.post(f"{API}/containers", json={"name": "two"})
        path = f"{API}/containers/one/container_privileges"
        body = {"name": "ulla", "type": "user", "privilege": "read"}
        made = admin.post(path, json=body)
        assert made.status_code == 201
        assert errors(admin.post(path, json=body)) == {"name": ["taken"]}
        assert admin.post(path, json=body | {"type": "group"}).status_code == 201
        one = f"{path}/{made.json()['id']}"
        changed = admin.put(one, json=made.json() | {"privilege": "read_write"})
        assert changed.json() == made.json() | {"privilege": "read_write"}
        elsewhere = f"{API}/containers/two/container_privileges/{made.json()['id']}"
        assert admin.get(elsewhere).status_code == 404
        found = admin.get(path, params={"privilege": "read_write"}).json()
        assert found["count"] == 1
        assert admin.delete(one).status_code == 204
        assert errors(admin.post(path, json={"type": "robot"})) == {
            "name": ["blank"],
            "type": ["invalid"],
            "privilege": ["blank"],
        }


def _root_name(context: Context, root_id: object) -> bytes:
    with reading(context.database.journal) as connection:
        query = select(nodes.c.name).where(nodes.c.id == root_id)
        name: bytes = connection.execute(query).scalar_one()
    return name


def _use(
    context: Context, task_id: int, *, pool_id: int | None = None, container_id: int | None = None
) -> None:
    from longshore.database.tables.tasks import task_sources

    with writing(context.database.state) as connection:
        connection.execute(
            insert(task_sources).values(
                task_id=task_id,
                pool_id=pool_id,
                container_id=container_id,
                path=b"",
                given_pool=True,
            )
        )
