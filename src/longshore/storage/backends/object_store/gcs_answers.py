"""What Google's JSON interface answers, as values of the client protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from longshore.domain.errors import StorageError
from longshore.storage.backends.object_store import refusals
from longshore.storage.backends.object_store.client import ObjectStat
from longshore.storage.backends.object_store.exchange import (
    NO_DOCUMENT,
    base64_bytes,
    iso_date,
    unreadable,
)
from longshore.storage.backends.object_store.refusals import Verdict

_REASONS: Final[Mapping[str, Verdict]] = {
    "authError": refusals.NO_LOGIN,
    "accountDisabled": refusals.NO_LOGIN,
    "accessNotConfigured": refusals.NO_LOGIN,
    "conditionNotMet": refusals.STALE,
    "dailyLimitExceeded": refusals.FULL,
    "quotaExceeded": refusals.FULL,
    "rateLimitExceeded": refusals.THROTTLED,
    "userRateLimitExceeded": refusals.THROTTLED,
    "backendError": refusals.TROUBLE,
    "objectUnderActiveHold": refusals.FORBIDDEN,
    "retentionPolicyNotMet": refusals.FORBIDDEN,
}

Value = TypeVar("Value")


class Resource(msgspec.Struct, rename="camel"):
    """An object as the service describes it."""

    name: str
    size: str | int | None = "0"
    generation: str | int = ""
    updated: str = ""
    time_created: str = ""
    md5_hash: str | None = ""  # not of an object that was composed
    metadata: dict[str, str | None] | None = None
    storage_class: str = ""

    def stat(self) -> ObjectStat:
        return ObjectStat(
            key=self.name,
            size=int(self.size or 0),
            modified_ns=iso_date(self.updated),
            etag=str(self.generation),  # what conditions name; the etag differs between answers
            md5=base64_bytes(self.md5_hash or ""),
            metadata={
                name.lower(): value
                for name, value in (self.metadata or {}).items()
                if value is not None
            },
            storage_class=self.storage_class,
        )


class Listed(msgspec.Struct, rename="camel"):
    """A page of a listing."""

    items: list[Resource] = []
    prefixes: list[str] = []
    next_page_token: str = ""


class Rewritten(msgspec.Struct, rename="camel"):
    """How far the copy of an object has come."""

    done: bool
    rewrite_token: str = ""
    resource: Resource | None = None


class Buckets(msgspec.Struct, rename="camel"):
    """A page of the buckets of a project."""

    items: list[Bucket] = []
    next_page_token: str = ""


class Bucket(msgspec.Struct):
    name: str
    location: str | None = None


class _Reason(msgspec.Struct):
    reason: str = ""


class _Error(msgspec.Struct):
    message: str | None = ""
    errors: list[_Reason] = []


class _Refusal(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


def decode(body: bytes, kind: type[Value], deed: str, key: str) -> Value:
    """The answer as a value of that kind."""
    try:
        return msgspec.json.decode(body, type=kind)
    except NO_DOCUMENT as error:
        raise unreadable(deed, key, error) from error


def refuse(
    status: int, headers: Mapping[str, str], body: bytes, deed: str, key: str
) -> StorageError:
    """The error that an answer means."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except NO_DOCUMENT:
        error = _Error()
    reason = error.errors[0].reason if error.errors else ""
    message = error.message or ""
    verdict = _REASONS.get(reason)
    if status == 400 and "calculated MD5" in message:  # the reason says only `invalid`
        verdict = refusals.DAMAGED
    cause = f"{reason or 'refused'} ({message})" if message else reason
    return refusals.refusal(status, verdict, cause, deed, key)
