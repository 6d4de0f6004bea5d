"""/nas and /nas/{nas_id}."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import collection, empty_response, json_response
from longshore.api.routing import Call, Routes
from longshore.database.nas import NAS_FILTERS, Nas
from longshore.services import nas

routes = Routes()
TAG = "nas"


def rendered(row: Nas) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "host": row.host,
        "type": row.type,
        "comment": row.comment,
        "price": row.price,
    }


@routes.add(
    "GET",
    "/nas",
    operation_id="index_nas",
    tag=TAG,
    scope="nas/index",
    responses={200: "nas_collection", 422: "error"},
    summary="List NAS servers",
    paged=True,
    sortable=True,
    filters=tuple(NAS_FILTERS),
)
def index(call: Call) -> Response:
    listed = nas.index(call.context, call.page())
    return collection(listed.count, "nas", [rendered(row) for row in listed.rows])


@routes.add(
    "POST",
    "/nas",
    operation_id="create_nas",
    tag=TAG,
    scope="nas/create",
    responses={201: "nas", 422: "error"},
    summary="Declare a NAS server",
    body="nas",
)
def create(call: Call) -> Response:
    return json_response(rendered(nas.create(call.context, call.principal, call.body)), status=201)


@routes.add(
    "GET",
    "/nas/{nas_id}",
    operation_id="show_nas",
    tag=TAG,
    scope="nas/show",
    responses={200: "nas"},
    summary="Show a NAS server",
)
def show(call: Call) -> Response:
    return json_response(rendered(nas.show(call.context, call.path("nas_id"))))


@routes.add(
    "PUT",
    "/nas/{nas_id}",
    operation_id="update_nas",
    tag=TAG,
    scope="nas/update",
    responses={200: "nas", 422: "error"},
    summary="Change a NAS server",
    body="nas",
)
def update(call: Call) -> Response:
    changed = nas.update(call.context, call.principal, call.path("nas_id"), call.body)
    return json_response(rendered(changed))


@routes.add(
    "DELETE",
    "/nas/{nas_id}",
    operation_id="destroy_nas",
    tag=TAG,
    scope="nas/destroy",
    responses={204: None, 422: "error"},
    summary="Remove a NAS server without shares",
)
def destroy(call: Call) -> Response:
    nas.destroy(call.context, call.principal, call.path("nas_id"))
    return empty_response()
