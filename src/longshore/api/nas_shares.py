"""NAS shares: /nas_shares, and the same below /nas/{nas_id} and /pools/{pool_id}."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from longshore.api.mounts import status_response
from longshore.api.rendering import collection, empty_response, json_response
from longshore.api.routing import Call, Parameter, Routes
from longshore.database.nas import SHARE_FILTERS, NasShare
from longshore.database.storage_counts import Sums
from longshore.domain.storage import StorageKind
from longshore.services import mounts, nas_shares, share_tests, storage_counts
from longshore.services.nas_shares import Parent
from longshore.services.share_tests import ShareTest

routes = Routes()
TAG = "nas_shares"

BELOW_NAS = "/nas/{nas_id}/nas_shares"
_JOB_ID = Parameter(name="job_id", required=True, description="The job that the test became.")


def rendered(call: Call, row: NasShare, counts: dict[int, Sums]) -> dict[str, object]:
    """The share; its password only for those who may see it."""
    counted = counts.get(row.id)
    shown: dict[str, object] = {
        "id": row.id,
        "nas_id": row.nas_id,
        "pool_id": row.pool_id,
        "name": row.name,
        "path": row.path,
        "options": row.options,
        "username": row.username,
        "file_count": counted and counted.files,
        "file_size_sum": counted and counted.bytes,
    }
    password = nas_shares.password(call.context, call.principal, row)
    return shown if password is None else shown | {"password": password}


def _counted(call: Call, ids: list[int]) -> dict[int, Sums]:
    return storage_counts.of_storages(call.context, StorageKind.NAS_SHARE, ids)


def _parent(call: Call) -> Parent:
    return Parent(
        nas=call.path("nas_id") if "nas_id" in call.raw_path else None,
        pool=call.path("pool_id") if "pool_id" in call.raw_path else None,
    )


def index(call: Call) -> Response:
    listed = nas_shares.index(call.context, call.page(), _parent(call))
    found = list(listed.rows)
    counts = _counted(call, [row.id for row in found])
    return collection(listed.count, "nas_shares", [rendered(call, row, counts) for row in found])


def show(call: Call) -> Response:
    share = nas_shares.show(call.context, _parent(call), call.path("nas_share_id"))
    return json_response(rendered(call, share, _counted(call, [share.id])))


def update(call: Call) -> Response:
    share = nas_shares.update(
        call.context, call.principal, _parent(call), call.path("nas_share_id"), call.body
    )
    return json_response(rendered(call, share, _counted(call, [share.id])))


def destroy(call: Call) -> Response:
    nas_shares.destroy(call.context, call.principal, _parent(call), call.path("nas_share_id"))
    return empty_response()


def mount_status(call: Call) -> Response:
    return status_response(mounts.of_share(call.context, _parent(call), call.path("nas_share_id")))


def _declare(suffix: str, base: str, where: str, missing_filter: str) -> None:
    """The five operations that exist at each of the three places."""
    one = base + "/{nas_share_id}"
    filters = tuple(name for name in SHARE_FILTERS if name != missing_filter)

    def add(method: str, path: str, name: str, action: str, **more: Any) -> Any:
        return routes.add(
            method,
            path,
            operation_id=f"{name}{suffix}",
            tag=TAG,
            scope=f"nas_shares/{action}",
            **more,
        )

    add(
        "GET",
        base,
        "index_nas_shares",
        "index",
        responses={200: "nas_share_collection", 422: "error"},
        summary=f"List NAS shares{where}",
        paged=True,
        sortable=True,
        filters=filters,
    )(index)
    add(
        "GET",
        one,
        "show_nas_share",
        "show",
        responses={200: "nas_share"},
        summary=f"Show a NAS share{where}",
    )(show)
    add(
        "PUT",
        one,
        "update_nas_share",
        "update",
        responses={200: "nas_share", 422: "error"},
        summary=f"Change a NAS share{where}",
        body="nas_share",
    )(update)
    add(
        "DELETE",
        one,
        "destroy_nas_share",
        "destroy",
        responses={204: None, 422: "error"},
        summary=f"Remove a NAS share{where}",
    )(destroy)
    add(
        "GET",
        f"{one}/mount",
        "mount_status_nas_share",
        "mount_status",
        responses={200: "mount_status", 404: "error"},
        summary=f"Say whether a NAS share{where} can be reached",
    )(mount_status)


@routes.add(
    "POST",
    BELOW_NAS,
    operation_id="create_nas_share_by_nas",
    tag=TAG,
    scope="nas_shares/create",
    responses={201: "nas_share", 422: "error"},
    summary="Declare a share of a NAS",
    body="nas_share",
    holds_secret=True,
)
def create(call: Call) -> Response:
    share = nas_shares.create(call.context, call.principal, call.path("nas_id"), call.body)
    return json_response(rendered(call, share, _counted(call, [share.id])), status=201)


@routes.add(
    "PUT",
    f"{BELOW_NAS}/-/test",
    operation_id="test_nas_share",
    tag=TAG,
    scope="nas_shares/test",
    responses={202: "active_job_status", 422: "error"},
    summary="Try a NAS share without declaring it",
    body="nas_share",
)
def test(call: Call) -> Response:
    started = share_tests.start(call.context, call.principal, call.path("nas_id"), call.body)
    return json_response(_rendered_test(started), status=202)


@routes.add(
    "GET",
    f"{BELOW_NAS}/-/test",
    operation_id="test_result_nas_share",
    tag=TAG,
    scope="nas_shares/test",
    responses={200: "active_job_status", 202: "active_job_status", 422: "error"},
    summary="Say how the trial of a NAS share went",
    parameters=(_JOB_ID,),
)
def test_result(call: Call) -> Response:
    job_id = call.query.text("job_id")
    found = share_tests.result(call.context, call.principal, call.path("nas_id"), job_id)
    return json_response(_rendered_test(found))


def _rendered_test(test: ShareTest) -> dict[str, object]:
    """The contract's job; a failed one says why, which clients of the contract skip."""
    shown: dict[str, object] = {"job_id": test.job_id, "status": test.status}
    if test.reason is not None:
        return shown | {"message": test.reason}
    return shown | {"progress": test.progress, "total": test.total}


_declare("", "/nas_shares", "", "")
_declare("_by_nas", BELOW_NAS, " of a NAS", "nas_id")
_declare("_by_pool", "/pools/{pool_id}/nas_shares", " of a pool", "pool_id")
