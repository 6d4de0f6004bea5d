"""Shares of NAS servers: reached under their NAS, under their pool and by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from longshore.database import limits, rows
from longshore.database import nas as nas_rows
from longshore.database import pools as pool_rows
from longshore.database.connection import reading, writing
from longshore.database.nas import NasShare
from longshore.database.query import Page, find_id
from longshore.database.rows import Listed
from longshore.database.tables.storages import nas_shares
from longshore.domain.storage import StorageKind, StorageReference
from longshore.services import mount_points, nas, pool_lookup
from longshore.services.attributes import check_text, refusing_duplicates
from longshore.services.context import Context
from longshore.services.errors import BASE, Kind, NotFound, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal
from longshore.services.secrets import SecretUnreadable

CONTROLLER = "nas_shares"
PATH_CHARACTERS_MAXIMUM = 4_096
PASSWORD_CHARACTERS_MAXIMUM = 1_024


class NasShareInput(Input):
    name: Words | None = None
    path: Words | None = None
    options: Words | None = None
    username: Words | None = None
    password: Words | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """Where the share was asked for: below a NAS, below a pool or (neither) by itself."""

    nas: str | None = None
    pool: str | None = None


def index(context: Context, page: Page, parent: Parent) -> Listed[NasShare]:
    with reading(context.database.state) as connection:
        nas_id, pool_id = _parent_ids(connection, parent)
        return nas_rows.index_shares(connection, page, nas_id=nas_id, pool_id=pool_id)


def show(context: Context, parent: Parent, identifier: str) -> NasShare:
    with reading(context.database.state) as connection:
        return resolve(connection, parent, identifier)


def create(
    context: Context, principal: Principal, nas_identifier: str, body: Mapping[str, Any]
) -> NasShare:
    principal.require_administrator(CONTROLLER, "create")
    problems = Problems()
    given = NasShareInput.read(body, problems).given()
    values: dict[str, Any] = dict.fromkeys(NasShareInput.model_fields) | given
    _check_options(context, problems, values["options"])
    with refusing_duplicates("name", values["name"]), writing(context.database.state) as connection:
        owner = nas.resolve(connection, nas_identifier)
        _check(connection, problems, values, owner.id, None)
        stored = _stored(context, values) | {"nas_id": owner.id, "pool_id": None}
        return NasShare(id=rows.add(connection, nas_shares, stored), **stored)


def update(
    context: Context,
    principal: Principal,
    parent: Parent,
    identifier: str,
    body: Mapping[str, Any],
) -> NasShare:
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = NasShareInput.read(body, problems).given()
    with reading(context.database.state) as connection:
        before = resolve(connection, parent, identifier)
    # A folder that is gone for the moment must not stop other changes.
    if given.get("options", before.options) != before.options:
        _check_options(context, problems, given["options"])
    with (
        refusing_duplicates("name", given.get("name")),
        writing(context.database.state) as connection,
    ):
        current = resolve(connection, parent, identifier)
        _check(connection, problems, asdict(current) | given, current.nas_id, current)
        stored = _stored(context, given)
        rows.change(connection, nas_shares, current.id, stored)
        return replace(current, **stored)


def destroy(context: Context, principal: Principal, parent: Parent, identifier: str) -> None:
    principal.require_administrator(CONTROLLER, "destroy")
    with writing(context.database.state) as connection:
        current = resolve(connection, parent, identifier)
        problems = Problems()
        if current.pool_id is not None and pool_rows.is_used(connection, current.pool_id):
            problems.add(BASE, Kind.FROZEN, note="a task uses the pool that the share is in")
        problems.raise_if_any()
        limits.forget_storage(connection, StorageReference(StorageKind.NAS_SHARE, current.id))
        rows.remove(connection, nas_shares, current.id)


def resolve(connection: Connection, parent: Parent, identifier: str) -> NasShare:
    """The share that a path's id or name means, inside its parent. Raises NotFound."""
    nas_id, pool_id = _parent_ids(connection, parent)
    statement = select(nas_shares)
    if nas_id is not None:
        statement = statement.where(nas_shares.c.nas_id == nas_id)
    if pool_id is not None:
        statement = statement.where(nas_shares.c.pool_id == pool_id)
    share_id = find_id(
        connection,
        statement,
        identifier=identifier,
        identity=nas_shares.c.id,
        names=[nas_shares.c.name],
    )
    found = None if share_id is None else nas_rows.fetch_share(connection, share_id)
    if found is None:
        raise NotFound("nas_share")
    return found


def password(context: Context, principal: Principal, share: NasShare) -> str | None:
    """The share's password, for those who may see it; None otherwise."""
    allowed = principal.administrator and principal.has_scope(CONTROLLER, "get_password")
    if not allowed or share.password_encrypted is None or context.secrets is None:
        return None
    try:
        return context.secrets.decrypt(share.password_encrypted)
    except SecretUnreadable:  # of another key file; the share has to be shown all the same
        return None


def _parent_ids(connection: Connection, parent: Parent) -> tuple[int | None, int | None]:
    nas_id = None if parent.nas is None else nas.resolve(connection, parent.nas).id
    pool_id = None if parent.pool is None else pool_lookup.resolve(connection, parent.pool).id
    return nas_id, pool_id


def _check_options(context: Context, problems: Problems, options: str | None) -> None:
    """Looks at the folder that the options name: before the transaction, as it may take long."""
    folder = mount_points.mount_point_of(options)
    if folder is None or "options" in problems:
        return
    private = (context.data_dir, context.containers_folder)
    reason = mount_points.unusable(folder, private)
    if reason is not None:
        problems.add("options", Kind.INVALID, value=options, note=reason)


def _check(
    connection: Connection,
    problems: Problems,
    values: Mapping[str, Any],
    nas_id: int,
    current: NasShare | None,
) -> None:
    check_text(problems, "name", values["name"], required=True)
    check_text(problems, "path", values["path"], required=True, maximum=PATH_CHARACTERS_MAXIMUM)
    check_text(problems, "options", values["options"], maximum=PATH_CHARACTERS_MAXIMUM)
    check_text(problems, "username", values["username"])
    check_text(problems, "password", values.get("password"), maximum=PASSWORD_CHARACTERS_MAXIMUM)
    if "name" not in problems:
        taken = [s for s in nas_rows.shares_named(connection, values["name"]) if s.nas_id == nas_id]
        if taken and (current is None or taken[0].id != current.id):
            problems.add("name", Kind.TAKEN, value=values["name"])
    problems.raise_if_any()


def _stored(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns for what was given: the password goes in encrypted."""
    columns = {name: value for name, value in given.items() if name != "password"}
    if "password" in given:
        columns["password_encrypted"] = _encrypted(context, given["password"])
    return columns


def _encrypted(context: Context, plain: str | None) -> bytes | None:
    if not plain:
        return None
    assert context.secrets is not None, "a server that stores passwords has a key file"
    return context.secrets.encrypt(plain)
