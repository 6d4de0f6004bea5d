"""How often a primary pool is scanned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any

from pydantic import Field

from longshore.database import pools as pool_rows
from longshore.database import primary_scans as scan_rows
from longshore.database import rows
from longshore.database.connection import reading, writing
from longshore.database.pools import PrimaryScan
from longshore.database.tables.storages import primary_scans
from longshore.domain.storage import PoolType
from longshore.services import pool_lookup
from longshore.services.attributes import check_given, refusing_duplicates
from longshore.services.context import Context
from longshore.services.errors import Kind, NotFound, Problems
from longshore.services.input import Input, Switch
from longshore.services.principal import Principal

CONTROLLER = "primary_scans"
OPERAND_MAXIMUM = 100_000


class Unit(StrEnum):
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"


class PrimaryScanInput(Input):
    enabled: Switch | None = None
    operand: float | None = None
    unit: Annotated[Unit, Field(strict=False)] | None = None


def show(context: Context, pool: str) -> PrimaryScan:
    with reading(context.database.state) as connection:
        return _resolved(
            pool_rows.primary_scan(connection, pool_lookup.resolve(connection, pool).id)
        )


def create(
    context: Context, principal: Principal, pool: str, body: Mapping[str, Any]
) -> PrimaryScan:
    principal.require_administrator(CONTROLLER, "create")
    problems = Problems()
    given = PrimaryScanInput.read(body, problems).given()
    values: dict[str, Any] = {"enabled": True, "operand": None, "unit": None} | given
    with refusing_duplicates("pool_id", pool), writing(context.database.state) as connection:
        owner = pool_lookup.resolve(connection, pool)
        if owner.type != PoolType.PRIMARY:
            note = "only primary pools are scanned"
            problems.add("pool_id", Kind.INVALID, value=owner.id, note=note)
        elif pool_rows.primary_scan(connection, owner.id) is not None:
            problems.add("pool_id", Kind.TAKEN, value=owner.id)
        _check(problems, values)
        stored = values | {"enabled": bool(values["enabled"]), "pool_id": owner.id}
        return PrimaryScan(id=rows.add(connection, primary_scans, stored), **stored)


def update(
    context: Context, principal: Principal, pool: str, body: Mapping[str, Any]
) -> PrimaryScan:
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = PrimaryScanInput.read(body, problems).given()
    with writing(context.database.state) as connection:
        owner = pool_lookup.resolve(connection, pool)
        current = _resolved(pool_rows.primary_scan(connection, owner.id))
        _check(problems, asdict(current) | given)
        if "enabled" in given:
            given["enabled"] = bool(given["enabled"])
        given["next"] = None  # by the new interval, and now
        rows.change(connection, primary_scans, current.id, given)
        return PrimaryScan(**(asdict(current) | given))


def destroy(context: Context, principal: Principal, pool: str) -> None:
    principal.require_administrator(CONTROLLER, "destroy")
    with writing(context.database.state) as connection:
        owner = pool_lookup.resolve(connection, pool)
        current = _resolved(pool_rows.primary_scan(connection, owner.id))
        scan_rows.forget_task(connection, owner.id)
        rows.remove(connection, primary_scans, current.id)


def _resolved(found: PrimaryScan | None) -> PrimaryScan:
    if found is None:
        raise NotFound("primary_scan")
    return found


def _check(problems: Problems, values: Mapping[str, Any]) -> None:
    for name in ("enabled", "operand", "unit"):
        check_given(problems, name, values[name])
    operand = values["operand"]
    if operand is not None and "operand" not in problems:
        if not isfinite(operand) or operand <= 0:
            problems.add("operand", Kind.GREATER_THAN, count=0, value=operand)
        elif operand > OPERAND_MAXIMUM:
            problems.add(
                "operand", Kind.LESS_THAN_OR_EQUAL_TO, count=OPERAND_MAXIMUM, value=operand
            )
    problems.raise_if_any()
