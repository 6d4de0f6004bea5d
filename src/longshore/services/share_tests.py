"""Trying a NAS share before, or after, it is made: a job whose answer says whether it works."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from longshore.database.connection import reading, writing
from longshore.database.tables.tasks import jobs
from longshore.domain.errors import StorageError
from longshore.domain.storage import StorageKind, StorageReference, folder_address
from longshore.services import mount_points, nas
from longshore.services.context import Context
from longshore.services.errors import Invalid, Kind, NotFound, Problem, Problems
from longshore.services.nas_shares import NasShareInput
from longshore.services.principal import Principal

CONTROLLER = "nas_shares"
ACTION = "test"
STEPS = 1


@dataclass(frozen=True, slots=True)
class ShareTest:
    """A finished test. `reason` says why it failed."""

    job_id: str
    status: str
    progress: int | None
    total: int | None
    reason: str | None


def start(
    context: Context, principal: Principal, nas_identifier: str, body: Mapping[str, Any]
) -> ShareTest:
    """Try the share of the body. It is only looked at, so the job is finished at once."""
    principal.require_administrator(CONTROLLER, ACTION)
    problems = Problems()
    share = NasShareInput.read(body, problems)
    problems.raise_if_any()
    with reading(context.database.state) as connection:
        owner = nas.resolve(connection, nas_identifier)
    reason = _reason_against(context, share.options)
    test = ShareTest(
        job_id=str(uuid.uuid4()),
        status="completed" if reason is None else "failed",
        progress=STEPS if reason is None else None,
        total=STEPS if reason is None else None,
        reason=reason,
    )
    with writing(context.database.state) as connection:
        connection.execute(
            insert(jobs).values(
                id=test.job_id,
                user_id=principal.user_id,
                controller=CONTROLLER,
                resource_id=owner.id,
                action=ACTION,
                status=test.status,
                progress=test.progress,
                total=test.total,
                reason=reason,
                creation_ns=_time_ns(context),
            )
        )
    return test


def result(
    context: Context, principal: Principal, nas_identifier: str, job_id: str | None
) -> ShareTest:
    """The test with the id, if this user asked for it. Raises Invalid without an id, NotFound."""
    if not job_id:
        raise Invalid(Problem("job_id", Kind.BLANK))
    with reading(context.database.state) as connection:
        owner = nas.resolve(connection, nas_identifier)
        query = select(jobs).where(
            jobs.c.id == job_id,
            jobs.c.user_id == principal.user_id,
            jobs.c.controller == CONTROLLER,
            jobs.c.resource_id == owner.id,
            jobs.c.action == ACTION,
        )
        row = connection.execute(query).one_or_none() if "\0" not in job_id else None
    if row is None:
        raise NotFound("job")
    return ShareTest(row.id, row.status, row.progress, row.total, row.reason)


def _time_ns(context: Context) -> int:
    """Nanoseconds since 1970, by the context's clock."""
    return int(context.clock() * 1_000_000_000)


def _reason_against(context: Context, options: str | None) -> str | None:
    folder = mount_points.mount_point_of(options)
    if folder is None:
        return "the share has no mount_point in its options, and no other way to reach it exists"
    private = (context.data_dir, context.containers_folder)
    reason = mount_points.unusable(folder, private)
    if reason is not None:
        return reason
    address = folder_address(StorageReference(StorageKind.NAS_SHARE, 0), folder)
    try:
        with context.open_storage(address) as storage:
            storage.check(writable=False)
    except StorageError as error:
        return str(error)
    return None
