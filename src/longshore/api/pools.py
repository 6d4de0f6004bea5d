"""/pools: pools, their mounts and the scans of primary ones."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.mounts import status_response
from longshore.api.rendering import collection, empty_response, json_response
from longshore.api.routing import Call, Parameter, Routes
from longshore.database.pools import FILTERS, Pool, PrimaryScan
from longshore.services import mounts, pools, primary_scans

routes = Routes()
TAG = "pools"
SCAN = "/pools/{pool_id}/primary_scan"
MOUNT = "/pools/{pool_id}/mount"


def rendered(pool: Pool) -> dict[str, object]:
    return {
        "id": pool.id,
        "name": pool.name,
        "comment": pool.comment,
        "type": pool.type,
        "content": pool.content,
        "primary_id": pool.root_id,
        "storage_id": None,
    }


def rendered_scan(scan: PrimaryScan) -> dict[str, object]:
    return {
        "id": scan.id,
        "pool_id": scan.pool_id,
        "enabled": bool(scan.enabled),
        "operand": int(scan.operand) if scan.operand.is_integer() else scan.operand,
        "unit": scan.unit,
    }


@routes.add(
    "GET",
    "/pools",
    operation_id="index_pools",
    tag=TAG,
    scope="pools/index",
    responses={200: "pool_collection", 422: "error"},
    summary="List pools",
    paged=True,
    sortable=True,
    filters=tuple(FILTERS),
)
def index(call: Call) -> Response:
    listed = pools.index(call.context, call.page())
    return collection(listed.count, "pools", [rendered(row) for row in listed.rows])


@routes.add(
    "POST",
    "/pools",
    operation_id="create_pool",
    tag=TAG,
    scope="pools/create",
    responses={201: "pool", 422: "error"},
    summary="Make a pool",
    body="pool_up",
)
def create(call: Call) -> Response:
    pool = pools.create(call.context, call.principal, call.body)
    return json_response(rendered(pool), status=201)


@routes.add(
    "GET",
    "/pools/{pool_id}",
    operation_id="show_pool",
    tag=TAG,
    scope="pools/show",
    responses={200: "pool"},
    summary="Show a pool",
)
def show(call: Call) -> Response:
    return json_response(rendered(pools.show(call.context, call.path("pool_id"))))


@routes.add(
    "PUT",
    "/pools/{pool_id}",
    operation_id="update_pool",
    tag=TAG,
    scope="pools/update",
    responses={200: "pool", 422: "error"},
    summary="Change a pool",
    body="pool_up",
)
def update(call: Call) -> Response:
    pool = pools.update(call.context, call.principal, call.path("pool_id"), call.body)
    return json_response(rendered(pool))


@routes.add(
    "DELETE",
    "/pools/{pool_id}",
    operation_id="destroy_pool",
    tag=TAG,
    scope="pools/destroy",
    responses={204: None, 422: "error"},
    summary="Remove a pool that no task uses",
)
def destroy(call: Call) -> Response:
    pools.destroy(call.context, call.principal, call.path("pool_id"))
    return empty_response()


@routes.add(
    "GET",
    MOUNT,
    operation_id="mount_status_pool",
    tag=TAG,
    scope="pools/mount_status",
    responses={200: "mount_status", 404: "error"},
    summary="Say whether the storages of a pool can be reached",
)
def mount_status(call: Call) -> Response:
    return status_response(mounts.of_pool(call.context, call.path("pool_id")))


@routes.add(
    "PUT",
    MOUNT,
    operation_id="mount_pool",
    tag=TAG,
    scope="pools/mount",
    responses={200: "mount_status", 404: "error"},
    summary="Mount a pool",
    administrators_only=True,
)
def mount(call: Call) -> Response:
    """The system mounts; what comes back is whether it has."""
    return mount_status(call)


@routes.add(
    "DELETE",
    MOUNT,
    operation_id="unmount_pool",
    tag=TAG,
    scope="pools/unmount",
    responses={200: "mount_status", 404: "error"},
    summary="Unmount a pool",
    administrators_only=True,
)
def unmount(call: Call) -> Response:
    """The system unmounts; what comes back is whether it has."""
    return mount_status(call)


@routes.add(
    "GET",
    SCAN,
    operation_id="show_primary_scan",
    tag=TAG,
    scope="primary_scans/show",
    responses={200: "primary_scan"},
    summary="Show how often a primary pool is scanned",
)
def show_scan(call: Call) -> Response:
    return json_response(rendered_scan(primary_scans.show(call.context, call.path("pool_id"))))


@routes.add(
    "POST",
    SCAN,
    operation_id="create_primary_scan",
    tag=TAG,
    scope="primary_scans/create",
    responses={201: "primary_scan", 422: "error"},
    summary="Have a primary pool scanned regularly",
    body="primary_scan",
)
def create_scan(call: Call) -> Response:
    scan = primary_scans.create(call.context, call.principal, call.path("pool_id"), call.body)
    return json_response(rendered_scan(scan), status=201)


@routes.add(
    "PUT",
    SCAN,
    operation_id="update_primary_scan",
    tag=TAG,
    scope="primary_scans/update",
    responses={200: "primary_scan", 422: "error"},
    summary="Change how often a primary pool is scanned",
    body="primary_scan",
)
def update_scan(call: Call) -> Response:
    scan = primary_scans.update(call.context, call.principal, call.path("pool_id"), call.body)
    return json_response(rendered_scan(scan))


@routes.add(
    "DELETE",
    SCAN,
    operation_id="destroy_primary_scan",
    tag=TAG,
    scope="primary_scans/destroy",
    responses={204: None},
    summary="Stop scanning a primary pool",
)
def destroy_scan(call: Call) -> Response:
    primary_scans.destroy(call.context, call.principal, call.path("pool_id"))
    return empty_response()


@routes.add(
    "POST",
    "/pools/{pool_id}/sync",
    operation_id="sync_primary_pool",
    tag=TAG,
    scope="pools/sync_primary",
    responses={204: None, 422: "error"},
    summary="Accept a notice of changes in a primary pool; nothing depends on it here",
    parameters=(Parameter(name="tx", type="integer", required=True),),
    administrators_only=True,
)
def sync(call: Call) -> Response:
    pools.sync(call.context, call.path("pool_id"), call.query.text("tx"))
    return empty_response()
