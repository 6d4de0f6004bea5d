"""Buckets of object stores: reached under their connector, under their pool and by themselves.

Buckets are made at their provider. Synchronizing a connector brings in those that there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from longshore.database import clouds, rows
from longshore.database.clouds import CloudBucket, CloudConnector
from longshore.database.connection import reading, writing
from longshore.database.query import Page, find_id
from longshore.database.rows import Listed
from longshore.database.tables.storages import cloud_buckets
from longshore.domain import cloud
from longshore.domain.cloud import CloudProvider
from longshore.domain.storage import StorageAddress, StorageKind, StorageReference
from longshore.services import cloud_attributes, cloud_connectors, pool_lookup
from longshore.services.attributes import check_price, check_text
from longshore.services.cloud_connectors import OPTIONS_CHARACTERS_MAXIMUM
from longshore.services.context import Context
from longshore.services.errors import Invalid, Kind, NotFound, Problem, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal
from longshore.services.secrets import SecretUnreadable

CONTROLLER = "cloud_buckets"
CONFIG_FILE_BYTES_MAXIMUM = 64 * 1024  # key files of service accounts have some 2,400


class CloudBucketInput(Input):
    price: Words | None = None
    options: Words | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """Where the bucket was asked for: below a connector, below a pool or (neither) by itself."""

    connector: str | None = None
    pool: str | None = None


def index(context: Context, page: Page, parent: Parent) -> Listed[CloudBucket]:
    with reading(context.database.state) as connection:
        connector_id, pool_id = _parent_ids(connection, parent)
        return clouds.index_buckets(connection, page, connector_id=connector_id, pool_id=pool_id)


def show(context: Context, parent: Parent, identifier: str) -> CloudBucket:
    with reading(context.database.state) as connection:
        return resolve(connection, parent, identifier)


def update(
    context: Context,
    principal: Principal,
    parent: Parent,
    identifier: str,
    body: Mapping[str, Any],
) -> CloudBucket:
    """Change price and options; all else is the provider's."""
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = CloudBucketInput.read(body, problems).given()
    with writing(context.database.state) as connection:
        current = resolve(connection, parent, identifier)
        values = asdict(current) | given
        check_price(problems, values["price"])
        check_text(problems, "options", values["options"], maximum=OPTIONS_CHARACTERS_MAXIMUM)
        if values["options"] != current.options:
            _check_options(context, connection, problems, current, values["options"])
        problems.raise_if_any()
        rows.change(connection, cloud_buckets, current.id, given)
        return replace(current, **given)


def update_config_file(
    context: Context, principal: Principal, identifier: str, content: bytes
) -> CloudBucket:
    """Keep the file that the provider's client is configured with, encrypted. b"" removes it."""
    principal.require_administrator(CONTROLLER, "update_config_file")
    text = _readable(content)
    with writing(context.database.state) as connection:
        current = resolve(connection, Parent(), identifier)
        stored = cloud_connectors.encrypted(context, text)
        rows.change(connection, cloud_buckets, current.id, {"config_file_encrypted": stored})
        return replace(current, config_file_encrypted=stored)


def resolve(connection: Connection, parent: Parent, identifier: str) -> CloudBucket:
    """The bucket that a path's id or name means, inside its parent. Raises NotFound."""
    connector_id, pool_id = _parent_ids(connection, parent)
    statement = select(cloud_buckets)
    if connector_id is not None:
        statement = statement.where(cloud_buckets.c.cloud_connector_id == connector_id)
    if pool_id is not None:
        statement = statement.where(cloud_buckets.c.pool_id == pool_id)
    bucket_id = find_id(
        connection,
        statement,
        identifier=identifier,
        identity=cloud_buckets.c.id,
        names=[cloud_buckets.c.name],
    )
    found = None if bucket_id is None else clouds.fetch_bucket(connection, bucket_id)
    if found is None:
        raise NotFound("cloud_bucket")
    return found


def address(context: Context, bucket: CloudBucket, connector: CloudConnector) -> StorageAddress:
    """How the bucket is reached, with its keys."""
    plain = connection_of(connector).address(
        StorageReference(StorageKind.CLOUD_BUCKET, bucket.id), bucket.name, bucket.options
    )
    config_file = cloud_connectors.decrypted(context, bucket.config_file_encrypted)
    return cloud.with_credentials(plain, credentials_of(context, connector, config_file))


def addresses(
    context: Context, connection: Connection, buckets: list[CloudBucket]
) -> list[StorageAddress]:
    """How these buckets are reached, with their keys; those left out whose keys are unreadable."""
    found = []
    for bucket in buckets:
        connector = clouds.fetch_connector(connection, bucket.cloud_connector_id)
        if connector is not None:
            with suppress(SecretUnreadable):
                found.append(address(context, bucket, connector))
    return found


def connection_of(connector: CloudConnector) -> cloud.Connection:
    return cloud.Connection(
        provider=CloudProvider(connector.provider),
        url=connector.url,
        region=connector.region,
        options=connector.options,
    )


def credentials_of(
    context: Context, connector: CloudConnector, config_file: str | None = None
) -> dict[str, str]:
    return cloud.credentials(
        access_key=connector.access_key,
        secret_key=cloud_connectors.decrypted(context, connector.secret_key_encrypted),
        proxy=cloud.with_login(
            connector.url_proxy,
            cloud_connectors.decrypted(context, connector.proxy_login_encrypted),
        ),
        config_file=config_file,
    )


def _check_options(
    context: Context,
    connection: Connection,
    problems: Problems,
    bucket: CloudBucket,
    options: str | None,
) -> None:
    """Add what is wrong with the bucket's options beside those of its connector."""
    if "options" in problems:
        return
    connector = clouds.fetch_connector(connection, bucket.cloud_connector_id)
    assert connector is not None, "a bucket goes with its connector"
    note = cloud_attributes.wrong_options(options)
    if note is not None:
        problems.add("options", Kind.INVALID, note=note)
        return
    note = cloud_connectors.refusal_of_client(
        context, connection_of(connector), bucket.name, options
    )
    if note is not None:
        problems.add("options", Kind.INVALID, value=options, note=note)


def _parent_ids(connection: Connection, parent: Parent) -> tuple[int | None, int | None]:
    connector_id = (
        None
        if parent.connector is None
        else cloud_connectors.resolve(connection, parent.connector).id
    )
    pool_id = None if parent.pool is None else pool_lookup.resolve(connection, parent.pool).id
    return connector_id, pool_id


def _readable(content: bytes) -> str:
    if len(content) > CONFIG_FILE_BYTES_MAXIMUM:
        raise Invalid(Problem("config_file", Kind.TOO_LONG, count=CONFIG_FILE_BYTES_MAXIMUM))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Invalid(Problem("config_file", Kind.INVALID, note="it is no text")) from None
