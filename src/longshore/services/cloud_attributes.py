"""What a connector's attributes may hold: where its store is, who asks, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from longshore.domain.cloud import CREDENTIALS, CloudProvider
from longshore.domain.storage import parse_share_options
from longshore.services.errors import Kind, Problems

BELOW_A_PATH = frozenset({CloudProvider.AZURE, CloudProvider.OPENSTACK_SWIFT})
"""Providers whose addresses go on behind the host: with an account, or a way to log in."""

_MAY_HOLD_SECRETS = frozenset({"secret_key", "options", "url", "url_proxy"})
_REGION = re.compile(r"[A-Za-z0-9._-]*")  # it becomes part of host names and of signatures
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def check(problems: Problems, values: Mapping[str, Any], changed: Collection[str]) -> None:
    """Add what is wrong with the attributes that were changed."""
    checks: dict[str, Callable[[], str | None]] = {
        "url": lambda: _wrong_url(values["url"], values["provider"]),
        "url_proxy": lambda: _wrong_proxy(values["url_proxy"]),
        "region": lambda: _wrong_region(values["region"], values["provider"]),
        "access_key": lambda: _wrong_access_key(values["access_key"], values["provider"]),
        "secret_key": lambda: _wrong_secret(values["secret_key"], values["provider"]),
        "options": lambda: wrong_options(values["options"]),
    }
    for attribute, wrong in checks.items():
        if attribute not in changed or attribute in problems or not values.get(attribute):
            continue
        note = wrong()
        if note is not None:
            # What does not belong into an answer is not repeated in one either.
            shown = None if attribute in _MAY_HOLD_SECRETS else values[attribute]
            problems.add(attribute, Kind.INVALID, value=shown, note=note)


def wrong_options(options: str | None) -> str | None:
    """Why these cannot be options of a connector or bucket, in words; None if they can."""
    secrets = sorted(parse_share_options(options).keys() & CREDENTIALS)
    if secrets:
        return f"{secrets[0]} does not belong here: everybody who is logged in sees the options"
    return None


def _wrong_url(url: str, provider: str | None) -> str | None:
    parts = _parts(url)
    if parts is None:
        return "it has to be http://host or https://host, with a port or path if need be"
    if provider is not None and provider not in BELOW_A_PATH and parts.path not in {"", "/"}:
        return "stores of this provider have no path in their address"
    return _revealing(parts)


def _wrong_proxy(url: str) -> str | None:
    parts = _parts(url)
    if parts is None or parts.scheme != "http" or parts.path not in {"", "/"}:
        return "it has to be http://host:port: what is encrypted goes through it in a tunnel"
    return "it has no query" if parts.query or parts.fragment else None


def _revealing(parts: SplitResult) -> str | None:
    """What in an address is a secret, as a rule: everybody who may see connectors sees it."""
    if parts.username is not None or parts.password is not None:
        return "it may not hold a user or password"
    if parts.query or parts.fragment:
        return "it may not hold a query: signatures are secret keys"
    return None


def _parts(url: str) -> SplitResult | None:
    """The address in parts; None if nothing can be reached by it."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or port == 0:
        return None
    host = parts.netloc.rpartition("@")[2]
    if port is not None or host.endswith(":"):
        host = host.rpartition(":")[0]
    return parts if _HOST.fullmatch(host) else None


def _wrong_region(region: str, provider: str | None) -> str | None:
    if provider == CloudProvider.OPENSTACK_SWIFT:
        return None if region.isprintable() else "it has to be printable"
    if _REGION.fullmatch(region):
        return None
    return "it has letters, digits, hyphens, underscores and dots only"


def _wrong_access_key(key: str, provider: str | None) -> str | None:
    if not key.isprintable():
        return "it has to be printable, without line breaks"
    if provider != CloudProvider.OPENSTACK_SWIFT and not key.isascii():
        return "it has to be ASCII"
    return None


def _wrong_secret(secret: str, provider: str | None) -> str | None:
    if provider == CloudProvider.GOOGLE_CLOUD_STORAGE or secret.isprintable():
        return None  # the first may be a whole key file
    return "it has to be printable, without line breaks"
