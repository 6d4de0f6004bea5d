"""/mounts, and how a mount is shown wherever one is."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import json_response
from longshore.api.routing import Call, Routes
from longshore.services import mounts
from longshore.services.mounts import BucketMount, MountStatus, ShareMount

routes = Routes()


def rendered(found: ShareMount) -> dict[str, object]:
    """The contract's mount_info. A type it has no word for is null, as its clients demand."""
    mount = found.mount
    return {
        "id": mount.id if mount else None,
        "major_minor": mount.major_minor if mount else None,
        "target": found.folder,
        "source": mount.source if mount else None,
        "options": mount.options if mount else None,
        "type": mount.shown_type if mount else None,
        "pool_id": found.share.pool_id,
        "pool_name": found.pool_name,
        "nas_id": found.share.nas_id,
        "nas_name": found.nas_name,
        "nas_share_id": found.share.id,
        "nas_share_name": found.share.name,
    }


def rendered_bucket(found: BucketMount) -> dict[str, object]:
    """The contract's mount_info of a bucket, which no mount of the system leads to."""
    return {
        "id": None,
        "major_minor": None,
        "target": None,
        "source": found.bucket.name,
        "options": found.bucket.options,
        "type": None,
        "pool_id": found.bucket.pool_id,
        "pool_name": found.pool_name,
        "cloud_connector_id": found.connector.id,
        "cloud_connector_name": found.connector.name,
        "cloud_bucket_id": found.bucket.id,
        "cloud_bucket_name": found.bucket.name,
    }


def status_response(status: MountStatus) -> Response:
    """The contract's mount_status."""
    shown = None
    if isinstance(status.mount, BucketMount):
        shown = rendered_bucket(status.mount)
    elif status.mount is not None:
        shown = rendered(status.mount)
    return json_response({"mounted": status.mounted, "message": status.message, "status": shown})


@routes.add(
    "GET",
    "/mounts",
    operation_id="index_mounts",
    tag="mounts",
    scope="mounts/index",
    responses={200: "mount_collection"},
    summary="List what is mounted now",
)
def index(call: Call) -> Response:
    return json_response({"mounts": [rendered(each) for each in mounts.index(call.context)]})
