"""Signatures, compared with a published example and with Amazon's own code."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given
from hypothesis import strategies as st

from longshore.storage.backends.object_store.signing import (
    EMPTY_SHA256,
    Credentials,
    Signer,
    path_text,
    query_text,
)

ACCESS_KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
WHEN = datetime(2013, 5, 24, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
PARAMETERS = st.dictionaries(st.sampled_from(["prefix", "start-after", "uploads", "a b"]), TEXT)


def test_the_published_example() -> None:
    headers = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9"}
    signed = Signer(Credentials(ACCESS_KEY, SECRET_KEY), "us-east-1").sign(
        "GET", "/test.txt", {}, headers, EMPTY_SHA256, WHEN
    )
    assert signed["authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


@pytest.mark.parametrize("token", ["", "session"])
@given(
    key=TEXT,
    query=PARAMETERS,
    value=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"])),
)
def test_signatures_are_those_of_amazons_code(
    token: str, key: str, query: dict[str, str], value: str
) -> None:
    path = path_text(f"/bucket/{key}")
    headers = {"host": "s3.example.com:9000", "x-amz-meta-note": value.strip()}
    signed = Signer(Credentials(ACCESS_KEY, SECRET_KEY, token), "eu-west-1").sign(
        "PUT", path, query, headers, EMPTY_SHA256, WHEN
    )
    named = {name: each for name, each in signed.items() if name != "authorization"}
    url = f"http://s3.example.com:9000{path}?{query_text(query)}"
    theirs = AWSRequest("PUT", url, headers=named)
    theirs.context["timestamp"] = signed["x-amz-date"]
    auth = S3SigV4Auth(TheirCredentials(ACCESS_KEY, SECRET_KEY, token or None), "s3", "eu-west-1")
    signature = auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_secrets_are_not_shown() -> None:
    assert SECRET_KEY not in repr(Credentials(ACCESS_KEY, SECRET_KEY, "token"))
    assert "token" not in repr(Credentials(ACCESS_KEY, SECRET_KEY, "token"))
