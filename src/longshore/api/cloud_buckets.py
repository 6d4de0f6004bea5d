"""Buckets: /cloud_buckets, and the same below /cloud_connectors/{id} and /pools/{id}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from longshore.api.mounts import status_response
from longshore.api.rendering import collection, json_response
from longshore.api.routing import Call, Parameter, Routes
from longshore.database.clouds import BUCKET_FILTERS, CloudBucket
from longshore.database.storage_counts import Sums
from longshore.domain.storage import StorageKind
from longshore.services import cloud_buckets, cloud_jobs, mounts, storage_counts
from longshore.services.cloud_buckets import Parent
from longshore.services.cloud_jobs import CloudJob

routes = Routes()
TAG = "cloud_buckets"

BELOW_CONNECTOR = "/cloud_connectors/{cloud_connector_id}/cloud_buckets"
SYNC = f"{BELOW_CONNECTOR}/-/sync"

NOTHING_COUNTED: Mapping[int, Sums] = {}


def rendered(row: CloudBucket, counted: Sums | None = None) -> dict[str, object]:
    return {
        "id": row.id or None,  # a trial finds buckets that nobody has brought in yet
        "cloud_connector_id": row.cloud_connector_id or None,
        "pool_id": row.pool_id,
        "name": row.name,
        "location": row.location,
        "price": row.price,
        "options": row.options,
        "file_count": counted and counted.files,
        "file_size_sum": counted and counted.bytes,
    }


def _counted(call: Call, ids: list[int]) -> dict[int, Sums]:
    return storage_counts.of_storages(call.context, StorageKind.CLOUD_BUCKET, ids)


def job_response(job: CloudJob, counted: Mapping[int, Sums] = NOTHING_COUNTED) -> Response:
    """The job as it is; a completed one with its buckets, a failed one says why."""
    shown: dict[str, object] = {"job_id": job.job_id, "status": job.status.value}
    if job.reason is not None:
        shown["message"] = job.reason
    if job.buckets is not None:
        shown["cloud_buckets"] = [rendered(each, counted.get(each.id)) for each in job.buckets]
    return json_response(shown, status=200 if job.is_finished else 202)


def _parent(call: Call) -> Parent:
    named = call.raw_path
    return Parent(
        connector=call.path("cloud_connector_id") if "cloud_connector_id" in named else None,
        pool=call.path("pool_id") if "pool_id" in named else None,
    )


def index(call: Call) -> Response:
    listed = cloud_buckets.index(call.context, call.page(), _parent(call))
    found = list(listed.rows)
    counted = _counted(call, [row.id for row in found])
    rows = [rendered(row, counted.get(row.id)) for row in found]
    return collection(listed.count, "cloud_buckets", rows)


def show(call: Call) -> Response:
    found = cloud_buckets.show(call.context, _parent(call), call.path("cloud_bucket_id"))
    return json_response(rendered(found, _counted(call, [found.id]).get(found.id)))


def update(call: Call) -> Response:
    changed = cloud_buckets.update(
        call.context, call.principal, _parent(call), call.path("cloud_bucket_id"), call.body
    )
    return json_response(rendered(changed, _counted(call, [changed.id]).get(changed.id)))


def mount_status(call: Call) -> Response:
    found = mounts.of_bucket(call.context, _parent(call), call.path("cloud_bucket_id"))
    return status_response(found)


def _declare(suffix: str, base: str, where: str, missing_filter: str) -> None:
    """The four operations that exist at each of the three places."""
    one = base + "/{cloud_bucket_id}"
    filters = tuple(name for name in BUCKET_FILTERS if name != missing_filter)

    def add(method: str, path: str, name: str, action: str, **more: Any) -> Any:
        return routes.add(
            method,
            path,
            operation_id=f"{name}{suffix}",
            tag=TAG,
            scope=f"cloud_buckets/{action}",
            **more,
        )

    add(
        "GET",
        base,
        "index_cloud_buckets",
        "index",
        responses={200: "cloud_bucket_collection", 422: "error"},
        summary=f"List buckets{where}",
        paged=True,
        sortable=True,
        filters=filters,
    )(index)
    add(
        "GET",
        one,
        "show_cloud_bucket",
        "show",
        responses={200: "cloud_bucket", 404: "error"},
        summary=f"Show a bucket{where}",
    )(show)
    add(
        "PUT",
        one,
        "update_cloud_bucket",
        "update",
        responses={200: "cloud_bucket", 404: "error", 422: "error"},
        summary=f"Change the price and the options of a bucket{where}",
        body="cloud_bucket",
    )(update)
    add(
        "GET",
        f"{one}/mount",
        "mount_status_cloud_bucket",
        "mount_status",
        responses={200: "mount_status", 404: "error"},
        summary=f"Say whether a bucket{where} can be reached",
    )(mount_status)


@routes.add(
    "PUT",
    "/cloud_buckets/{cloud_bucket_id}/config_file",
    operation_id="update_config_file_cloud_bucket",
    tag=TAG,
    scope="cloud_buckets/update_config_file",
    responses={200: "text", 404: "error", 422: "error"},
    summary="Keep the file that a bucket's client is configured with",
    upload="config_file",
    administrators_only=True,
)
def update_config_file(call: Call) -> Response:
    """The address of the file, by which nobody can read it: it may hold keys."""
    bucket = cloud_buckets.update_config_file(
        call.context, call.principal, call.path("cloud_bucket_id"), call.upload()
    )
    return json_response(f"longshore:/cloud_buckets/{bucket.id}/config_file")


@routes.add(
    "PUT",
    SYNC,
    operation_id="sync_cloud_buckets",
    tag=TAG,
    scope="cloud_buckets/sync",
    responses={202: "active_job_status"},
    summary="Bring in the buckets that a connector's provider has",
    administrators_only=True,
)
def sync(call: Call) -> Response:
    started = cloud_jobs.start_sync(call.context, call.principal, call.path("cloud_connector_id"))
    return job_response(started)


@routes.add(
    "GET",
    SYNC,
    operation_id="sync_result_cloud_buckets",
    tag=TAG,
    scope="cloud_buckets/sync",
    responses={200: "cloud_bucket_simple_collection", 202: "active_job_status", 422: "error"},
    summary="Say how the synchronization of a connector's buckets went",
    parameters=(Parameter(name="job_id", required=True, description="The job that it became."),),
)
def sync_result(call: Call) -> Response:
    job_id = call.query.text("job_id")
    found = cloud_jobs.sync_result(
        call.context, call.principal, call.path("cloud_connector_id"), job_id
    )
    return job_response(found, _counted(call, [each.id for each in found.buckets or ()]))


_declare("", "/cloud_buckets", "", "")
_declare("_by_cloud_connector", BELOW_CONNECTOR, " of a connector", "cloud_connector_id")
_declare("_by_pool", "/pools/{pool_id}/cloud_buckets", " of a pool", "pool_id")
