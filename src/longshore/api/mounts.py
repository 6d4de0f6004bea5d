"""/mounts, and how a mount is shown wherever one is."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import json_response
from longshore.api.routing import Call, Routes
from longshore.services import mounts
from longshore.services.mounts import MountStatus, ShareMount

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


def status_response(status: MountStatus) -> Response:
    """The contract's mount_status."""
    shown = None if status.mount is None else rendered(status.mount)
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
