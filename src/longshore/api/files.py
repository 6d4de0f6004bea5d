"""The catalogue: /files, and the same below /containers/{container_id} and /pools/{pool_id}."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from starlette.responses import Response

from longshore.api.nodes import render_node
from longshore.api.rendering import (
    collection,
    date_of_nanoseconds,
    json_response,
    long_collection,
)
from longshore.api.routing import Call, Endpoint, Routes
from longshore.database.files import FILTERS
from longshore.database.node_rows import NodeState
from longshore.domain import paths
from longshore.domain.storage import StorageKind
from longshore.services import files
from longshore.services.errors import NotFound
from longshore.services.files import LIMIT_DEFAULT, FileDetails, NamedCopy, Places, Scope

routes = Routes()
TAG = "files"
POOL = "/pools/{pool_id}"

_TAPE_FILTERS = ("name", "type", "size")


def rendered(row: Row[Any], places: Places) -> dict[str, object]:
    """The contract's nodeum_file."""
    return render_node(row) | {
        "in_cache": places.in_cache,
        "offline": places.offline,
        "extern": places.extern,
    }


def rendered_details(found: FileDetails) -> dict[str, object]:
    """The contract's nodeum_file_with_path, with state and copies beyond the contract."""
    return rendered(found.row, found.places) | {
        "file_path": paths.to_text(found.path),
        "state": NodeState(found.row.state).name.lower(),
        "copies": [rendered_copy(each) for each in found.copies],
    }


def rendered_copy(named: NamedCopy) -> dict[str, object]:
    """A copy; without an asked-for checksum the one that every copy is verified with."""
    copy = named.copy
    kind, checksum = copy.checksum_kind, copy.checksum
    if checksum is None and copy.xxh3_128 is not None:
        kind, checksum = "xxh3_128", copy.xxh3_128
    storage = StorageKind(copy.storage_kind)
    return {
        "storage": {
            "type": storage.name.lower(),
            "id": copy.storage_id,
            "name": named.storage_name,
        },
        "path": paths.to_text(copy.path),
        "size": copy.size,
        "checksum_type": kind if checksum is not None else None,
        "checksum": None if checksum is None else checksum.hex(),
        "state": "live" if copy.live else "dead",
        "execution_id": str(copy.execution_id),
        "written": date_of_nanoseconds(copy.written_ns),
    }


def _scope(call: Call) -> Scope:
    names = call.operation.path_names
    return Scope(
        container=call.path("container_id") if "container_id" in names else None,
        pool=call.path("pool_id") if "pool_id" in names else None,
    )


def index(call: Call) -> Response:
    listed = files.index(call.context, call.principal, _scope(call), call.page())
    return long_collection(listed.count, "files", (rendered(*each) for each in listed.rows))


def children(call: Call) -> Response:
    parent = call.path("file_parent_id")
    listed = files.children(call.context, call.principal, _scope(call), parent, call.page())
    return long_collection(listed.count, "files", (rendered(*each) for each in listed.rows))


def show(call: Call) -> Response:
    found = files.show(call.context, call.principal, _scope(call), call.path("file_id"))
    return json_response(rendered_details(found))


def _declare(base: str, suffix: str, words: str) -> None:
    listing: dict[str, Any] = {
        "tag": TAG,
        "scope": "files/index",
        "responses": {200: "nodeum_file_collection", 422: "error"},
        "paged": True,
        "filters": tuple(FILTERS),
        "limit_default": LIMIT_DEFAULT,
    }
    routes.add(
        "GET",
        f"{base}/files",
        operation_id=f"index_files{suffix}",
        summary=f"List the {words}",
        **listing,
    )(index)
    routes.add(
        "GET",
        f"{base}/files/{{file_id}}",
        operation_id=f"show_file{suffix}",
        tag=TAG,
        scope="files/show",
        responses={200: "nodeum_file_with_path"},
        summary="Show a file or folder with its path and copies",
    )(show)
    routes.add(
        "GET",
        f"{base}/files/{{file_parent_id}}/children",
        operation_id=f"files_children{suffix}",
        summary="List what is in a folder, folders first, then by name",
        **listing,
    )(children)


@routes.add(
    "GET",
    f"{POOL}/files/{{file_id}}/tapes",
    operation_id="index_tapes_by_file_by_pool",
    tag=TAG,
    scope="files/tapes",
    responses={200: "tape_collection"},
    summary="List the tapes that hold a file of a pool",
)
def tapes(call: Call) -> Response:
    files.show(call.context, call.principal, _scope(call), call.path("file_id"))
    return collection(0, "tapes", [])


# ---------------------------------------------------------------- pools without tapes: nothing


def _declare_tape_files(
    plural: str, singular: str, schema: str, shown: str, names: tuple[str, str, str]
) -> None:
    """Three listings that only tapes can fill."""

    def nothing(call: Call) -> Response:
        files.require_pool(call.context, call.path("pool_id"))
        call.page()
        return collection(0, plural, [])

    def missing(call: Call) -> Response:
        files.require_pool(call.context, call.path("pool_id"))
        raise NotFound(singular)

    filters = _TAPE_FILTERS if plural == "on_tapes_files" else tuple(FILTERS)
    base = f"{POOL}/{plural}"

    def add(path: str, operation_id: str, endpoint: Endpoint, **more: Any) -> None:
        routes.add("GET", path, operation_id=operation_id, tag=plural, **more)(endpoint)

    listing: dict[str, Any] = {
        "scope": f"{plural}/index",
        "responses": {200: f"{schema}_collection", 422: "error"},
        "paged": True,
        "filters": filters,
        "limit_default": LIMIT_DEFAULT,
    }
    what = plural.replace("_", " ")
    add(base, names[0], nothing, summary=f"List the {what} of a pool", **listing)
    add(
        f"{base}/{{file_id}}",
        names[1],
        missing,
        scope=f"{plural}/show",
        responses={200: shown},
        summary=f"Show one of the {what} of a pool",
    )
    add(
        f"{base}/{{file_parent_id}}/children",
        names[2],
        missing,
        summary=f"List a folder of the {what} of a pool",
        **listing,
    )


_declare("", "", "containers and primary pools that files are in")
_declare("/containers/{container_id}", "_by_container", "files and folders of a container")
_declare(POOL, "_by_pool", "files and folders of a primary pool; other pools have none")
_declare_tape_files(
    "import_files",
    "import_file",
    "import_file",
    "import_file_with_path",
    ("index_import_files_by_pool", "show_import_file_by_pool", "import_files_children_by_pool"),
)
_declare_tape_files(
    "on_tapes_files",
    "on_tapes_file",
    "on_tapes_file",
    "on_tapes_file",
    (
        "index_on_tapes_files_by_pool",
        "show_on_tape_file_by_pool",
        "on_tapes_files_children_by_pool",
    ),
)
