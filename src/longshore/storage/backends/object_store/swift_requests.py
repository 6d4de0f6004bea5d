"""Requests to the account of a Swift connector, with a token that is renewed when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlsplit

from longshore.domain.errors import ErrorKind, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import Data
from longshore.storage.backends.object_store.exchange import (
    NO_PAIRS,
    Exchange,
    path_text,
    place_of,
    query_text,
)
from longshore.storage.backends.object_store.http import Answer
from longshore.storage.backends.object_store.refusals import NO_LOGIN
from longshore.storage.backends.object_store.swift_answers import refuse
from longshore.storage.backends.object_store.swift_login import Account, SwiftLogin

LOGINS_MAXIMUM: Final = 2  # for one request: with the token at hand, and with a new one

Result = TypeVar("Result")


class SwiftRequests:
    """Sends requests to the account. May be used by several threads at once."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._login = SwiftLogin(settings)
        self._exchanges: dict[str, Exchange] = {}

    def close(self) -> None:
        for exchange in self._exchanges.values():
            exchange.close()

    def copy_source(self, bucket: str, key: str) -> str:
        """What names an object as the source of a copy."""
        return path_text(f"/{bucket}/{key}")

    def read(
        self,
        method: str,
        bucket: str,
        key: str,
        deed: str,
        *,
        query: Mapping[str, str] = NO_PAIRS,
        headers: Mapping[str, str] = NO_PAIRS,
        body: Data = b"",
    ) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of the answer; "" as bucket is the account, as key the container."""
        return self._with_token(
            lambda account: self._exchange(account).read(
                method,
                _target(account, bucket, key, query),
                {"x-auth-token": account.token, **headers},
                body,
                deed,
                key,
            )
        )

    def send(
        self, method: str, bucket: str, key: str, deed: str, *, headers: Mapping[str, str]
    ) -> Answer:
        """The answer, whose body is to be read."""
        return self._with_token(
            lambda account: self._exchange(account).send(
                method,
                _target(account, bucket, key, NO_PAIRS),
                {"x-auth-token": account.token, **headers},
                b"",
                deed,
                key,
            )
        )

    def _with_token(self, request: Callable[[Account], Result]) -> Result:
        account = self._login.account()
        for _ in range(LOGINS_MAXIMUM - 1):
            try:
                return request(account)
            except StorageUnavailable as error:
                if error.kind is not ErrorKind.PERMISSION:
                    raise
                account = self._login.account(instead_of=account)
        return request(account)

    def _exchange(self, account: Account) -> Exchange:
        parts = urlsplit(account.url)
        base = f"{parts.scheme}://{parts.netloc}"
        if base not in self._exchanges:
            try:
                place = place_of(self._settings, base)
            except ValueError as error:
                raise _nowhere(account) from error
            self._exchanges.setdefault(base, Exchange(place, refuse))
        return self._exchanges[base]


def _target(account: Account, bucket: str, key: str, query: Mapping[str, str]) -> str:
    path = "/".join(
        (urlsplit(account.url).path, *filter(None, (path_text(bucket), path_text(key))))
    )
    return path + query_text(query)


def _nowhere(account: Account) -> StorageError:
    cause = f"the address of the account means nothing: {account.url!r}"
    return StorageUnavailable(NO_LOGIN.kind, NO_LOGIN.retry, "log in", b"", cause)
