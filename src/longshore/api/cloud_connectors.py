"""/cloud_connectors, and the trial of one."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.cloud_buckets import job_response
from longshore.api.rendering import collection, empty_response, json_response
from longshore.api.routing import Call, Parameter, Routes
from longshore.database.clouds import CONNECTOR_FILTERS, CloudConnector
from longshore.services import cloud_connectors, cloud_jobs

routes = Routes()
TAG = "cloud_connectors"
TEST = "/cloud_connectors/-/test"
ONE = "/cloud_connectors/{cloud_connector_id}"


def rendered(call: Call, row: CloudConnector) -> dict[str, object]:
    """The connector; its secret only for those who may see it."""
    shown: dict[str, object] = {
        "id": row.id,
        "name": row.name,
        "url": row.url,
        "url_proxy": row.url_proxy,
        "provider": row.provider,
        "region": row.region,
        "access_key": row.access_key,
        "options": row.options,
    }
    secret = cloud_connectors.secret_key(call.context, call.principal, row)
    return shown if secret is None else shown | {"secret_key": secret}


@routes.add(
    "GET",
    "/cloud_connectors",
    operation_id="index_cloud_connectors",
    tag=TAG,
    scope="cloud_connectors/index",
    responses={200: "cloud_connector_collection", 422: "error"},
    summary="List cloud connectors",
    paged=True,
    sortable=True,
    filters=tuple(CONNECTOR_FILTERS),
)
def index(call: Call) -> Response:
    listed = cloud_connectors.index(call.context, call.page())
    shown = [rendered(call, row) for row in listed.rows]
    return collection(listed.count, "cloud_connectors", shown)


@routes.add(
    "POST",
    "/cloud_connectors",
    operation_id="create_cloud_connector",
    tag=TAG,
    scope="cloud_connectors/create",
    responses={201: "cloud_connector", 422: "error"},
    summary="Declare a cloud connector",
    body="cloud_connector",
    holds_secret=True,
)
def create(call: Call) -> Response:
    connector = cloud_connectors.create(call.context, call.principal, call.body)
    return json_response(rendered(call, connector), status=201)


@routes.add(
    "PUT",
    TEST,
    operation_id="test_cloud_connector",
    tag=TAG,
    scope="cloud_connectors/test",
    responses={202: "active_job_status", 422: "error"},
    summary="Try a cloud connector without declaring it",
    body="cloud_connector",
    administrators_only=True,
)
def test(call: Call) -> Response:
    return job_response(cloud_jobs.start_test(call.context, call.principal, call.body))


@routes.add(
    "GET",
    TEST,
    operation_id="test_result_cloud_connector",
    tag=TAG,
    scope="cloud_connectors/test",
    responses={
        200: "cloud_bucket_simple_collection",
        202: "active_job_status",
        404: "error",
        422: "error",
    },
    summary="Say how the trial of a cloud connector went: the buckets that were found",
    parameters=(
        Parameter(name="job_id", required=True, description="The job that the trial became."),
    ),
)
def test_result(call: Call) -> Response:
    job_id = call.query.text("job_id")
    return job_response(cloud_jobs.test_result(call.context, call.principal, job_id))


@routes.add(
    "GET",
    ONE,
    operation_id="show_cloud_connector",
    tag=TAG,
    scope="cloud_connectors/show",
    responses={200: "cloud_connector"},
    summary="Show a cloud connector",
)
def show(call: Call) -> Response:
    found = cloud_connectors.show(call.context, call.path("cloud_connector_id"))
    return json_response(rendered(call, found))


@routes.add(
    "PUT",
    ONE,
    operation_id="update_cloud_connector",
    tag=TAG,
    scope="cloud_connectors/update",
    responses={200: "cloud_connector", 422: "error"},
    summary="Change a cloud connector",
    body="cloud_connector",
)
def update(call: Call) -> Response:
    changed = cloud_connectors.update(
        call.context, call.principal, call.path("cloud_connector_id"), call.body
    )
    return json_response(rendered(call, changed))


@routes.add(
    "DELETE",
    ONE,
    operation_id="destroy_cloud_connector",
    tag=TAG,
    scope="cloud_connectors/destroy",
    responses={204: None, 422: "error"},
    summary="Remove a cloud connector of which no bucket is in a pool",
)
def destroy(call: Call) -> Response:
    cloud_connectors.destroy(call.context, call.principal, call.path("cloud_connector_id"))
    return empty_response()
