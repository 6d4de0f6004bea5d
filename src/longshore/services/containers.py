"""Containers: folders that the server manages and people see as network folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, select

from longshore.database import containers as container_rows
from longshore.database import limits, rows
from longshore.database.connection import reading, writing
from longshore.database.containers import Container
from longshore.database.query import Page, find_id
from longshore.database.rows import Listed
from longshore.database.tables.storages import containers
from longshore.domain.storage import GuestRight, StorageKind, StorageReference
from longshore.observability import logger
from longshore.services import roots
from longshore.services.attributes import (
    check_comment,
    check_given,
    check_range,
    check_root_name,
    check_text,
    refusing_duplicates,
    refusing_use,
)
from longshore.services.context import Context
from longshore.services.errors import BASE, Invalid, Kind, NotFound, Problem, Problems
from longshore.services.input import Input, Whole, Words
from longshore.services.principal import Principal

CONTROLLER = "containers"
CACHE_PERCENT_MAXIMUM = 100
FOLDER_MODE = 0o700  # people reach a container through the server, not past it


class ContainerInput(Input):
    name: Words | None = None
    comment: Words | None = None
    quota_total_size: Whole | None = None
    quota_on_cache: Whole | None = None
    guest_right: Annotated[GuestRight, Field(strict=False)] | None = None


_DEFAULTS: dict[str, Any] = {
    "name": None,
    "comment": None,
    "quota_total_size": 0,
    "quota_on_cache": 0,
    "guest_right": GuestRight.NONE,
}


def index(context: Context, page: Page) -> Listed[Container]:
    with reading(context.database.state) as connection:
        return container_rows.index(connection, page)


def show(context: Context, identifier: str) -> Container:
    with reading(context.database.state) as connection:
        return resolve(connection, identifier)


def create(context: Context, principal: Principal, body: Mapping[str, Any]) -> Container:
    """A container with its folder. A crash may leave an empty folder, which the next try takes."""
    principal.require_administrator(CONTROLLER, "create")
    problems = Problems()
    values = _DEFAULTS | ContainerInput.read(body, problems).given()
    with reading(context.database.state) as connection:
        _check(connection, problems, values, None)
    with (
        refusing_duplicates("name", values["name"]),
        roots.new_root(context, values["name"]) as root_id,
        writing(context.database.state) as connection,
    ):
        _check(connection, problems, values, None)
        stored = values | {"folder": "", "root_id": root_id, "last_update": context.now()}
        container_id = rows.add(connection, containers, stored)
        folder = folder_name(container_id)
        rows.change(connection, containers, container_id, {"folder": folder})
        _make_folder(context.containers_folder / folder)
        return Container(id=container_id, **(stored | {"folder": folder}))


def update(
    context: Context, principal: Principal, identifier: str, body: Mapping[str, Any]
) -> Container:
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = ContainerInput.read(body, problems).given()
    with writing(context.database.state) as connection:
        current = resolve(connection, identifier)
        if "name" in given and given["name"] != current.name:
            problems.add("name", Kind.FROZEN)
        values = asdict(current) | given
        _check(connection, problems, values, current)
        given["last_update"] = context.now()
        rows.change(connection, containers, current.id, given)
        return Container(**(values | given))


def destroy(context: Context, principal: Principal, identifier: str) -> None:
    """Remove the container if nothing needs it and nothing lies in it."""
    principal.require_administrator(CONTROLLER, "destroy")
    with refusing_use("a task uses the container"), writing(context.database.state) as connection:
        current = resolve(connection, identifier)
        folder = context.containers_folder / current.folder
        problems = Problems()
        if container_rows.is_used(connection, current.id):
            problems.add(BASE, Kind.FROZEN, note="a task uses the container")
        if not _is_empty(folder):
            problems.add(BASE, Kind.FROZEN, note="the container is not empty")
        problems.raise_if_any()
        limits.forget_storage(connection, StorageReference(StorageKind.CONTAINER, current.id))
        rows.remove(connection, containers, current.id)
    _remove_folder(folder)


def resolve(connection: Connection, identifier: str) -> Container:
    """The container that a path's id or name means. Raises NotFound."""
    container_id = find_id(
        connection,
        select(containers),
        identifier=identifier,
        identity=containers.c.id,
        names=[containers.c.name],
    )
    found = None if container_id is None else container_rows.fetch(connection, container_id)
    if found is None:
        raise NotFound("container")
    return found


def folder_name(container_id: int) -> str:
    """The name of the container's folder: never reused, and safe whatever the container's name."""
    return f"container-{container_id}"


def _check(
    connection: Connection,
    problems: Problems,
    values: Mapping[str, Any],
    current: Container | None,
) -> None:
    check_text(problems, "name", values["name"], required=True)
    check_comment(problems, values["comment"])
    for name in ("quota_total_size", "quota_on_cache", "guest_right"):
        check_given(problems, name, values[name])
    if values["quota_total_size"] is not None:
        check_range(problems, "quota_total_size", values["quota_total_size"], low=0)
    _check_cache_quota(connection, problems, values["quota_on_cache"], current)
    if current is None:
        check_root_name(problems, values["name"])
        roots.check_name_is_free(connection, problems, values["name"])
    problems.raise_if_any()


def _check_cache_quota(
    connection: Connection, problems: Problems, percent: int | None, current: Container | None
) -> None:
    if percent is None or "quota_on_cache" in problems:
        return
    check_range(problems, "quota_on_cache", percent, low=0, high=CACHE_PERCENT_MAXIMUM)
    others = container_rows.cache_percent_of_others(connection, current.id if current else None)
    if "quota_on_cache" not in problems and percent + others > CACHE_PERCENT_MAXIMUM:
        problems.add("quota_on_cache", Kind.QUOTA_ON_CACHE, value=percent + others)


def _make_folder(folder: Path) -> None:
    """Make the folder; an empty one that a crash left is taken. Raises Invalid."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=FOLDER_MODE)
        reason = None if _is_empty(folder) else "it is there already and not empty"
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        note = f"the container's folder {folder.name} cannot be made: {reason}"
        raise Invalid(Problem(BASE, Kind.INVALID, note=note))


def _is_empty(folder: Path) -> bool:
    """Whether nothing would be lost with the folder; one that cannot be read may hold something."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _remove_folder(folder: Path) -> None:
    """Best effort: what came into the folder since it was found empty stays on disk."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        pass
    except OSError as error:
        logger("containers").warning(
            "folder of a removed container stays", folder=str(folder), reason=error.strerror
        )
