"""/containers and the privileges on them."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import collection, date, empty_response, json_response
from longshore.api.routing import Call, Routes
from longshore.database.containers import FILTERS, PRIVILEGE_FILTERS, Container, Privilege
from longshore.database.storage_counts import Sums
from longshore.domain.storage import StorageKind
from longshore.services import container_privileges, containers, storage_counts

routes = Routes()
TAG = "containers"
ONE = "/containers/{container_id}"
PRIVILEGES = ONE + "/container_privileges"
ONE_PRIVILEGE = PRIVILEGES + "/{container_privilege_id}"


def rendered(container: Container, counted: Sums | None = None) -> dict[str, object]:
    """The container; numbers that nobody has counted yet are null."""
    return {
        "id": container.id,
        "name": container.name,
        "comment": container.comment,
        "quota_total_size": container.quota_total_size,
        "quota_on_cache": container.quota_on_cache,
        "stat_total_files": counted and counted.files,
        "only_on_cache_file_count": counted and counted.only_cached_files,
        "stat_total_size": counted and counted.bytes,
        "stat_size_on_cache": counted and counted.cached_bytes,
        "only_on_cache_file_size_sum": counted and counted.only_cached_bytes,
        "guest_right": container.guest_right,
        "last_update": date(container.last_update),
    }


def _counted(call: Call, ids: list[int]) -> dict[int, Sums]:
    return storage_counts.of_storages(call.context, StorageKind.CONTAINER, ids)


def rendered_privilege(privilege: Privilege) -> dict[str, object]:
    return {
        "id": privilege.id,
        "name": privilege.name,
        "privilege": privilege.privilege,
        "type": privilege.type,
    }


@routes.add(
    "GET",
    "/containers",
    operation_id="index_containers",
    tag=TAG,
    scope="containers/index",
    responses={200: "container_collection", 422: "error"},
    summary="List containers",
    paged=True,
    sortable=True,
    filters=tuple(FILTERS),
)
def index(call: Call) -> Response:
    listed = containers.index(call.context, call.page())
    found = list(listed.rows)
    counted = _counted(call, [row.id for row in found])
    rows = [rendered(row, counted.get(row.id)) for row in found]
    return collection(listed.count, "containers", rows)


@routes.add(
    "POST",
    "/containers",
    operation_id="create_container",
    tag=TAG,
    scope="containers/create",
    responses={201: "container", 422: "error"},
    summary="Make a container",
    body="container",
)
def create(call: Call) -> Response:
    container = containers.create(call.context, call.principal, call.body)
    return json_response(rendered(container), status=201)


@routes.add(
    "GET",
    ONE,
    operation_id="show_container",
    tag=TAG,
    scope="containers/show",
    responses={200: "container"},
    summary="Show a container",
)
def show(call: Call) -> Response:
    container = containers.show(call.context, call.path("container_id"))
    return json_response(rendered(container, _counted(call, [container.id]).get(container.id)))


@routes.add(
    "PUT",
    ONE,
    operation_id="update_container",
    tag=TAG,
    scope="containers/update",
    responses={200: "container", 422: "error"},
    summary="Change a container",
    body="container",
)
def update(call: Call) -> Response:
    identifier = call.path("container_id")
    container = containers.update(call.context, call.principal, identifier, call.body)
    return json_response(rendered(container, _counted(call, [container.id]).get(container.id)))


@routes.add(
    "DELETE",
    ONE,
    operation_id="destroy_container",
    tag=TAG,
    scope="containers/destroy",
    responses={204: None, 422: "error"},
    summary="Remove an empty container that no task uses",
)
def destroy(call: Call) -> Response:
    containers.destroy(call.context, call.principal, call.path("container_id"))
    return empty_response()


@routes.add(
    "GET",
    PRIVILEGES,
    operation_id="index_container_privileges",
    tag="container_privileges",
    scope="container_privileges/index",
    responses={200: "container_privilege_collection", 422: "error"},
    summary="List what users and groups may do in a container",
    paged=True,
    sortable=True,
    filters=tuple(PRIVILEGE_FILTERS),
)
def index_privileges(call: Call) -> Response:
    listed = container_privileges.index(call.context, call.path("container_id"), call.page())
    shown = [rendered_privilege(row) for row in listed.rows]
    return collection(listed.count, "container_privileges", shown)


@routes.add(
    "POST",
    PRIVILEGES,
    operation_id="create_container_privilege",
    tag="container_privileges",
    scope="container_privileges/create",
    responses={201: "container_privilege", 422: "error"},
    summary="Give a user or group a privilege",
    body="container_privilege",
)
def create_privilege(call: Call) -> Response:
    privilege = container_privileges.create(
        call.context, call.principal, call.path("container_id"), call.body
    )
    return json_response(rendered_privilege(privilege), status=201)


@routes.add(
    "GET",
    ONE_PRIVILEGE,
    operation_id="show_container_privilege",
    tag="container_privileges",
    scope="container_privileges/show",
    responses={200: "container_privilege"},
    summary="Show a privilege",
)
def show_privilege(call: Call) -> Response:
    privilege = container_privileges.show(
        call.context, call.path("container_id"), call.path("container_privilege_id")
    )
    return json_response(rendered_privilege(privilege))


@routes.add(
    "PUT",
    ONE_PRIVILEGE,
    operation_id="update_container_privilege",
    tag="container_privileges",
    scope="container_privileges/update",
    responses={200: "container_privilege", 422: "error"},
    summary="Change a privilege",
    body="container_privilege",
)
def update_privilege(call: Call) -> Response:
    privilege = container_privileges.update(
        call.context,
        call.principal,
        call.path("container_id"),
        call.path("container_privilege_id"),
        call.body,
    )
    return json_response(rendered_privilege(privilege))


@routes.add(
    "DELETE",
    ONE_PRIVILEGE,
    operation_id="destroy_container_privilege",
    tag="container_privileges",
    scope="container_privileges/destroy",
    responses={204: None},
    summary="Take a privilege away",
)
def destroy_privilege(call: Call) -> Response:
    container_privileges.destroy(
        call.context,
        call.principal,
        call.path("container_id"),
        call.path("container_privilege_id"),
    )
    return empty_response()
