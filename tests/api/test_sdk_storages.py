"""The released Python SDK: storages, catalogue, credentials and schedules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodeum_sdk
import pytest

from longshore.services.context import Context
from tests.api.conftest import ADMINISTRATOR
from tests.api.test_files import add, entry


@pytest.fixture
def sdk(server: str) -> Iterator[nodeum_sdk.ApiClient]:
    configuration = nodeum_sdk.Configuration(
        host=f"{server}/api/v2", username=ADMINISTRATOR[0], password=ADMINISTRATOR[1]
    )
    with nodeum_sdk.ApiClient(configuration) as client:
        yield client


@pytest.fixture
def share(sdk: nodeum_sdk.ApiClient, tmp_path: Path) -> Any:
    """A share of a new NAS over a folder."""
    (tmp_path / "mounted").mkdir()
    nas = nodeum_sdk.NasApi(sdk).create_nas(
        nas_body=nodeum_sdk.Nas(name="my filer/1", host="filer.example", type="smb_v3")
    )
    body = nodeum_sdk.NasShare(
        name="home", path="/home", options=f"mount_point={tmp_path / 'mounted'}", password="pw"
    )
    return nodeum_sdk.NasSharesApi(sdk).create_nas_share_by_nas(nas_id=nas.id, nas_share_body=body)


@pytest.fixture
def pool(sdk: nodeum_sdk.ApiClient, share: Any) -> Any:
    # The SDK's own PoolUp takes none of the fields that it shares with Pool.
    body = {"name": "source", "type": "primary", "content": "nas", "nas_share_ids": [share.id]}
    return nodeum_sdk.PoolsApi(sdk).create_pool(pool_body=body)


def refused(call: Any, **arguments: Any) -> int:
    with pytest.raises(nodeum_sdk.ApiException) as error:
        call(**arguments)
    return int(error.value.status)


def test_nas_api(sdk: nodeum_sdk.ApiClient, share: Any) -> None:
    api = nodeum_sdk.NasApi(sdk)
    nas = api.show_nas(nas_id="my filer/1")
    nas.price = "7.5"
    assert api.update_nas(nas_id=str(nas.id), nas_body=nas).price == "7.5"
    found = api.index_nas(type="><smb_v3|nfs_v4", sort_by=["name:desc", "id"], limit=5)
    assert (found.count, found.nas) == (1, [api.show_nas(nas_id=str(nas.id))])
    assert refused(api.destroy_nas, nas_id=str(nas.id)) == 422
    nodeum_sdk.NasSharesApi(sdk).destroy_nas_share(nas_share_id=str(share.id))
    assert api.destroy_nas(nas_id=str(nas.id)) is None


def test_nas_shares_api(sdk: nodeum_sdk.ApiClient, share: Any, pool: Any) -> None:
    api = nodeum_sdk.NasSharesApi(sdk)
    nas, pool_id, share_id = str(share.nas_id), str(pool.id), str(share.id)
    shown = api.show_nas_share(nas_share_id="home")
    assert (shown.password, shown.pool_id) == ("pw", pool.id)
    assert api.show_nas_share_by_nas(nas_id=nas, nas_share_id=share_id) == shown
    assert api.show_nas_share_by_pool(pool_id=pool_id, nas_share_id=share_id) == shown
    assert api.index_nas_shares(pool_id=pool_id).nas_shares == [shown]
    assert api.index_nas_shares_by_nas(nas_id=nas).nas_shares == [shown]
    assert api.index_nas_shares_by_pool(pool_id=pool_id).nas_shares == [shown]
    shown.username = "backup"
    assert api.update_nas_share(nas_share_id=share_id, nas_share_body=shown) == shown
    assert api.update_nas_share_by_nas(
        nas_id=nas, nas_share_id=share_id, nas_share_body=shown
    ) == shown  # fmt: skip
    assert api.update_nas_share_by_pool(
        pool_id=pool_id, nas_share_id=share_id, nas_share_body=shown
    ) == shown  # fmt: skip
    assert api.mount_status_nas_share(nas_share_id=share_id).mounted is True
    assert api.mount_status_nas_share_by_nas(nas_id=nas, nas_share_id=share_id).mounted is True
    by_pool = api.mount_status_nas_share_by_pool(pool_id=pool_id, nas_share_id=share_id)
    assert by_pool.status.nas_share_name == "home"
    job = api.test_nas_share(nas_id=nas, nas_share_body=shown)
    result = api.test_result_nas_share(nas_id=nas, job_id=job.job_id)
    assert (result.status, result.progress) == ("completed", result.total)
    assert len(nodeum_sdk.MountsApi(sdk).index_mounts().mounts) == 1
    api.destroy_nas_share_by_pool(pool_id=pool_id, nas_share_id=share_id)
    assert refused(api.destroy_nas_share_by_nas, nas_id=nas, nas_share_id=share_id) == 404


def test_pools_api(sdk: nodeum_sdk.ApiClient, pool: Any) -> None:
    api = nodeum_sdk.PoolsApi(sdk)
    pool_id = str(pool.id)
    assert api.show_pool(pool_id="source") == pool
    pool.comment = "photos"
    assert api.update_pool(pool_id=pool_id, pool_body=pool).comment == "photos"
    found = api.index_pools(type="primary", content="nas", primary_id=str(pool.primary_id))
    assert (found.count, found.pools) == (1, [pool])
    for call in (api.mount_status_pool, api.mount_pool, api.unmount_pool):
        assert call(pool_id=pool_id).status.pool_name == "source"
    scan = nodeum_sdk.PrimaryScan(enabled=True, operand=2, unit="hours")
    made = api.create_primary_scan(pool_id=pool_id, primary_scan_body=scan)
    made.enabled = False
    assert api.update_primary_scan(pool_id=pool_id, primary_scan_body=made) == made
    assert api.show_primary_scan(pool_id=pool_id) == made
    api.destroy_primary_scan(pool_id=pool_id)
    api.sync_primary_pool(pool_id=pool_id, tx=1)
    api.destroy_pool(pool_id=pool_id)
    assert refused(api.show_pool, pool_id=pool_id) == 404


def test_containers_api(sdk: nodeum_sdk.ApiClient) -> None:
    api = nodeum_sdk.ContainersApi(sdk)
    body = nodeum_sdk.Container(name="projects", quota_on_cache=10, guest_right="read")
    made = api.create_container(container_body=body)
    container_id = str(made.id)
    made.comment = "all of them"
    assert api.update_container(container_id=container_id, container_body=made).name == "projects"
    assert api.show_container(container_id="projects").comment == "all of them"
    assert api.index_containers(quota_on_cache=">=10", guest_right="read").count == 1
    body = nodeum_sdk.ContainerPrivilege(name="ulla", type="user", privilege="read_write")
    given = api.create_container_privilege(container_id=container_id, container_privilege_body=body)
    where = {"container_id": container_id, "container_privilege_id": given.id}
    given.privilege = "read"
    assert api.update_container_privilege(**where, container_privilege_body=given) == given
    assert api.show_container_privilege(**where) == given
    assert api.index_container_privileges(container_id=container_id, name="ulla").count == 1
    api.destroy_container_privilege(**where)
    api.destroy_container(container_id=container_id)
    assert refused(api.show_container, container_id=container_id) == 404


def test_files_api(sdk: nodeum_sdk.ApiClient, pool: Any, context: Context) -> None:
    api = nodeum_sdk.FilesApi(sdk)
    root, pool_id = pool.primary_id, str(pool.id)
    (file,) = add(context, root, root, [entry("a file")])
    assert [each.name for each in api.index_files().files] == ["source"]
    (listed,) = api.files_children(file_parent_id=root, name="~A%", type="file").files
    assert (listed.id, listed.permission, listed.size) == (file, 100644, 7)
    assert api.show_file(file_id=file).file_path == "/source/a file"
    assert api.index_files_by_pool(pool_id=pool_id, limit=1).count == 1
    assert api.files_children_by_pool(pool_id=pool_id, file_parent_id=root).files == [listed]
    assert api.show_file_by_pool(pool_id=pool_id, file_id=file).file_path == "/source/a file"
    assert api.index_tapes_by_file_by_pool(pool_id=pool_id, file_id=file).count == 0
    assert api.index_import_files_by_pool(pool_id=pool_id).import_files == []
    assert api.index_on_tapes_files_by_pool(pool_id=pool_id).on_tapes_files == []
    for call, parameter in (
        (api.show_import_file_by_pool, "file_id"),
        (api.show_on_tape_file_by_pool, "file_id"),
        (api.import_files_children_by_pool, "file_parent_id"),
        (api.on_tapes_files_children_by_pool, "file_parent_id"),
    ):
        assert refused(call, pool_id=pool_id, **{parameter: file}) == 404
    container = nodeum_sdk.ContainersApi(sdk).create_container(
        container_body=nodeum_sdk.Container(name="projects")
    )
    container_id = str(container.id)
    assert api.index_files_by_container(container_id=container_id).count == 0
    where = {"container_id": container_id}
    assert refused(api.show_file_by_container, **where, file_id=file) == 404
    assert refused(api.files_children_by_container, **where, file_parent_id=root) == 404


def test_users_api(sdk: nodeum_sdk.ApiClient, server: str) -> None:
    api = nodeum_sdk.UsersApi(sdk)
    # The SDK's model of a key knows the scopes only; name and key stand in the plain answer.
    scope = nodeum_sdk.ApiKeyScope(controller="pools", action="index")
    full = nodeum_sdk.ApiKeyFull(api_key_scopes=[scope])
    assert api.create_api_key(api_key_body=full).api_key_scopes == [scope]
    body = {"name": "reader", "api_key_scopes": [{"controller": "pools", "action": "index"}]}
    made = json.loads(api.create_api_key(api_key_body=body, _preload_content=False).data)
    key_id = made["id"]
    assert api.show_api_key(api_key_id=key_id).api_key_scopes == [scope]
    api.update_api_key(api_key_id=key_id, api_key_body={"name": "renamed"})
    listed = api.index_api_keys(limit=10, offset=1).api_keys
    masked = "*" * 28 + made["key"][-4:]
    assert [(key.id, key.name, key.key) for key in listed] == [(key_id, "renamed", masked)]
    for prefix in ({}, {"Authorization": "Bearer"}):
        limited = nodeum_sdk.Configuration(
            host=f"{server}/api/v2", api_key={"Authorization": made["key"]}, api_key_prefix=prefix
        )
        with nodeum_sdk.ApiClient(limited) as client:
            assert nodeum_sdk.PoolsApi(client).index_pools().count == 0
            assert refused(nodeum_sdk.TasksApi(client).index_tasks) == 403
    api.destroy_api_key(api_key_id=key_id)
    assert refused(api.show_api_key, api_key_id=key_id) == 404
    body = nodeum_sdk.UserConfiguration(key="theme", value="dark")
    kept = api.create_configuration(configuration_body=body)
    kept.value = "light"
    assert api.update_configuration(configuration_id="theme", configuration_body=kept) == kept
    assert api.show_configuration(configuration_id=str(kept.id)) == kept
    assert api.index_configurations().configurations == [kept]
    api.destroy_configuration(configuration_id="theme")
    assert api.index_configurations().count == 0
    assert api.index_system_users().count > 0
    assert api.index_system_groups().count > 0


def test_task_schedules_api(sdk: nodeum_sdk.ApiClient) -> None:
    task = nodeum_sdk.TasksApi(sdk).create_task(task_body=nodeum_sdk.Task(name="my task/1"))
    api = nodeum_sdk.TaskSchedulesApi(sdk)
    body = nodeum_sdk.TaskSchedule(rrule="RRULE:FREQ=WEEKLY")
    made = api.create_task_schedule(task_id="my task/1", task_schedule_body=body)
    assert (made.task_id, made.done, made.missed_count) == (task.id, False, 0)
    made.done = True
    changed = api.update_task_schedule(task_id=str(task.id), task_schedule_body=made)
    assert (changed.done, changed.next) == (True, None)
    assert api.show_task_schedule(task_id=str(task.id)) == changed
    found = api.index_task_schedules(with_next=False, done="true", task_id=str(task.id))
    assert [each.id for each in found.task_schedules] == [made.id]
    api.destroy_task_schedule(task_id=str(task.id))
    assert refused(api.show_task_schedule, task_id=str(task.id)) == 404
