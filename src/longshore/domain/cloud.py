"""Object stores: their providers, and how a bucket is reached.

A bucket's address is made of two parts that are kept apart on purpose:

    settings      provider, endpoint, region, bucket and options; may stand in a plan
    credentials   keys and the proxy; handed to a mover with each order, never written down
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from longshore.domain.storage import StorageAddress, StorageReference, parse_share_options


class CloudProvider(StrEnum):
    GENERIC_S3 = "generic_s3"
    AMAZON_AWS_S3 = "amazon_aws_s3"
    CLOUDIAN_HYPERSTORE = "cloudian_hyperstore"
    SCALITY_RING = "scality_ring"
    DELL_EMC_ECS = "dell_emc_ecs"
    AZURE = "azure"
    GOOGLE_CLOUD_STORAGE = "google_cloud_storage"
    OPENSTACK_SWIFT = "openstack_swift"
    WASABI = "wasabi"


_BACKENDS = {
    CloudProvider.AZURE: "azure",
    CloudProvider.GOOGLE_CLOUD_STORAGE: "gcs",
    CloudProvider.OPENSTACK_SWIFT: "swift",
}

NEEDS_URL = frozenset(
    {
        CloudProvider.GENERIC_S3,
        CloudProvider.CLOUDIAN_HYPERSTORE,
        CloudProvider.SCALITY_RING,
        CloudProvider.DELL_EMC_ECS,
        CloudProvider.OPENSTACK_SWIFT,
    }
)
"""Providers that are somewhere else at each customer."""

SETTINGS = frozenset({"provider", "endpoint", "region", "bucket", "account"})
"""What options cannot change."""

CREDENTIALS = frozenset({"access_key", "secret_key", "proxy", "config_file"})

BUCKETS_OPTION = "buckets"
"""`buckets=one|two`: the buckets of a connector whose keys may not list them."""


class RemoteBucket(msgspec.Struct, frozen=True):
    """A bucket as its provider lists it."""

    name: str
    location: str | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider is reached, without keys."""

    provider: CloudProvider
    url: str | None = None
    region: str | None = None
    options: str | None = None

    @property
    def backend(self) -> str:
        """The backend that speaks the provider's language."""
        return _BACKENDS.get(self.provider, "s3")

    def settings(self, bucket: str = "", bucket_options: str | None = None) -> dict[str, str]:
        """A backend's settings. A bucket's options go before its connector's."""
        named = {
            "provider": self.provider.value,
            "endpoint": self.url,
            "region": self.region,
            "bucket": bucket,
        }
        options = parse_share_options(self.options) | parse_share_options(bucket_options)
        options.pop(BUCKETS_OPTION, None)
        free = {k: v for k, v in options.items() if k not in SETTINGS | CREDENTIALS}
        return free | {name: value for name, value in named.items() if value}

    def address(
        self, reference: StorageReference, bucket: str, bucket_options: str | None
    ) -> StorageAddress:
        """How to reach the bucket, once the credentials are added."""
        return StorageAddress(reference, self.backend, self.settings(bucket, bucket_options))


def credentials(
    *, access_key: str | None, secret_key: str | None, proxy: str | None, config_file: str | None
) -> dict[str, str]:
    """The settings that are not written down, as far as there are any."""
    given = {
        "access_key": access_key,
        "secret_key": secret_key,
        "proxy": proxy,
        "config_file": config_file,
    }
    return {name: value for name, value in given.items() if value}


def without_login(address: str | None) -> tuple[str | None, str]:
    """An address without its user and password, and these: `user:password`, or ""."""
    scheme, mark, rest = (address or "").partition("://")
    place, slash, path = rest.partition("/")
    login, _, host = place.rpartition("@")
    return (address and scheme + mark + host + slash + path), login


def with_login(address: str | None, login: str | None) -> str | None:
    """What `without_login` has taken apart."""
    if not (address and login):
        return address
    scheme, mark, rest = address.partition("://")
    return f"{scheme}{mark}{login}@{rest}"


def with_credentials(address: StorageAddress, given: Mapping[str, str]) -> StorageAddress:
    """The address that a backend can open."""
    return msgspec.structs.replace(address, settings={**address.settings, **given})


def listed_buckets(options: str | None) -> list[str]:
    """The buckets that a connector's options name; none where the provider is to be asked."""
    named = parse_share_options(options).get(BUCKETS_OPTION, "")
    return [name.strip() for name in named.split("|") if name.strip()]


# ------------------------------------------------------------------------- which bucket it is

_SERVICES = {
    CloudProvider.AMAZON_AWS_S3: "amazonaws.com",
    CloudProvider.WASABI: "wasabisys.com",
    CloudProvider.GOOGLE_CLOUD_STORAGE: "googleapis.com",
}
"""Each of them gives a name to one bucket only, whatever the account and the region."""

_AZURE_HOST = "blob.core.windows.net"
_OWN_HOST = frozenset({"localhost", "127.0.0.1", "::1"})
_USUAL_PORTS = {"http": 80, "https": 443}


def with_account(address: StorageAddress, access_key: str | None) -> StorageAddress:
    """The address with whose bucket it is, where each account has names of its own."""
    account = _account(address.settings, access_key or "")
    if not account:
        return address
    return msgspec.structs.replace(address, settings={**address.settings, "account": account})


def may_be_one_bucket(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two buckets (by their settings, accounts included) may be the same one.

    Its store may be reached by several names and interfaces. Where it cannot be told, it may.
    """
    if one["bucket"] != other["bucket"] or _service(one) != _service(other):
        return False
    accounts = {one.get("account", ""), other.get("account", "")} - {""}
    return len(accounts) < 2


def _account(settings: Mapping[str, str], access_key: str) -> str:
    """The account as far as it is told; "" where names do not belong to accounts."""
    provider = settings["provider"]
    if provider == CloudProvider.AZURE:
        return access_key
    if provider == CloudProvider.OPENSTACK_SWIFT:
        account, colon, _ = access_key.partition(":")
        return settings.get("project") or (account if colon else "")
    return ""


def _service(settings: Mapping[str, str]) -> str:
    """What gives names to buckets, by one name however it is reached."""
    provider = CloudProvider(settings["provider"])
    is_azure = provider is CloudProvider.AZURE
    if not settings.get("endpoint"):
        azure = f"{settings.get('account', '')}.{_AZURE_HOST}"
        return azure if is_azure else _SERVICES.get(provider, "")
    parts = urlsplit(settings["endpoint"])
    host = (parts.hostname or "").rstrip(".")
    for service in _SERVICES.values():
        if host == service or host.endswith("." + service):
            return service
    port = parts.port or _USUAL_PORTS.get(parts.scheme, 0)
    # Encrypted or not: the usual ports of one host belong to one server.
    place = host if port in _USUAL_PORTS.values() else f"{host}:{port}"
    if host in _OWN_HOST:
        place = f"localhost:{port}"
    return place + parts.path.rstrip("/") if is_azure else place
