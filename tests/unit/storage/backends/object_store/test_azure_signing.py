"""Signatures of requests to Azure, beside those that Azure's own package makes."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from longshore.storage.backends.object_store.azure_signing import AzureSigner

ACCOUNT = "account"
KEY = base64.b64encode(b"a key of thirty-two bytes, or so").decode()
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
METADATA = {"x-ms-meta-custom_b": "2", "x-ms-meta-custom64_a": "1", "x-ms-meta-customa": "3"}


class _Request:
    """As much of a request as Azure's package signs."""

    def __init__(self, method: str, url: str, headers: dict[str, str], query: Any) -> None:
        self.method, self.url, self.headers, self.query = method, url, headers, query
        self.http_request = self
        self.context: Any = type("Context", (), {"transport": None, "options": {}})()


@pytest.mark.parametrize(
    ("method", "path", "query", "headers"),
    [
        ("GET", "/bucket", {"restype": "container", "comp": "list", "prefix": "a b/ü"}, {}),
        ("HEAD", "/bucket/a%20b/%C3%BC", {}, {"if-match": '"0x1"'}),
        ("PUT", "/bucket/key", {}, {"content-length": "5", "content-md5": "x==", **METADATA}),
        ("GET", "/bucket/key", {}, {"if-none-match": "*", "x-ms-blob-type": "BlockBlob"}),
    ],
)
def test_signatures_are_those_of_azures_own_package(
    method: str, path: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    signed = AzureSigner(ACCOUNT, KEY).sign(method, path, query, headers, NOW)
    service = BlobServiceClient(f"https://{ACCOUNT}.blob.core.windows.net", credential=KEY)
    unsigned = {name: value for name, value in signed.items() if name != "authorization"}
    request = _Request(method, f"https://h{path}", unsigned, query)
    service.credential.on_request(request)
    assert request.headers["Authorization"] == signed["authorization"]


def test_a_shared_access_signature_goes_into_the_query() -> None:
    signer = AzureSigner(ACCOUNT, "?sv=2021-12-02&sig=a%2Bb%3D")
    assert signer.access == {"sv": "2021-12-02", "sig": "a+b="}
    assert "authorization" not in signer.sign("GET", "/bucket", {}, {}, NOW)


def test_keys_are_not_shown() -> None:
    assert KEY not in repr(AzureSigner(ACCOUNT, KEY))


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="base 64"):
        AzureSigner(ACCOUNT, "not base 64!")
