"""Pools: groups of storages of one kind for one purpose."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection

from longshore.database import pools as pool_rows
from longshore.database import primary_scans as scan_rows
from longshore.database import rows
from longshore.database.connection import reading, writing
from longshore.database.pools import Pool
from longshore.database.query import Page, read_integer
from longshore.database.rows import Listed
from longshore.database.tables.storages import pools
from longshore.domain.storage import PoolContent, PoolType
from longshore.services import pool_members, roots
from longshore.services.attributes import (
    check_comment,
    check_given,
    check_root_name,
    check_text,
    refusing_duplicates,
    refusing_use,
)
from longshore.services.context import Context
from longshore.services.errors import BASE, Kind, Problems
from longshore.services.input import Input, Words
from longshore.services.pool_lookup import resolve
from longshore.services.pool_members import MembersInput
from longshore.services.principal import Principal

CONTROLLER = "pools"

_CONTENTS = {
    PoolType.PRIMARY: {PoolContent.NAS, PoolContent.CLOUD},
    PoolType.DATA_EXCHANGE: {PoolContent.TAPE},
    PoolType.SCRATCH: {PoolContent.TAPE},
}
"""Pool types that cannot hold every kind of storage."""


class PoolInput(Input):
    name: Words | None = None
    comment: Words | None = None
    type: Annotated[PoolType, Field(strict=False)] | None = None
    content: Annotated[PoolContent, Field(strict=False)] | None = None


def index(context: Context, page: Page) -> Listed[Pool]:
    with reading(context.database.state) as connection:
        return pool_rows.index(connection, page)


def show(context: Context, identifier: str) -> Pool:
    with reading(context.database.state) as connection:
        return resolve(connection, identifier)


def create(context: Context, principal: Principal, body: Mapping[str, Any]) -> Pool:
    principal.require_administrator(CONTROLLER, "create")
    problems = Problems()
    given = PoolInput.read(body, problems).given()
    members = MembersInput.read(body, problems).given()
    values: dict[str, Any] = dict.fromkeys(PoolInput.model_fields) | given
    with reading(context.database.state) as connection:
        _check(connection, problems, values, members, current=None)
    is_primary = values["type"] == PoolType.PRIMARY
    root = roots.new_root(context, values["name"]) if is_primary else nullcontext(None)
    with (
        refusing_duplicates("name", values["name"]),
        root as root_id,
        writing(context.database.state) as connection,
    ):
        _check(connection, problems, values, members, current=None)
        stored = values | {"root_id": root_id}
        pool = Pool(id=rows.add(connection, pools, stored), **stored)
        pool_members.assign(connection, pool.id, members)
    return pool


def update(
    context: Context, principal: Principal, identifier: str, body: Mapping[str, Any]
) -> Pool:
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = PoolInput.read(body, problems).given()
    members = MembersInput.read(body, problems).given()
    with (
        refusing_duplicates("name", given.get("name")),
        writing(context.database.state) as connection,
    ):
        current = resolve(connection, identifier)
        for name in ("type", "content"):
            # What a client sends back as it read it is no change.
            if name in given and given[name] != getattr(current, name):
                problems.add(name, Kind.FROZEN)
        values = asdict(current) | given
        _check(connection, problems, values, members, current=current)
        rows.change(connection, pools, current.id, given)
        pool = Pool(**values)
        pool_members.assign(connection, pool.id, members)
    if pool.root_id is not None and pool.name != current.name:
        roots.rename(context, pool.root_id, pool.name)
    return pool


def destroy(context: Context, principal: Principal, identifier: str) -> None:
    """Remove the pool; its storages stay, in no pool."""
    principal.require_administrator(CONTROLLER, "destroy")
    with refusing_use("a task uses the pool"), writing(context.database.state) as connection:
        current = resolve(connection, identifier)
        problems = Problems()
        scan_rows.forget_task(connection, current.id)
        if pool_rows.is_used(connection, current.id):
            problems.add(BASE, Kind.FROZEN, note="a task uses the pool")
        problems.raise_if_any()
        pool_members.release(connection, current.id)
        rows.remove(connection, pools, current.id)


def sync(context: Context, identifier: str, transaction: str | None) -> None:
    """Check a notice that something changed in a pool. Scans find the changes by themselves."""
    problems = Problems()
    if not transaction:
        problems.add("tx", Kind.BLANK)
    elif read_integer(transaction) is None:
        problems.add("tx", Kind.INVALID, value=transaction)
    problems.raise_if_any()
    with reading(context.database.state) as connection:
        resolve(connection, identifier)


def _check(
    connection: Connection,
    problems: Problems,
    values: Mapping[str, Any],
    members: Mapping[str, Any],
    *,
    current: Pool | None,
) -> None:
    check_text(problems, "name", values["name"], required=True)
    check_comment(problems, values["comment"])
    check_given(problems, "type", values["type"])
    check_given(problems, "content", values["content"])
    _check_content(problems, values)
    _check_name(connection, problems, values, current)
    pool_members.check(connection, problems, values["content"], members, current)
    problems.raise_if_any()


def _check_content(problems: Problems, values: Mapping[str, Any]) -> None:
    allowed = _CONTENTS.get(values["type"])
    if allowed is None or values["content"] is None or "content" in problems:
        return
    if values["content"] not in allowed:
        note = f"a {values['type']} pool holds {' or '.join(sorted(allowed))}"
        problems.add("content", Kind.INVALID, value=values["content"], note=note)


def _check_name(
    connection: Connection, problems: Problems, values: Mapping[str, Any], current: Pool | None
) -> None:
    name = values["name"]
    if "name" in problems or (current is not None and name == current.name):
        return
    if values["type"] == PoolType.PRIMARY:
        check_root_name(problems, name)
        roots.check_name_is_free(connection, problems, name)
    if "name" not in problems and pool_rows.fetch_named(connection, name) is not None:
        problems.add("name", Kind.TAKEN, value=name)
