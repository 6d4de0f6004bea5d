"""New buckets on a server, made with its own API and not with Longshore's clients."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from urllib.parse import quote

import boto3
import botocore.config
import httpx

from tests.object_servers.processes import ObjectServer

_numbers = itertools.count(1)
SECONDS = 60.0  # for one answer; a gateway that makes its pools is slow


def new_bucket(server: ObjectServer, api: str) -> str:
    """The name of a new, empty bucket that no other test has."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    _MAKERS[api](server.apis[api], name)
    return name


def s3_session(settings: Mapping[str, str]) -> boto3.client:
    """The S3 client of Amazon's SDK for these settings, as a second opinion in tests."""
    return boto3.client(
        "s3",
        endpoint_url=settings["endpoint"],
        region_name=settings["region"],
        aws_access_key_id=settings["access_key"],
        aws_secret_access_key=settings["secret_key"],
        config=botocore.config.Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 1},
            proxies={},
        ),
    )


def swift_login(settings: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address of the account and the headers that allow its use."""
    login = {"X-Auth-User": settings["access_key"], "X-Auth-Key": settings["secret_key"]}
    answer = httpx.get(settings["endpoint"], headers=login, trust_env=False, timeout=SECONDS)
    answer.raise_for_status()
    return answer.headers["X-Storage-Url"], {"X-Auth-Token": answer.headers["X-Auth-Token"]}


def _make_s3(settings: Mapping[str, str], name: str) -> None:
    s3_session(settings).create_bucket(Bucket=name)


def _make_azure(settings: Mapping[str, str], name: str) -> None:
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient(settings["endpoint"], credential=settings["secret_key"]) as service:
        service.create_container(name)


def _make_gcs(settings: Mapping[str, str], name: str) -> None:
    address = f"{settings['endpoint']}/storage/v1/b?project=test"
    answer = httpx.post(address, json={"name": name}, trust_env=False, timeout=SECONDS)
    answer.raise_for_status()


def _make_swift(settings: Mapping[str, str], name: str) -> None:
    account, token = swift_login(settings)
    answer = httpx.put(f"{account}/{name}", headers=token, trust_env=False, timeout=SECONDS)
    answer.raise_for_status()


_MAKERS: dict[str, Callable[[Mapping[str, str], str], None]] = {
    "s3": _make_s3,
    "azure": _make_azure,
    "gcs": _make_gcs,
    "swift": _make_swift,
}


def remove_bucket(server: ObjectServer, api: str, name: str) -> None:
    """Remove a bucket with all that is in it."""
    _REMOVERS[api](server.apis[api], name)


def _remove_s3(settings: Mapping[str, str], name: str) -> None:
    session = s3_session(settings)
    for page in session.get_paginator("list_objects_v2").paginate(Bucket=name):
        for found in page.get("Contents", []):
            session.delete_object(Bucket=name, Key=found["Key"])
    session.delete_bucket(Bucket=name)


def _remove_azure(settings: Mapping[str, str], name: str) -> None:
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient(settings["endpoint"], credential=settings["secret_key"]) as service:
        service.delete_container(name)


def _remove_gcs(settings: Mapping[str, str], name: str) -> None:
    bucket = f"{settings['endpoint']}/storage/v1/b/{name}"
    with httpx.Client(trust_env=False, timeout=SECONDS) as client:
        for found in client.get(f"{bucket}/o").json().get("items", []):
            client.delete(f"{bucket}/o/{quote(found['name'], safe='')}")
        client.delete(bucket).raise_for_status()


def _remove_swift(settings: Mapping[str, str], name: str) -> None:
    account, token = swift_login(settings)
    with httpx.Client(headers=token, trust_env=False, timeout=SECONDS) as client:
        for found in client.get(f"{account}/{name}?format=json").json():
            client.delete(f"{account}/{name}/{quote(found['name'])}")
        client.delete(f"{account}/{name}").raise_for_status()


_REMOVERS: dict[str, Callable[[Mapping[str, str], str], None]] = {
    "s3": _remove_s3,
    "azure": _remove_azure,
    "gcs": _remove_gcs,
    "swift": _remove_swift,
}
