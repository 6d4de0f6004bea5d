"""Tokens of Google Cloud: got with the key of a service account, renewed before they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.exchange import NO_DOCUMENT, Exchange, place_of
from longshore.storage.backends.object_store.profiles import InvalidSetting
from longshore.storage.backends.object_store.refusals import NO_LOGIN, refusal

SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"
TOKEN_SECONDS: Final = 3600  # the longest that Google gives
RENEWED_SECONDS_BEFORE: Final = 300  # a request under way must not lose its token

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class ServiceAccount(msgspec.Struct, frozen=True):
    """The parts of a service account's key file that are needed."""

    client_email: str
    private_key: str
    token_uri: str
    project_id: str = ""

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r})"  # never the key: errors are logged


class Login:
    """Gives the header that allows requests; none without an account."""

    def __init__(
        self,
        account: ServiceAccount | None,
        settings: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = account
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._ends = 0.0  # in seconds since 1970

    def headers(self) -> dict[str, str]:
        """What goes with a request now."""
        if self.account is None:
            return {}
        with self._lock:
            if self._clock() > self._ends - RENEWED_SECONDS_BEFORE:
                self._renew(self.account)
            return {"authorization": f"Bearer {self._token}"}

    def _renew(self, account: ServiceAccount) -> None:
        now = int(self._clock())
        body = urlencode({"grant_type": _GRANT, "assertion": _assertion(account, now)}).encode()
        exchange = Exchange(place_of(self._settings, account.token_uri), _refuse)
        path = urlsplit(account.token_uri).path or "/"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        try:
            _, answer = exchange.read("POST", path, headers, body, "log in", account.client_email)
            found = msgspec.json.decode(answer, type=_Token)
        except NO_DOCUMENT as error:
            raise _no_login(account, str(error)) from error
        finally:
            exchange.close()
        self._token, self._ends = found.access_token, now + found.expires_in


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int = TOKEN_SECONDS


def account_of(settings: Mapping[str, str]) -> ServiceAccount | None:
    """The account in the setting `config_file`, or `secret_key`. Raises InvalidSetting."""
    text = settings.get("config_file", "") or settings.get("secret_key", "")
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=ServiceAccount)
    except msgspec.DecodeError as error:
        raise InvalidSetting(f"the key file of a service account is needed: {error}") from None


def _assertion(account: ServiceAccount, now: int) -> str:
    import jwt  # late: it is needed once an hour, and its parts are big

    claims: dict[str, Any] = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + TOKEN_SECONDS,
    }
    try:
        return jwt.encode(claims, account.private_key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise _no_login(account, "the private key cannot be read") from error


def _no_login(account: ServiceAccount, cause: str) -> StorageUnavailable:
    return StorageUnavailable(
        ErrorKind.PERMISSION, RetryClass.LATER, "log in", account.client_email.encode(), cause
    )


def _refuse(
    status: int, headers: Mapping[str, str], body: bytes, deed: str, key: str
) -> StorageError:
    return refusal(status, NO_LOGIN if status in {400, 401, 403} else None, "", deed, key)
