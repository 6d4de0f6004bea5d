"""Trying a connector, and bringing in its buckets: jobs that ask the provider for its buckets.

    PUT ─> a row in `jobs`, an errand ─> 202      the errand asks the provider, with a time limit,
    GET ─> what the row says                      and writes the answer into the row

An errand dies with the api. A job that is not finished in time is therefore shown as failed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Row, update

from longshore.database import clouds, jobs, limits
from longshore.database.clouds import CloudBucket, CloudConnector
from longshore.database.connection import reading, writing
from longshore.database.tables.tasks import jobs as jobs_table
from longshore.domain import cloud
from longshore.domain.cloud import RemoteBucket
from longshore.domain.errors import LongshoreError
from longshore.domain.execution import JobStatus
from longshore.domain.storage import StorageKind, StorageReference, parse_share_options
from longshore.services import cloud_buckets, cloud_connectors
from longshore.services.cloud_connectors import CloudConnectorInput
from longshore.services.context import Context
from longshore.services.errands import TooBusy
from longshore.services.errors import Invalid, Kind, NotFound, Problem, Problems
from longshore.services.principal import Principal

TEST = ("cloud_connectors", "test")
SYNC = ("cloud_buckets", "sync")
STEPS = 1
JOB_SECONDS_MAXIMUM = 300.0  # providers that do not answer are given up long before

_results = msgspec.json.Decoder(list[RemoteBucket])


@dataclass(frozen=True, slots=True)
class CloudJob:
    """A test or synchronization. `buckets` are its answer once it is completed."""

    job_id: str
    status: JobStatus
    reason: str | None = None  # why it failed
    buckets: list[CloudBucket] | None = None

    @property
    def is_finished(self) -> bool:
        return self.status in {JobStatus.COMPLETED, JobStatus.FAILED}


def start_test(context: Context, principal: Principal, body: Mapping[str, Any]) -> CloudJob:
    """Ask the provider of the body for its buckets. Nothing is stored of it but the answer.

    Without a secret key, that of the stored connector with the body's id is used, as long as it
    is for the same place: a client that shows a connector may not have seen its secret. So is the
    login at its proxy.
    """
    principal.require_administrator(*TEST)
    problems = Problems()
    given = CloudConnectorInput.read(body, problems).given()
    values: dict[str, Any] = dict.fromkeys(CloudConnectorInput.model_fields) | given
    cloud_connectors.check(problems, values, given, named=False)
    cloud_connectors.check_client(context, problems, values)
    problems.raise_if_any()
    values["url_proxy"], login = cloud.without_login(values["url_proxy"])
    secret = cloud_connectors.encrypted(context, values.pop("secret_key"))
    sealed_login = cloud_connectors.encrypted(context, login)
    stored = _stored_alike(context, body.get("id"), values)
    tried = CloudConnector(
        id=0,
        secret_key_encrypted=secret or (stored.secret_key_encrypted if stored else None),
        proxy_login_encrypted=sealed_login or (stored.proxy_login_encrypted if stored else None),
        **values | {"name": values["name"] or ""},
    )

    def test() -> list[RemoteBucket]:
        return _remote_buckets(context, tried)

    return _start(context, principal, TEST, 0, test)


def test_result(context: Context, principal: Principal, job_id: str | None) -> CloudJob:
    """What became of the test, if this user asked for it. Raises Invalid without an id."""
    row = _find(context, principal, TEST, 0, job_id)
    job = _job(context, row)
    if job.status is not JobStatus.COMPLETED:
        return job
    found = [_shown(each) for each in _results.decode(row.result or "[]")]
    return CloudJob(job.job_id, job.status, buckets=found)


def start_sync(context: Context, principal: Principal, identifier: str) -> CloudJob:
    """Let the connector's buckets be those that its provider lists."""
    principal.require_administrator(*SYNC)
    with reading(context.database.state) as connection:
        connector = cloud_connectors.resolve(connection, identifier)

    def sync() -> list[RemoteBucket]:
        found = _remote_buckets(context, connector)
        with writing(context.database.state) as connection:
            current = clouds.hold_connector(connection, connector.id)
            if current is None:
                raise _Gone("the connector was removed meanwhile")
            if replace(current, name=connector.name) != connector:
                raise _Gone("the connector was changed meanwhile: these are not its buckets")
            for bucket_id in clouds.put_buckets(connection, connector.id, found):
                reference = StorageReference(StorageKind.CLOUD_BUCKET, bucket_id)
                limits.forget_storage(connection, reference)
        return []

    return _start(context, principal, SYNC, connector.id, sync)


def sync_result(
    context: Context, principal: Principal, identifier: str, job_id: str | None
) -> CloudJob:
    """What became of the synchronization: the connector's buckets, as they are now."""
    with reading(context.database.state) as connection:
        connector = cloud_connectors.resolve(connection, identifier)
    job = _job(context, _find(context, principal, SYNC, connector.id, job_id))
    if job.status is not JobStatus.COMPLETED:
        return job
    with reading(context.database.state) as connection:
        found = clouds.buckets_of_connector(connection, connector.id)
    return CloudJob(job.job_id, job.status, buckets=found)


# --------------------------------------------------------------------------------- errands


class _Gone(LongshoreError):
    """What the job was about is not there any more."""


def _start(
    context: Context,
    principal: Principal,
    what: tuple[str, str],
    resource_id: int,
    deed: Callable[[], list[RemoteBucket]],
) -> CloudJob:
    job_id = str(uuid.uuid4())
    controller, action = what
    with writing(context.database.state) as connection:
        values = {
            "id": job_id,
            "user_id": principal.user_id,
            "controller": controller,
            "resource_id": resource_id,
            "action": action,
            "status": JobStatus.QUEUED.value,
            "creation_ns": _now_ns(context),
        }
        jobs.create(connection, values)
    try:
        context.errands.begin(lambda: _carry_out(context, job_id, deed))
    except TooBusy:
        _finish(context, job_id, status=JobStatus.FAILED, reason="too many such jobs wait already")
    return CloudJob(job_id, JobStatus.QUEUED)


def _carry_out(context: Context, job_id: str, deed: Callable[[], list[RemoteBucket]]) -> None:
    _finish(context, job_id, status=JobStatus.WORKING, progress=0, total=STEPS)
    try:
        found = deed()
    except (LongshoreError, ValueError) as error:  # the second: keys that cannot be any
        _finish(context, job_id, status=JobStatus.FAILED, reason=str(error))
    except Exception:
        _finish(context, job_id, status=JobStatus.FAILED, reason="an unexpected error; see the log")
        raise
    else:
        result = msgspec.json.encode(found).decode()
        done = JobStatus.COMPLETED
        _finish(context, job_id, status=done, progress=STEPS, total=STEPS, result=result)


def _finish(context: Context, job_id: str, *, status: JobStatus, **values: Any) -> None:
    with writing(context.database.state) as connection:
        row = {"status": status.value, "progress": None, "total": None, **values}
        connection.execute(update(jobs_table).where(jobs_table.c.id == job_id).values(**row))


def _remote_buckets(context: Context, connector: CloudConnector) -> list[RemoteBucket]:
    """The provider's buckets, or those that the connector's options name."""
    reached = cloud_buckets.connection_of(connector)
    credentials = cloud_buckets.credentials_of(context, connector)
    names = cloud.listed_buckets(connector.options)
    if not names:
        settings = {**reached.settings(), **credentials}
        return sorted(context.list_buckets(reached.backend, settings), key=lambda each: each.name)
    for name in names:
        reference = StorageReference(StorageKind.CLOUD_BUCKET, 0)
        address = cloud.with_credentials(reached.address(reference, name, None), credentials)
        with context.open_storage(address) as storage:
            storage.check(writable=False)
    return [RemoteBucket(name, connector.region) for name in sorted(names)]


def _stored_alike(
    context: Context, connector_id: Any, values: Mapping[str, Any]
) -> CloudConnector | None:
    """The stored connector, if it leads to the same place with the same key."""
    if not isinstance(connector_id, int) or isinstance(connector_id, bool):
        return None
    try:
        stored = cloud_connectors.show(context, str(connector_id))
    except NotFound:
        return None
    same = ("provider", "url", "url_proxy", "region", "access_key")
    if any((getattr(stored, name) or None) != (values[name] or None) for name in same):
        return None
    elsewhere = (_storage_url(stored.options), _storage_url(values["options"]))
    return stored if elsewhere[0] == elsewhere[1] else None


def _storage_url(options: str | None) -> str | None:
    """Where a token goes instead of where its giver says."""
    return parse_share_options(options).get("storage_url")


# ---------------------------------------------------------------------------------- results


def _find(
    context: Context,
    principal: Principal,
    what: tuple[str, str],
    resource_id: int,
    job_id: str | None,
) -> Row[Any]:
    if not job_id or not job_id.strip():
        raise Invalid(Problem("job_id", Kind.BLANK))
    with reading(context.database.state) as connection:
        found = jobs.find(
            connection,
            job_id if job_id.isprintable() else "",
            now_ns=_now_ns(context),
            user_id=principal.user_id,
            controller=what[0],
            resource_id=resource_id,
            action=what[1],
        )
    if found is None:
        raise NotFound("job")
    return found


def _job(context: Context, row: Row[Any]) -> CloudJob:
    status = JobStatus(row.status)
    age_seconds = (_now_ns(context) - row.creation_ns) / 1e9
    if status in {JobStatus.QUEUED, JobStatus.WORKING} and age_seconds > JOB_SECONDS_MAXIMUM:
        reason = f"it was not finished within {JOB_SECONDS_MAXIMUM:g} s"
        return CloudJob(row.id, JobStatus.FAILED, reason)
    return CloudJob(row.id, status, row.reason)


def _shown(remote: RemoteBucket) -> CloudBucket:
    """A bucket that the provider has and nobody has brought in: it has no id yet."""
    return CloudBucket(
        id=0,
        cloud_connector_id=0,
        pool_id=None,
        name=remote.name,
        location=remote.location,
        price=None,
        options=None,
        config_file_encrypted=None,
    )


def _now_ns(context: Context) -> int:
    return int(context.clock() * 1_000_000_000)
