"""Signatures of requests as Azure Storage wants them (Shared Key), and shared access signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qsl

VERSION: Final = "2021-12-02"  # of the interface; answers keep its form whatever comes later

_PLAIN_HEADERS: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


class AzureSigner:
    """Signs for one account: with its key, or by adding the shared access signature it was given.

    Raises ValueError for a key that is neither.
    """

    def __init__(self, account: str, secret: str) -> None:
        self._account = account
        self.access: Mapping[str, str] = {}
        """What a shared access signature adds to every query."""
        self._key = b""
        if "sig=" in secret:
            self.access = dict(parse_qsl(secret.lstrip("?")))
        else:
            try:
                self._key = base64.b64decode(secret, validate=True)
            except ValueError as error:
                raise ValueError("the secret key has to be base 64") from error

    def __repr__(self) -> str:
        return f"AzureSigner({self._account!r})"  # never the key: errors are logged

    def sign(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        now: datetime,
    ) -> dict[str, str]:
        """The headers with those that sign them; `path` as it is sent. `now` is in UTC."""
        signed = {**headers, "x-ms-version": VERSION, "x-ms-date": format_datetime(now, True)}
        if self.access:
            return signed
        extra = [(k, signed[k]) for k in sorted(signed, key=_place) if k.startswith("x-ms-")]
        text = "\n".join(
            (
                method,
                *(signed.get(name, "") for name in _PLAIN_HEADERS),
                *(f"{name}:{value}" for name, value in extra),
                f"/{self._account}{path}",
                *(f"{name}:{query[name]}" for name in sorted(query)),
            )
        )
        signature = base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256))
        signed["authorization"] = f"SharedKey {self._account}:{signature.decode()}"
        return signed


def _place(name: str) -> str:
    """What puts names of headers into Azure's order: without hyphens, underscores first."""
    return name.replace("-", "").replace("_", "!")
