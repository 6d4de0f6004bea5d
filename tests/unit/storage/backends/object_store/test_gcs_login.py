"""Tokens of Google Cloud: what is asked for, and when it is asked again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from longshore.domain.errors import ErrorKind, StorageUnavailable
from longshore.storage.backends.object_store.gcs_login import Login, account_of
from longshore.storage.backends.object_store.profiles import InvalidSetting
from tests.object_servers.tokens import Tokens, giving_tokens


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    with giving_tokens() as found:
        yield found


def test_a_token_is_used_until_shortly_before_its_end(tokens: Tokens) -> None:
    now = [1_000_000.0]
    settings = tokens.settings()
    login = Login(account_of(settings), settings, clock=lambda: now[0])
    assert login.headers() == {"authorization": "Bearer t1"}
    now[0] += 3000
    assert login.headers() == {"authorization": "Bearer t1"}
    now[0] += 301
    assert login.headers() == {"authorization": "Bearer t2"}
    first = tokens.asked[0]
    assert (first["iss"], first["iat"], first["exp"]) == ("me@example.com", 1_000_000, 1_003_600)


def test_an_account_that_is_refused_ends_the_run(tokens: Tokens) -> None:
    tokens.status = 400
    settings = tokens.settings()
    with pytest.raises(StorageUnavailable) as caught:
        Login(account_of(settings), settings).headers()
    assert caught.value.kind is ErrorKind.PERMISSION


def test_a_key_that_cannot_be_read_ends_the_run_and_is_not_shown(tokens: Tokens) -> None:
    settings = tokens.settings(private_key="no-key")
    with pytest.raises(StorageUnavailable) as caught:
        Login(account_of(settings), settings).headers()
    assert "no-key" not in str(caught.value)
    assert "no-key" not in repr(account_of(settings))


def test_without_an_account_requests_are_sent_as_they_are() -> None:
    assert Login(account_of({}), {}).headers() == {}


def test_a_file_that_is_no_key_file_is_refused() -> None:
    with pytest.raises(InvalidSetting):
        account_of({"config_file": "[]"})
