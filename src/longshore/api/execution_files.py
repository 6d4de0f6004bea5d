"""The files of executions: /task_executions/{id}/files, and the same below /tasks.

Three paths lead to an execution, and four operations lie below each.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from longshore.api.rendering import (
    collection,
    date_of_nanoseconds,
    json_response,
    listed,
    permission,
)
from longshore.api.routing import Call, Routes
from longshore.database.execution_files import FILES_DEFAULT
from longshore.domain import paths
from longshore.domain.entry import EntryKind
from longshore.domain.errors import FileFailure, Side
from longshore.services import executions
from longshore.services.execution_pages import ExecutionFile

routes = Routes()

FILTERS = (
    "file_id", "name", "type", "permission", "size", "change_date", "modification_date",
    "access_date", "gid", "uid", "outcome",
)  # fmt: skip


def render(file: ExecutionFile) -> dict[str, object]:
    """What became of a file in the execution, and where the catalogue has it."""
    recorded = file.recorded
    record, entry = recorded.record, recorded.record.entry
    known = entry.mode != 0
    target = record.target_path
    return {
        "id": recorded.file_id,
        "name": paths.to_text(entry.name),
        "parent": file.parent_id,
        "primary_id": file.root_id,
        "type": "folder" if entry.kind is EntryKind.FOLDER else "file",
        "permission": permission(entry.mode) if known else None,
        "size": entry.size,
        "change_date": date_of_nanoseconds(entry.ctime_ns) if known else None,
        "modification_date": date_of_nanoseconds(entry.mtime_ns),
        "access_date": date_of_nanoseconds(entry.atime_ns) if known else None,
        "uid": entry.uid if known else None,
        "gid": entry.gid if known else None,
        "file_path": f"/{paths.to_text(paths.join(record.folder, entry.name))}",
        "number": recorded.number,
        "outcome": record.outcome.name.lower(),
        "checksum_type": recorded.checksum_kind,
        "checksum": record.checksum.hex() if record.checksum else None,
        "target_path": f"/{paths.to_text(target)}" if target else None,
        "error": _error(record.failure),
        "attempts": record.attempts,
        "finished": date_of_nanoseconds(record.finished_ns),
    }


def _error(failure: FileFailure | None) -> object:
    if failure is None:
        return None
    return {
        "kind": failure.kind.value,
        "stage": failure.stage.value,
        "side": None if failure.side is Side.NONE else failure.side.name.lower(),
        "text": failure.text,
    }


def _execution_id(call: Call) -> int | None:
    names = call.operation.path_names
    return executions.execution_id_of(
        call.context,
        call.principal,
        task_identifier=call.path("task_id") if "task_id" in names else None,
        identifier=call.path("task_execution_id") if "task_execution_id" in names else None,
    )


def index(call: Call) -> Response:
    page = call.page()
    found = executions.files(call.context, _execution_id(call), page)
    return listed(found, "files", render)


def children(call: Call) -> Response:
    page, parent = call.page(), call.path("file_parent_id")
    found = executions.files(call.context, _execution_id(call), page, parent=parent)
    return listed(found, "files", render)


def show(call: Call) -> Response:
    file = executions.file(call.context, _execution_id(call), call.path("file_id"))
    return json_response(render(file))


def tapes(call: Call) -> Response:
    executions.file(call.context, _execution_id(call), call.path("file_id"))
    return collection(0, "tapes", [])


_LISTING: dict[str, Any] = {
    "tag": "files",
    "scope": "files/index",
    "responses": {200: "execution_file_collection"},
    "paged": True,
    "filters": FILTERS,
    "limit_default": FILES_DEFAULT,
}

for _path, _by, _words in (
    ("/task_executions/{task_execution_id}", "task_execution", "an execution"),
    ("/tasks/{task_id}", "task", "a task's last execution"),
    (
        "/tasks/{task_id}/task_executions/{task_execution_id}",
        "task_execution_by_task",
        "an execution of a task",
    ),
):
    routes.add(
        "GET",
        f"{_path}/files",
        operation_id=f"index_files_by_{_by}",
        summary=f"List the files of {_words}",
        **_LISTING,
    )(index)
    routes.add(
        "GET",
        f"{_path}/files/{{file_id}}",
        operation_id=f"show_file_by_{_by}",
        tag="files",
        scope="files/show",
        summary=f"Show a file of {_words}",
        responses={200: "execution_file"},
    )(show)
    routes.add(
        "GET",
        f"{_path}/files/{{file_id}}/tapes",
        operation_id=f"index_tapes_by_file_by_{_by}",
        tag="files",
        scope="files/tapes",
        summary=f"List the tapes that hold a file of {_words}",
        responses={200: "tape_collection"},
    )(tapes)
    routes.add(
        "GET",
        f"{_path}/files/{{file_parent_id}}/children",
        operation_id=f"files_children_by_{_by}",
        summary=f"List the files of {_words} in one folder",
        **_LISTING,
    )(children)
