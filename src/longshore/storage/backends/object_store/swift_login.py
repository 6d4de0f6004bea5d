"""Logging in to OpenStack Swift: by its own scheme (`/auth/v1.0`) or with Keystone (`/v3`)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.exchange import NO_DOCUMENT, Exchange, place_of
from longshore.storage.backends.object_store.profiles import InvalidSetting
from longshore.storage.backends.object_store.refusals import NO_LOGIN, refusal

DOMAIN: Final = "Default"  # what Keystone calls its first domain


class Account(msgspec.Struct, frozen=True):
    """Where the containers are, and the token that opens them."""

    url: str
    token: str


class SwiftLogin:
    """The account of a connector; logs in when it is needed. May be used by several threads."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        endpoint = settings.get("endpoint", "")
        if not endpoint:
            raise InvalidSetting("the address of the authentication is needed")
        self._settings = settings
        self._endpoint = endpoint.rstrip("/")
        self._place = place_of(settings, endpoint)
        self._lock = threading.Lock()
        self._account: Account | None = None

    def account(self, *, instead_of: Account | None = None) -> Account:
        """The account; logs in again if the present one is the one that is refused by now."""
        with self._lock:
            if self._account is None or self._account == instead_of:
                self._account = self._log_in()
            return self._account

    def _log_in(self) -> Account:
        exchange = Exchange(self._place, _refuse)
        try:
            if "/v3" in urlsplit(self._endpoint).path:
                account = self._with_keystone(exchange)
            else:
                account = self._with_version_1(exchange)
        finally:
            exchange.close()
        url = self._settings.get("storage_url") or account.url
        return Account(url.rstrip("/"), account.token)

    def _with_version_1(self, exchange: Exchange) -> Account:
        headers = {
            "x-auth-user": _utf8(self._settings.get("access_key", "")),
            "x-auth-key": _utf8(self._settings.get("secret_key", "")),
        }
        path = urlsplit(self._endpoint).path or "/auth/v1.0"
        answer, _ = exchange.read("GET", path, headers, b"", "log in", "")
        return Account(answer.get("x-storage-url", ""), answer.get("x-auth-token", ""))

    def _with_keystone(self, exchange: Exchange) -> Account:
        path = urlsplit(self._endpoint).path.rstrip("/")
        if not path.endswith("/auth/tokens"):
            path += "/auth/tokens"
        headers = {"content-type": "application/json"}
        body = msgspec.json.encode(self._request())
        answer, document = exchange.read("POST", path, headers, body, "log in", "")
        try:
            token = msgspec.json.decode(document, type=_Tokens).token
        except NO_DOCUMENT as error:
            raise _no_login(f"the answer cannot be read: {error}") from error
        url = _object_store(token.catalog, self._settings.get("region", ""))
        return Account(url, answer.get("x-subject-token", ""))

    def _request(self) -> dict[str, Any]:
        """What Keystone wants to know: who, and for which project."""
        settings = self._settings
        if settings.get("application_credential"):
            identity: dict[str, Any] = {
                "methods": ["application_credential"],
                "application_credential": {
                    "id": settings["application_credential"],
                    "secret": settings.get("secret_key", ""),
                },
            }
            return {"auth": {"identity": identity}}
        user = {
            "name": settings.get("access_key", ""),
            "domain": {"name": settings.get("user_domain", DOMAIN)},
            "password": settings.get("secret_key", ""),
        }
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if settings.get("project"):
            domain = {"name": settings.get("project_domain", DOMAIN)}
            auth["scope"] = {"project": {"name": settings["project"], "domain": domain}}
        return {"auth": auth}


class _Endpoint(msgspec.Struct):
    interface: str = ""
    url: str = ""
    region: str | None = ""


class _Service(msgspec.Struct):
    type: str = ""
    endpoints: list[_Endpoint] = []


class _Token(msgspec.Struct):
    catalog: list[_Service] = []


class _Tokens(msgspec.Struct):
    token: _Token


def _object_store(catalog: list[_Service], region: str) -> str:
    for service in catalog:
        if service.type != "object-store":
            continue
        for endpoint in service.endpoints:
            if endpoint.interface == "public" and region in {"", endpoint.region}:
                return endpoint.url
    where = f" in region {region}" if region else ""
    raise _no_login(f"the catalogue of services has no object store{where}")


def _utf8(text: str) -> str:
    """What becomes the text's UTF-8 where headers are written as Latin-1."""
    return text.encode().decode("latin-1")


def _no_login(cause: str) -> StorageUnavailable:
    return StorageUnavailable(ErrorKind.PERMISSION, RetryClass.LATER, "log in", b"", cause)


def _refuse(
    status: int, headers: Mapping[str, str], body: bytes, deed: str, key: str
) -> StorageError:
    return refusal(status, NO_LOGIN if status in {400, 401, 403, 404} else None, "", deed, key)
