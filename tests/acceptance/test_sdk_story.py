"""The released SDK (nodeum-sdk 1.88.0), unchanged, does the whole story on a real server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodeum_sdk
import pytest
from nodeum_sdk.exceptions import ApiException

from tests.servers import PASSWORD, Server, wait_until
from tests.story import FINAL
from tests.trees import describe, grow, staged_left

SCRIPT = """
import utils
import sys

def run(req):
    info = utils.get_node_info(req)
    return not info.path.endswith('.tmp') and info.mtime.ToDatetime().year >= 1990
"""


@pytest.fixture
def sdk(server: Server) -> Iterator[Any]:
    configuration = nodeum_sdk.Configuration(
        host=f"{server.url}/api/v2", username="admin", password=PASSWORD
    )
    with nodeum_sdk.ApiClient(configuration) as client:
        yield client


def add_pool(sdk: Any, name: str, kind: str, folder: Path) -> Any:
    nas = nodeum_sdk.NasApi(sdk).create_nas(
        nas_body=nodeum_sdk.Nas(name=name, host="localhost", type="nfs_v4")
    )
    share = nodeum_sdk.NasSharesApi(sdk).create_nas_share_by_nas(
        nas_id=str(nas.id),
        nas_share_body=nodeum_sdk.NasShare(
            name=name, path="/export", options=f"mount_point={folder}"
        ),
    )
    # This SDK's PoolUp has lost the fields of Pool: a pool is made first, its members follow.
    pools = nodeum_sdk.PoolsApi(sdk)
    pool = pools.create_pool(pool_body=nodeum_sdk.Pool(name=name, type=kind, content="nas"))
    members = nodeum_sdk.PoolUp(nas_share_ids=[share.id])
    return pools.update_pool(pool_id=str(pool.id), pool_body=members)


def run_to_the_end(tasks: Any, task_id: str) -> Any:
    job = tasks.run_task(task_id=task_id)
    assert job.status in {"queued", "working", "completed"}

    def completed() -> bool:
        status = tasks.run_task_result(task_id=task_id, job_id=job.job_id).status
        assert status != "failed"
        return bool(status == "completed")

    wait_until(completed, "the run to be accepted")

    def ended() -> Any:
        task = tasks.show_task(task_id=task_id)
        return task if task.status in FINAL else None

    return wait_until(ended, "the task to end")


def test_the_whole_story(sdk: Any, source: Path, destination: Path) -> None:
    grow(source, 300)
    (source / "scratch.tmp").write_bytes(b"left out by the callback")
    primary = add_pool(sdk, "studio", "primary", source)
    archive = add_pool(sdk, "vault", "offline_archive", destination)
    assert primary.primary_id is not None

    tasks = nodeum_sdk.TasksApi(sdk)
    task = tasks.create_task(
        task_body=nodeum_sdk.Task(
            name="nightly archive/1",
            workflow_type="offline_archive",
            workflow_action="copy",
            source_type="primary_nas",
            destination_type="secondary_nas",
            priority=7,
            conflict_resolution="rename",
        )
    )
    assert (task.status, task.priority) == ("not_activated", 7)
    name = task.name  # the SDK sends it percent-encoded, the slash included
    nodeum_sdk.TaskSourcesApi(sdk).create_task_source(
        task_id=name, task_source_body=nodeum_sdk.TaskSourceUp(file_path="/studio/d000")
    )
    nodeum_sdk.TaskSourcesApi(sdk).create_task_source(
        task_id=name, task_source_body=nodeum_sdk.TaskSourceUp(file_path="/studio/scratch.tmp")
    )
    nodeum_sdk.TaskDestinationsApi(sdk).create_task_destination(
        task_id=name, task_destination_body=nodeum_sdk.TaskDestinationUp(pool_id=archive.id)
    )
    nodeum_sdk.TaskOptionsApi(sdk).create_task_option(
        task_id=name, task_option_body=nodeum_sdk.TaskOption(type="file_checksum", value="md5")
    )
    nodeum_sdk.TaskCallbacksApi(sdk).create_task_callback(
        task_id=name, task_callback_body=nodeum_sdk.TaskCallback(type="filter", script=SCRIPT)
    )

    done = run_to_the_end(tasks, name)
    assert done.status == "done"
    assert done.processed_size == done.to_process_size > 0
    (source / "scratch.tmp").unlink()
    assert describe(destination) == describe(source)
    assert staged_left(destination) == []

    executions = nodeum_sdk.TaskExecutionsApi(sdk)
    (execution,) = executions.index_task_executions_by_task(task_id=str(task.id)).task_executions
    assert execution.status == "done"
    assert execution.processed_files == execution.finalized_files == 300
    files = nodeum_sdk.FilesApi(sdk)
    listed = files.index_files_by_task_execution(task_execution_id=execution.id, limit=1000)
    assert listed.count == 301  # the refused file is on record, too
    (root,) = files.index_files(name="studio").files
    (folder,) = files.files_children(file_parent_id=str(root.id), type="folder").files
    assert (folder.name, folder.type) == ("d000", "folder")
    shown = files.show_file(file_id=str(folder.id))
    assert shown.file_path.endswith("/d000")

    tasks.destroy_task(task_id=name)
    with pytest.raises(ApiException) as gone:
        tasks.show_task(task_id=str(task.id))
    assert gone.value.status == 404
    assert executions.show_task_execution(task_execution_id=execution.id).status == "done"


def test_a_wrong_password_is_refused(server: Server) -> None:
    configuration = nodeum_sdk.Configuration(
        host=f"{server.url}/api/v2", username="admin", password="wrong"
    )
    with nodeum_sdk.ApiClient(configuration) as client, pytest.raises(ApiException) as refused:
        nodeum_sdk.TasksApi(client).index_tasks()
    assert refused.value.status == 401
    assert base64.b64encode(b"admin:wrong") not in server.log.read_bytes()
