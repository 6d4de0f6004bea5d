"""Which buckets may be one and the same, however they are reached."""

from __future__ import annotations

from itertools import combinations

import pytest

from longshore.domain.cloud import CloudProvider, Connection, may_be_one_bucket, with_account
from longshore.domain.storage import StorageKind, StorageReference


def settings(
    provider: str, url: str | None = None, access_key: str = "", bucket: str = "b", **options: str
) -> dict[str, str]:
    written = ",".join(f"{name}={value}" for name, value in options.items())
    reached = Connection(provider=CloudProvider(provider), url=url, options=written)
    reference = StorageReference(StorageKind.CLOUD_BUCKET, 1)
    return with_account(reached.address(reference, bucket, None), access_key).settings


@pytest.mark.parametrize(
    "same",
    [
        [
            settings("generic_s3", "http://store.example"),
            settings("scality_ring", "http://STORE.example:80/"),
            settings("generic_s3", "https://store.example"),
            settings("generic_s3", "http://store.example.", "other-key"),
            settings("openstack_swift", "http://store.example/auth/v1.0", "a:u"),
        ],
        [
            settings("generic_s3", "http://127.0.0.1:9000"),
            settings("generic_s3", "http://localhost:9000"),
            settings("generic_s3", "https://[::1]:9000"),
        ],
        [
            settings("amazon_aws_s3"),
            settings("amazon_aws_s3", "https://s3.eu-west-1.amazonaws.com"),
            settings("generic_s3", "https://s3.amazonaws.com"),
        ],
        [
            settings("google_cloud_storage"),
            settings("generic_s3", "https://storage.googleapis.com"),
        ],
        [
            settings("azure", None, "acct"),
            settings("azure", "https://acct.blob.core.windows.net/", "acct"),
        ],
        [
            settings("openstack_swift", "http://swift:8080/auth/v1.0", "acct:one"),
            settings("openstack_swift", "http://swift:8080/auth/v1.0", "acct:two"),
            settings("generic_s3", "http://swift:8080"),
        ],
    ],
)
def test_a_bucket_is_known_by_whatever_name_it_is_reached(same: list[dict[str, str]]) -> None:
    for one, other in combinations(same, 2):
        assert may_be_one_bucket(one, other), (one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (settings("generic_s3", "http://a"), settings("generic_s3", "http://b")),
        (settings("generic_s3", "http://a"), settings("generic_s3", "http://a", bucket="c")),
        (settings("generic_s3", "http://a:1"), settings("generic_s3", "http://a:2")),
        (settings("amazon_aws_s3"), settings("wasabi")),
        (settings("azure", None, "acct"), settings("azure", None, "other")),
        (
            settings("azure", "http://127.0.0.1:10000/acct", "acct"),
            settings("azure", "http://127.0.0.1:10000/other", "other"),
        ),
        (
            settings("openstack_swift", "http://swift:8080/auth/v1.0", "acct:one"),
            settings("openstack_swift", "http://swift:8080/auth/v1.0", "other:one"),
        ),
        (
            settings("openstack_swift", "http://keystone:5000/v3", "me", project="one"),
            settings("openstack_swift", "http://keystone:5000/v3", "me", project="two"),
        ),
    ],
)
def test_buckets_of_one_name_in_different_places_are_two(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert not may_be_one_bucket(one, other)
