"""The released Python SDK against the application behind uvicorn."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodeum_sdk
import pytest
from sqlalchemy import insert

from longshore.database.connection import writing
from longshore.database.tables.tasks import task_executions, tasks
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.services.context import Context
from tests.api.conftest import ADMINISTRATOR
from tests.records import add_records, failure, record

EXECUTION_ID = 1_700_000_000_123_456_789


@pytest.fixture
def sdk(server: str) -> Iterator[nodeum_sdk.ApiClient]:
    configuration = nodeum_sdk.Configuration(
        host=f"{server}/api/v2", username=ADMINISTRATOR[0], password=ADMINISTRATOR[1]
    )
    with nodeum_sdk.ApiClient(configuration) as client:
        yield client


@pytest.fixture
def task(sdk: nodeum_sdk.ApiClient) -> Any:
    """A task of a workflow that copies."""
    body = nodeum_sdk.Task(
        name="my task/1",
        workflow_type="offline_archive",
        workflow_action="copy",
        conflict_resolution="overwrite",
        activate=True,
    )
    return nodeum_sdk.TasksApi(sdk).create_task(task_body=body)


@pytest.fixture
def pools(sdk: nodeum_sdk.ApiClient, tmp_path: Path) -> list[Any]:
    """A primary and a secondary pool over folders."""
    (tmp_path / "photos" / "2024").mkdir(parents=True)
    (tmp_path / "vault").mkdir()
    filer = nodeum_sdk.NasApi(sdk).create_nas(
        nas_body=nodeum_sdk.Nas(name="filer", host="127.0.0.1", type="nfs_v4")
    )
    made = []
    for name, kind in (("photos", "primary"), ("vault", "offline_archive")):
        share = nodeum_sdk.NasSharesApi(sdk).create_nas_share_by_nas(
            nas_id=filer.id,
            nas_share_body=nodeum_sdk.NasShare(
                name=name, path=f"/{name}", options=f"mount_point={tmp_path / name}"
            ),
        )
        body = {"name": name, "type": kind, "content": "nas", "nas_share_ids": [share.id]}
        made.append(nodeum_sdk.PoolsApi(sdk).create_pool(pool_body=body))
    return made


def status_of(call: Any, **arguments: Any) -> int:
    with pytest.raises(nodeum_sdk.ApiException) as refused:
        call(**arguments)
    return int(refused.value.status)


def test_tasks_api(sdk: nodeum_sdk.ApiClient, task: Any) -> None:
    api = nodeum_sdk.TasksApi(sdk)
    assert (task.id, task.status, task.activate) == (1, "not_activated", True)
    assert api.show_task(task_id="my task/1").id == task.id
    assert api.show_task(task_id=str(task.id)).name == "my task/1"
    task.comment = "changed"
    assert api.update_task(task_id=str(task.id), task_body=task).comment == "changed"
    found = api.index_tasks(
        limit=10, offset=0, sort_by=["name", "id:desc"], status="!><done|error", name="~MY%"
    )
    assert (found.count, [each.id for each in found.tasks]) == (1, [task.id])
    assert api.index_tasks(limit=0).count == 1
    api.destroy_task(task_id=str(task.id))
    assert status_of(api.show_task, task_id=str(task.id)) == 404


@pytest.mark.parametrize("action", ["run", "pause", "stop", "resume"])
def test_actions_of_the_tasks_api(sdk: nodeum_sdk.ApiClient, task: Any, action: str) -> None:
    api = nodeum_sdk.TasksApi(sdk)
    job, status, _ = getattr(api, f"{action}_task_with_http_info")(task_id=str(task.id))
    assert (status, job.status, job.progress) == (202, "queued", None)
    result = getattr(api, f"{action}_task_result_with_http_info")
    again, status, _ = result(task_id=str(task.id), job_id=job.job_id)
    assert (status, again.job_id) == (202, job.job_id)
    assert status_of(result, task_id=str(task.id), job_id="nothing") == 404
    assert api.show_task(task_id=str(task.id)).action == action


def test_task_sources_api(sdk: nodeum_sdk.ApiClient, task: Any, pools: list[Any]) -> None:
    api, task_id = nodeum_sdk.TaskSourcesApi(sdk), str(task.id)
    body = nodeum_sdk.TaskSourceUp(file_path="/photos/2024")
    made = api.create_task_source(task_id=task_id, task_source_body=body)
    assert (made.file.name, made.file.type, made.pool) == ("2024", "folder", None)
    assert api.show_task_source(task_id=task_id, task_source_id=made.id).file.id == made.file.id
    changed = api.update_task_source(
        task_id=task_id,
        task_source_id=made.id,
        task_source_body=nodeum_sdk.TaskSourceUp(pool_id=pools[0].id),
    )
    assert (changed.pool.name, changed.file) == ("photos", None)
    assert api.index_task_sources(task_id=task_id, pool_id=str(pools[0].id)).count == 1
    api.destroy_task_source(task_id=task_id, task_source_id=made.id)
    assert api.index_task_sources(task_id=task_id, sort_by=["id:desc"]).task_sources == []
    assert status_of(api.show_task_source, task_id=task_id, task_source_id=made.id) == 404


def test_task_destinations_api(sdk: nodeum_sdk.ApiClient, task: Any, pools: list[Any]) -> None:
    api, task_id = nodeum_sdk.TaskDestinationsApi(sdk), str(task.id)
    body = nodeum_sdk.TaskDestinationUp(pool_name="vault", folder_path="/new")
    made = api.create_task_destination(task_id=task_id, task_destination_body=body)
    assert (made.pool.id, made.folder.name) == (pools[1].id, "new")
    assert api.show_task_destination(task_id=task_id, task_destination_id=made.id).id == made.id
    changed = api.update_task_destination(
        task_id=task_id,
        task_destination_id=made.id,
        task_destination_body=nodeum_sdk.TaskDestinationUp(pool_id=pools[1].id),
    )
    assert changed.folder is None
    assert api.index_task_destinations(task_id=task_id, pool_id=f"{pools[1].id}").count == 1
    api.destroy_task_destination(task_id=task_id, task_destination_id=made.id)
    assert api.index_task_destinations(task_id=task_id).count == 0


def test_task_options_api(sdk: nodeum_sdk.ApiClient, task: Any) -> None:
    api, task_id = nodeum_sdk.TaskOptionsApi(sdk), str(task.id)
    body = nodeum_sdk.TaskOption(type="file_checksum", value="md5")
    made = api.create_task_option(task_id=task_id, task_option_body=body)
    made.value = "crc32"
    changed = api.update_task_option(task_id=task_id, task_option_id=made.id, task_option_body=made)
    assert changed.value == "crc32"
    assert api.show_task_option(task_id=task_id, task_option_id=made.id).value == "crc32"
    assert api.index_task_options(task_id=task_id, type="file_checksum").count == 1
    api.destroy_task_option(task_id=task_id, task_option_id=made.id)
    assert api.index_task_options(task_id=task_id).task_options == []


def test_task_callbacks_api(sdk: nodeum_sdk.ApiClient, task: Any) -> None:
    api, task_id = nodeum_sdk.TaskCallbacksApi(sdk), str(task.id)
    script = "def run(req):\n    return True\n"
    made = api.create_task_callback(
        task_id=task_id,
        task_callback_body=nodeum_sdk.TaskCallback(type="filter", script=script),
    )
    assert api.show_task_callback(task_id=task_id, task_callback_id=made.id).script == script
    made.script = script.replace("True", "False")
    changed = api.update_task_callback(
        task_id=task_id, task_callback_id=made.id, task_callback_body=made
    )
    assert "False" in changed.script
    assert api.index_task_callbacks(task_id=task_id, script="~%false%").count == 1
    api.destroy_task_callback(task_id=task_id, task_callback_id=made.id)
    assert api.index_task_callbacks(task_id=task_id).count == 0


def test_task_metadata_api(sdk: nodeum_sdk.ApiClient, task: Any) -> None:
    api, task_id = nodeum_sdk.TaskMetadataApi(sdk), str(task.id)
    body = nodeum_sdk.TaskMetadatum(key="project", value="moon")
    made = api.create_task_metadatum(task_id=task_id, task_metadatum_body=body)
    made.value = "mars"
    changed = api.update_task_metadatum(
        task_id=task_id, task_metadatum_id=made.id, task_metadatum_body=made
    )
    assert changed.value == "mars"
    assert api.show_task_metadatum(task_id=task_id, task_metadatum_id=made.id).key == "project"
    assert api.index_task_metadata(task_id=task_id, value="mars").count == 1
    api.destroy_task_metadatum(task_id=task_id, task_metadatum_id=made.id)
    assert api.index_task_metadata(task_id=task_id).task_metadata == []


def test_metadata_api_of_tasks(sdk: nodeum_sdk.ApiClient) -> None:
    api = nodeum_sdk.MetadataApi(sdk)
    assert api.index_task_metadata_definitions().task_metadata_definitions == []
    assert status_of(api.show_task_metadata_definition, metadata_definition_id="project") == 404


def execution_row(task_id: int, **more: Any) -> dict[str, Any]:
    """A finished execution as the controller would have recorded it."""
    row = {
        "id": EXECUTION_ID, "task_id": task_id, "owner_id": 1000, "name": "nightly",
        "workflow_type": "offline_archive", "workflow_action": "copy", "source_type": None,
        "destination_type": None, "priority": 5, "status": "done", "reason": None,
        "log_time": 1_700_000_009, "job_started": 1_700_000_000, "job_finished": 1_700_000_009,
        "to_process_size": 7, "processed_size": 7, "to_process_files": 1, "processed_files": 1,
        "finalized_files": 1, "failed_files": 0, "estimation_time": None, "bandwidth": 100,
        "active_seconds": 9.0, "plan": b"",
    }  # fmt: skip
    return row | more


def recorded(
    number: int, path: bytes = b"folder/a.txt", *, file_id: int | None = 0, **more: Any
) -> tuple[int, Record, int | None]:
    """A copied file as the controller would have recorded it."""
    copied = {"target_path": b"folder/a.txt", "checksum": b"\1\2"}
    return number, record(number, path, **(copied | more)), 10 + number if file_id == 0 else file_id


def test_task_executions_api_and_files(
    sdk: nodeum_sdk.ApiClient, task: Any, context: Context
) -> None:
    with writing(context.database.state) as connection:
        connection.execute(
            insert(task_executions),
            [
                execution_row(task.id),
                execution_row(task.id, id=EXECUTION_ID + 1, status="error"),
            ],
        )
        connection.execute(tasks.update().values(execution_id=EXECUTION_ID))
    failed = recorded(2, b"b\xff.txt", outcome=Outcome.FAILED, failure=failure())
    with writing(context.database.journal) as connection:
        add_records(connection, EXECUTION_ID, [recorded(1), failed])
    api, identifier = nodeum_sdk.TaskExecutionsApi(sdk), str(EXECUTION_ID)
    shown = api.show_task_execution(task_execution_id=identifier)
    assert (shown.id, shown.status, shown.job_started) == (
        identifier, "done", "2023-11-14T22:13:20Z",
    )  # fmt: skip
    assert api.index_task_executions().count == 2
    assert api.index_task_executions(complete_list=False).count == 1
    by_task = api.index_task_executions_by_task(task_id="my task/1", status="error")
    assert [each.id for each in by_task.task_executions] == [str(EXECUTION_ID + 1)]
    assert api.show_task_execution_by_task(task_id="1", task_execution_id=identifier).id

    files = nodeum_sdk.FilesApi(sdk)
    listed = files.index_files_by_task(task_id="1")
    assert [(each.id, each.name) for each in listed.files] == [(11, "a.txt"), (12, "b\\xff.txt")]
    assert files.index_files_by_task_execution(task_execution_id=identifier, size=">7").count == 0
    assert files.show_file_by_task(task_id="1", file_id=11).file_path == "/folder/a.txt"
    assert (
        files.index_tapes_by_file_by_task_execution(task_execution_id=identifier, file_id=11).tapes
        == []
    )
    response = sdk.rest_client.GET(
        f"{sdk.configuration.host}/task_executions/{identifier}/files?outcome=failed",
        headers={"Authorization": basic(*ADMINISTRATOR)},
    )
    assert '"error":{"kind":"permission","stage":"transfer","side":"source"' in response.data
    assert '"count":1' in response.data


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
