"""The released Python SDK: cloud connectors, buckets and their pools."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nodeum_sdk
import pytest

from longshore.services.context import Context
from tests.api.conftest import ADMINISTRATOR
from tests.api.test_clouds import SECRET, Provider
from tests.servers import wait_until


@pytest.fixture
def context(context: Context, tmp_path: Path) -> Context:
    provider = Provider(tmp_path / "provider")
    provider.add("blue", "green")
    return replace(context, list_buckets=provider.list_buckets, open_storage=provider.open_storage)


@pytest.fixture
def sdk(server: str) -> Iterator[nodeum_sdk.ApiClient]:
    configuration = nodeum_sdk.Configuration(
        host=f"{server}/api/v2", username=ADMINISTRATOR[0], password=ADMINISTRATOR[1]
    )
    with nodeum_sdk.ApiClient(configuration) as client:
        yield client


def result(ask: Any, **arguments: Any) -> Any:
    """What the job brings, once the server answers 200 instead of 202."""

    def finished() -> Any:
        found, status, _ = ask(**arguments)
        return found if status == 200 else None

    return wait_until(finished, "the end of the job")


def test_the_story_of_a_connector(sdk: nodeum_sdk.ApiClient, tmp_path: Path) -> None:
    connectors = nodeum_sdk.CloudConnectorsApi(sdk)
    buckets = nodeum_sdk.CloudBucketsApi(sdk)
    body = nodeum_sdk.CloudConnector(
        name="my cloud/1", provider="wasabi", access_key="AK", secret_key=SECRET, options="a=b"
    )
    job = connectors.test_cloud_connector(cloud_connector_body=body)
    tried = result(connectors.test_result_cloud_connector_with_http_info, job_id=job.job_id)
    assert [each.name for each in tried.cloud_buckets] == ["blue", "green"]

    made = connectors.create_cloud_connector(cloud_connector_body=body)
    assert (made.secret_key, made.provider) == (SECRET, "wasabi")
    shown = connectors.show_cloud_connector(cloud_connector_id="my cloud/1")
    shown.region = "eu"
    changed = connectors.update_cloud_connector(
        cloud_connector_id=str(made.id), cloud_connector_body=shown
    )
    assert (changed.region, changed.secret_key) == ("eu", SECRET)
    found = connectors.index_cloud_connectors(provider="wasabi", sort_by=["name:desc"], limit=3)
    assert (found.count, found.cloud_connectors) == (1, [changed])

    named = {"cloud_connector_id": "my cloud/1"}
    job = buckets.sync_cloud_buckets(**named)
    synced = result(buckets.sync_result_cloud_buckets_with_http_info, job_id=job.job_id, **named)
    blue, green = synced.cloud_buckets
    assert (blue.name, green.name) == ("blue", "green")

    blue.price = "3.25"
    one = {"cloud_bucket_id": str(blue.id)}
    blue = buckets.update_cloud_bucket(**one, cloud_bucket_body=blue)
    assert blue == buckets.show_cloud_bucket_by_cloud_connector(**one, **named)
    file = tmp_path / "config"
    file.write_text("account = x\n")
    assert buckets.update_config_file_cloud_bucket(**one, config_file=str(file))
    assert buckets.mount_status_cloud_bucket(**one).mounted is True

    ids = {"cloud_bucket_ids": [blue.id]}
    pool_body = {"name": "cold", "type": "active_archive", "content": "cloud", **ids}
    pool = nodeum_sdk.PoolsApi(sdk).create_pool(pool_body=pool_body)
    assert pool.content == "cloud"
    assert buckets.index_cloud_buckets_by_pool(pool_id="cold").cloud_buckets[0].id == blue.id
    assert buckets.index_cloud_buckets(price=">=3").count == 1
    with pytest.raises(nodeum_sdk.ApiException) as refused:
        connectors.destroy_cloud_connector(**named)
    assert refused.value.status == 422
    nodeum_sdk.PoolsApi(sdk).destroy_pool(pool_id="cold")
    connectors.destroy_cloud_connector(**named)
    assert buckets.index_cloud_buckets().count == 0


@pytest.mark.parametrize("api", ["CloudConnectorsApi", "CloudBucketsApi"])
def test_every_method_of_the_sdk_has_an_operation(server: str, sdk: Any, api: str) -> None:
    methods = {
        name
        for name, _ in inspect.getmembers(getattr(nodeum_sdk, api), inspect.isfunction)
        if not name.startswith("_") and not name.endswith("_with_http_info")
    }
    document = sdk.rest_client.GET(f"{server}/api/v2/openapi.json").data
    assert methods
    assert all(f'"{name}"' in str(document) for name in methods)
