"""The files of executions: /task_executions/{id}/files, and the same below /tasks.

Three paths lead to an execution, and four operations lie below each.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
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
from longshore.domain.errors import Side
from longshore.domain.outcome import Outcome
from longshore.services import executions

routes = Routes()

FILTERS = (
    "file_id", "name", "type", "permission", "size", "change_date", "modification_date",
    "access_date", "gid", "uid", "outcome",
)  # fmt: skip


def render(file: Row[Any]) -> dict[str, object]:
    """A file of the catalogue, and what became of it in the execution."""
    known = file.name is not None
    name = file.name if known else paths.split(file.path)[1]
    return {
        "id": file.file_id,
        "name": paths.to_text(name),
        "parent": file.parent_id,
        "primary_id": file.root_id,
        "type": "folder" if file.kind == EntryKind.FOLDER else "file",
        "permission": permission(file.mode) if known else None,
        "size": file.size,
        "change_date": date_of_nanoseconds(file.ctime_ns),
        "modification_date": date_of_nanoseconds(file.mtime_ns),
        "access_date": date_of_nanoseconds(file.atime_ns),
        "uid": file.uid,
        "gid": file.gid,
        "file_path": f"/{paths.to_text(file.path)}",
        "number": file.number,
        "outcome": Outcome(file.outcome).name.lower(),
        "checksum_type": file.checksum_kind,
        "checksum": file.checksum.hex() if file.checksum is not None else None,
        "target_path": None if file.target_path is None else f"/{paths.to_text(file.target_path)}",
        "error": _error(file),
        "attempts": file.attempts,
        "finished": date_of_nanoseconds(file.finished_ns),
    }


def _error(file: Row[Any]) -> object:
    if file.error_kind is None:
        return None
    side = Side(file.error_side or 0)
    return {
        "kind": file.error_kind,
        "stage": file.error_stage,
        "side": None if side is Side.NONE else side.name.lower(),
        "text": file.error_text,
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
