"""The S3 family: generic S3, Amazon, Cloudian, Scality, Dell EMC ECS, Wasabi.

Spoken over HTTP directly; docs/design says why not through an SDK.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree as ET

from longshore.domain.cloud import RemoteBucket
from longshore.storage.backends.object_store import http
from longshore.storage.backends.object_store.profiles import (
    InvalidSetting,
    Profile,
    printable,
    profile_of,
    seconds,
)
from longshore.storage.backends.object_store.s3_answers import parse
from longshore.storage.backends.object_store.s3_client import (
    CLASS_HEADER,
    TAGS_HEADER,
    S3Client,
)
from longshore.storage.backends.object_store.s3_requests import Requests
from longshore.storage.backends.object_store.signing import Credentials, Signer

REGION: Final = "us-east-1"  # what stores sign with that have no regions

_NEW_OBJECT_HEADERS: Final = {
    "storage_class": CLASS_HEADER,
    "tags": TAGS_HEADER,  # a=1&b=2
    "encryption": "x-amz-server-side-encryption",  # AES256 or aws:kms
    "encryption_key": "x-amz-server-side-encryption-aws-kms-key-id",
}


def open_client(settings: Mapping[str, str]) -> S3Client:
    """The client of a bucket. Raises ValueError for settings that mean nothing."""
    profile = _profile(settings)
    if not settings.get("bucket"):
        raise InvalidSetting("no bucket is named")
    named = {header: printable(settings, name) for name, header in _NEW_OBJECT_HEADERS.items()}
    headers = {header: value for header, value in named.items() if value}
    bucket = settings["bucket"]
    requests = _requests(settings, profile, bucket)
    prefix = settings.get("prefix", "").strip("/")
    return S3Client(requests, bucket, profile, new_object_headers=headers, prefix=prefix)


def list_buckets(settings: Mapping[str, str]) -> list[RemoteBucket]:
    """All buckets that these keys may list. Raises StorageError, ValueError."""
    requests = _requests(settings, _profile(settings), "")
    found: dict[str, RemoteBucket] = {}
    query: dict[str, str] = {}
    try:
        while True:
            _, body = requests.read("GET", "", "list buckets", query=query)
            root = parse(body, "list buckets", "")
            page = {each.name: each for each in map(_bucket, root.iter("Bucket"))}
            token = root.findtext("ContinuationToken") or ""
            # A store that does not know the token begins anew.
            if not token or page.keys() <= found.keys():
                return list((found | page).values())
            found |= page
            query = {"continuation-token": token}
    finally:
        requests.close()


def _bucket(found: ET.Element) -> RemoteBucket:
    return RemoteBucket(found.findtext("Name") or "", found.findtext("BucketRegion"))


def _profile(settings: Mapping[str, str]) -> Profile:
    return profile_of(settings.get("provider", "generic_s3"), settings)


def _requests(settings: Mapping[str, str], profile: Profile, bucket: str) -> Requests:
    region = settings.get("region") or REGION
    endpoint = settings.get("endpoint") or profile.endpoint.format(region=region)
    place = http.place_of(
        endpoint,
        proxy=settings.get("proxy", ""),
        ca_file=settings.get("ca_file", ""),
        connect_seconds=seconds(settings, "connect_seconds", http.CONNECT_SECONDS),
        read_seconds=seconds(settings, "read_seconds", http.READ_SECONDS),
    )
    credentials = Credentials(
        settings.get("access_key", ""),
        settings.get("secret_key", ""),
        settings.get("session_token", ""),
    )
    return Requests(
        place,
        Signer(credentials, region),
        bucket,
        virtual_hosts=profile.virtual_hosts and "." not in bucket,  # no certificate covers dots
        clock=time.time,
    )
