"""Cloud connectors: who may see and change them, and what a valid one is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, select

from longshore.database import clouds, limits, rows
from longshore.database.clouds import CloudBucket, CloudConnector
from longshore.database.connection import reading, writing
from longshore.database.query import Page, find_id
from longshore.database.rows import Listed
from longshore.database.tables.storages import cloud_connectors
from longshore.domain import cloud
from longshore.domain.cloud import NEEDS_URL, CloudProvider
from longshore.domain.errors import LongshoreError
from longshore.domain.storage import StorageKind, StorageReference
from longshore.services import cloud_attributes
from longshore.services.attributes import check_given, check_text, refusing_duplicates, refusing_use
from longshore.services.context import Context
from longshore.services.errors import BASE, Kind, NotFound, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal
from longshore.services.secrets import SecretUnreadable

CONTROLLER = "cloud_connectors"
URL_CHARACTERS_MAXIMUM = 2_048
OPTIONS_CHARACTERS_MAXIMUM = 4_096
ACCESS_KEY_CHARACTERS_MAXIMUM = 1_024
SECRET_KEY_CHARACTERS_MAXIMUM = 16_384  # the key file of a service account is a text of 2,400

_CLIENT_ATTRIBUTES = frozenset({"provider", "url", "region", "options"})
"""What a client is made of, besides keys."""


class CloudConnectorInput(Input):
    name: Words | None = None
    url: Words | None = None
    url_proxy: Words | None = None
    provider: Annotated[CloudProvider, Field(strict=False)] | None = None
    region: Words | None = None
    access_key: Words | None = None
    secret_key: Words | None = None
    options: Words | None = None


def index(context: Context, page: Page) -> Listed[CloudConnector]:
    with reading(context.database.state) as connection:
        return clouds.index_connectors(connection, page)


def show(context: Context, identifier: str) -> CloudConnector:
    with reading(context.database.state) as connection:
        return resolve(connection, identifier)


def create(context: Context, principal: Principal, body: Mapping[str, Any]) -> CloudConnector:
    principal.require_administrator(CONTROLLER, "create")
    problems = Problems()
    given = CloudConnectorInput.read(body, problems).given()
    values: dict[str, Any] = dict.fromkeys(CloudConnectorInput.model_fields) | given
    with refusing_duplicates("name", values["name"]), writing(context.database.state) as connection:
        check(problems, values, given)
        _check_name(connection, problems, values["name"], None)
        check_client(context, problems, values)
        problems.raise_if_any()
        stored = _stored(context, values, None)
        return CloudConnector(id=rows.add(connection, cloud_connectors, stored), **stored)


def update(
    context: Context, principal: Principal, identifier: str, body: Mapping[str, Any]
) -> CloudConnector:
    principal.require_administrator(CONTROLLER, "update")
    problems = Problems()
    given = CloudConnectorInput.read(body, problems).given()
    with (
        refusing_duplicates("name", given.get("name")),
        writing(context.database.state) as connection,
    ):
        current = resolve(connection, identifier)
        changed = {name for name, value in given.items() if value != getattr(current, name, None)}
        check(problems, asdict(current) | given, changed)
        _check_name(connection, problems, given.get("name", current.name), current)
        if changed & _CLIENT_ATTRIBUTES:
            check_client(context, problems, asdict(current) | given)
        problems.raise_if_any()
        stored = _stored(context, given, current)
        rows.change(connection, cloud_connectors, current.id, stored)
        return replace(current, **stored)


def destroy(context: Context, principal: Principal, identifier: str) -> None:
    """Remove the connector and its buckets here; nothing changes at the provider."""
    principal.require_administrator(CONTROLLER, "destroy")
    with (
        refusing_use("a bucket of it is in a pool"),
        writing(context.database.state) as connection,
    ):
        current = resolve(connection, identifier)
        buckets = clouds.buckets_of_connector(connection, current.id)
        problems = Problems()
        at_work = clouds.buckets_at_work(connection)
        for bucket in buckets:
            note = _use_of(bucket, at_work)
            if note is not None:
                problems.add(BASE, Kind.FROZEN, note=note)
                break
        problems.raise_if_any()
        for bucket in buckets:
            limits.forget_storage(connection, StorageReference(StorageKind.CLOUD_BUCKET, bucket.id))
        clouds.remove_buckets(connection, [bucket.id for bucket in buckets])
        rows.remove(connection, cloud_connectors, current.id)


def _use_of(bucket: CloudBucket, at_work: Mapping[int, int]) -> str | None:
    """Why the bucket cannot go; None if it can."""
    if bucket.pool_id is not None:
        return f"its bucket {bucket.name} is in a pool"
    if bucket.id in at_work:
        return f"execution {at_work[bucket.id]} uses its bucket {bucket.name}"
    return None


def resolve(connection: Connection, identifier: str) -> CloudConnector:
    """The connector that a path's id or name means. Raises NotFound."""
    connector_id = find_id(
        connection,
        select(cloud_connectors),
        identifier=identifier,
        identity=cloud_connectors.c.id,
        names=[cloud_connectors.c.name],
    )
    found = None if connector_id is None else clouds.fetch_connector(connection, connector_id)
    if found is None:
        raise NotFound("cloud_connector")
    return found


def secret_key(context: Context, principal: Principal, connector: CloudConnector) -> str | None:
    """The connector's secret, for those who may see it; None otherwise."""
    if not (principal.administrator and principal.has_scope(CONTROLLER, "get_secret_key")):
        return None
    try:
        return decrypted(context, connector.secret_key_encrypted)
    except SecretUnreadable:  # of another key file; the connector has to be shown all the same
        return None


def decrypted(context: Context, stored: bytes | None) -> str | None:
    """A stored secret, if there is one."""
    if stored is None or context.secrets is None:
        return None
    return context.secrets.decrypt(stored)


def encrypted(context: Context, plain: str | None) -> bytes | None:
    """What is stored of a secret, if there is one."""
    if not plain:
        return None
    assert context.secrets is not None, "a server that stores secrets has a key file"
    return context.secrets.encrypt(plain)


def check(
    problems: Problems,
    values: Mapping[str, Any],
    changed: Collection[str],
    *,
    named: bool = True,
) -> None:
    """Add what is wrong with the connector, whether it is stored or only tried.

    What was stored before a rule was made does not stand in the way of other changes.
    """
    check_text(problems, "name", values["name"], required=named)
    check_given(problems, "provider", values["provider"])
    check_text(problems, "region", values["region"])
    check_text(problems, "access_key", values["access_key"], maximum=ACCESS_KEY_CHARACTERS_MAXIMUM)
    check_text(
        problems, "secret_key", values.get("secret_key"), maximum=SECRET_KEY_CHARACTERS_MAXIMUM
    )
    check_text(problems, "options", values["options"], maximum=OPTIONS_CHARACTERS_MAXIMUM)
    needs_url = values["provider"] in NEEDS_URL
    check_text(problems, "url", values["url"], maximum=URL_CHARACTERS_MAXIMUM, required=needs_url)
    check_text(problems, "url_proxy", values["url_proxy"], maximum=URL_CHARACTERS_MAXIMUM)
    cloud_attributes.check(problems, values, changed)


def check_client(context: Context, problems: Problems, values: Mapping[str, Any]) -> None:
    """Add what the provider's client finds wrong with the options, unless more is wrong."""
    if len(problems):
        return
    reached = cloud.Connection(
        provider=CloudProvider(values["provider"]),
        url=values["url"],
        region=values["region"],
        options=values["options"],
    )
    note = refusal_of_client(context, reached, "bucket", None)
    if note is not None:
        problems.add("options", Kind.INVALID, value=values["options"], note=note)


def refusal_of_client(
    context: Context, reached: cloud.Connection, bucket: str, bucket_options: str | None
) -> str | None:
    """Why no client can be made with these options; None if one can. Nobody is asked for that."""
    reference = StorageReference(StorageKind.CLOUD_BUCKET, 0)
    try:
        context.open_storage(reached.address(reference, bucket, bucket_options)).close()
    except (LongshoreError, ValueError) as error:
        return str(error)
    return None


def _check_name(
    connection: Connection, problems: Problems, name: str | None, current: CloudConnector | None
) -> None:
    if name is None or "name" in problems:
        return
    same = clouds.fetch_connector_named(connection, name)
    if same is not None and (current is None or same.id != current.id):
        problems.add("name", Kind.TAKEN, value=name)


def _stored(
    context: Context, given: Mapping[str, Any], current: CloudConnector | None
) -> dict[str, Any]:
    """The columns for what was given: secrets go in encrypted.

    The login at the proxy is never shown. So it stays where its address comes back without one.
    """
    columns = {name: value for name, value in given.items() if name != "secret_key"}
    if "secret_key" in given:
        columns["secret_key_encrypted"] = encrypted(context, given["secret_key"])
    if "url_proxy" in given:
        columns["url_proxy"], login = cloud.without_login(given["url_proxy"])
        if login or current is None or columns["url_proxy"] != current.url_proxy:
            columns["proxy_login_encrypted"] = encrypted(context, login)
    return columns
