"""/users and /groups: one's own API keys and configurations, and accounts of the system."""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.rendering import collection, empty_response, json_response
from longshore.api.routing import Call, Routes
from longshore.database.users import ApiKey, Configuration
from longshore.services import api_keys, configurations, system_accounts

routes = Routes()
TAG = "users"
KEYS = "/users/me/api_keys"
ONE_KEY = KEYS + "/{api_key_id}"
CONFIGURATIONS = "/users/me/configurations"
ONE_CONFIGURATION = CONFIGURATIONS + "/{configuration_id}"

STARS = "*" * 28  # stand for the part of a key that nobody can see again


def rendered_key(row: ApiKey, key: str | None = None) -> dict[str, object]:
    """The key: whole when it was just made, afterwards stars and its end."""
    return {"id": row.id, "key": key or STARS + row.key_end, "name": row.name}


def rendered_full_key(row: ApiKey, key: str | None = None) -> dict[str, object]:
    scopes = [
        {"controller": controller, "action": action}
        for controller, action in sorted(api_keys.scopes_of(row))
    ]
    return rendered_key(row, key) | {"api_key_scopes": scopes}


def rendered_configuration(row: Configuration) -> dict[str, object]:
    return {"id": row.id, "key": row.key, "value": row.value}


@routes.add(
    "GET",
    KEYS,
    operation_id="index_api_keys",
    tag=TAG,
    scope="api_keys/index",
    responses={200: "api_key_collection", 422: "error"},
    summary="List one's own API keys",
    paged=True,
)
def index_keys(call: Call) -> Response:
    listed = api_keys.index(call.context, call.principal, call.page())
    return collection(listed.count, "api_keys", [rendered_key(row) for row in listed.rows])


@routes.add(
    "POST",
    KEYS,
    operation_id="create_api_key",
    tag=TAG,
    scope="api_keys/create",
    responses={201: "api_key_full", 422: "error"},
    summary="Make an API key; the answer shows it this one time",
    body="api_key_full",
    holds_secret=True,
)
def create_key(call: Call) -> Response:
    made = api_keys.create(call.context, call.principal, call.body)
    return json_response(rendered_full_key(made.row, made.key), status=201)


@routes.add(
    "GET",
    ONE_KEY,
    operation_id="show_api_key",
    tag=TAG,
    scope="api_keys/show",
    responses={200: "api_key_full"},
    summary="Show an API key's name and scopes",
)
def show_key(call: Call) -> Response:
    row = api_keys.show(call.context, call.principal, call.path("api_key_id"))
    return json_response(rendered_full_key(row))


@routes.add(
    "PUT",
    ONE_KEY,
    operation_id="update_api_key",
    tag=TAG,
    scope="api_keys/update",
    responses={200: "api_key_full", 422: "error"},
    summary="Change an API key's name or scopes",
    body="api_key_full",
)
def update_key(call: Call) -> Response:
    row = api_keys.update(call.context, call.principal, call.path("api_key_id"), call.body)
    return json_response(rendered_full_key(row))


@routes.add(
    "DELETE",
    ONE_KEY,
    operation_id="destroy_api_key",
    tag=TAG,
    scope="api_keys/destroy",
    responses={204: None},
    summary="Make an API key worthless",
)
def destroy_key(call: Call) -> Response:
    api_keys.destroy(call.context, call.principal, call.path("api_key_id"))
    return empty_response()


@routes.add(
    "GET",
    CONFIGURATIONS,
    operation_id="index_configurations",
    tag=TAG,
    scope="configurations/index",
    responses={200: "user_configuration_collection", 422: "error"},
    summary="List one's own configurations",
    paged=True,
)
def index_configurations(call: Call) -> Response:
    listed = configurations.index(call.context, call.principal, call.page())
    shown = [rendered_configuration(row) for row in listed.rows]
    return collection(listed.count, "configurations", shown)


@routes.add(
    "POST",
    CONFIGURATIONS,
    operation_id="create_configuration",
    tag=TAG,
    scope="configurations/create",
    responses={201: "user_configuration", 422: "error"},
    summary="Keep a configuration",
    body="user_configuration",
)
def create_configuration(call: Call) -> Response:
    row = configurations.create(call.context, call.principal, call.body)
    return json_response(rendered_configuration(row), status=201)


@routes.add(
    "GET",
    ONE_CONFIGURATION,
    operation_id="show_configuration",
    tag=TAG,
    scope="configurations/show",
    responses={200: "user_configuration"},
    summary="Show a configuration",
)
def show_configuration(call: Call) -> Response:
    row = configurations.show(call.context, call.principal, call.path("configuration_id"))
    return json_response(rendered_configuration(row))


@routes.add(
    "PUT",
    ONE_CONFIGURATION,
    operation_id="update_configuration",
    tag=TAG,
    scope="configurations/update",
    responses={200: "user_configuration", 422: "error"},
    summary="Change a configuration",
    body="user_configuration",
)
def update_configuration(call: Call) -> Response:
    row = configurations.update(
        call.context, call.principal, call.path("configuration_id"), call.body
    )
    return json_response(rendered_configuration(row))


@routes.add(
    "DELETE",
    ONE_CONFIGURATION,
    operation_id="destroy_configuration",
    tag=TAG,
    scope="configurations/destroy",
    responses={204: None},
    summary="Forget a configuration",
)
def destroy_configuration(call: Call) -> Response:
    configurations.destroy(call.context, call.principal, call.path("configuration_id"))
    return empty_response()


@routes.add(
    "GET",
    "/users/-/systems",
    operation_id="index_system_users",
    tag=TAG,
    scope="users/systems",
    responses={200: "system_user_collection"},
    summary="List the user accounts of the server's operating system",
    administrators_only=True,
)
def index_system_users(_: Call) -> Response:
    found = [
        {"name": each.name, "uid": each.uid, "gid": each.gid, "info": each.info}
        for each in system_accounts.users()
    ]
    return collection(len(found), "users", found)


@routes.add(
    "GET",
    "/groups/-/systems",
    operation_id="index_system_groups",
    tag="groups",
    scope="groups/systems",
    responses={200: "system_group_collection"},
    summary="List the groups of the server's operating system",
    administrators_only=True,
)
def index_system_groups(_: Call) -> Response:
    found = [
        {"name": each.name, "gid": each.gid, "users": list(each.users)}
        for each in system_accounts.groups()
    ]
    return collection(len(found), "groups", found)
