"""What a refusal means by the code in the answer, or else by its HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import Throttled


class Verdict(msgspec.Struct, frozen=True):
    """What one kind of refusal means."""

    kind: ErrorKind
    retry: RetryClass
    whole_storage: bool = False


GONE: Final = Verdict(ErrorKind.NOT_FOUND, RetryClass.NEVER)
NO_BUCKET: Final = Verdict(ErrorKind.NOT_FOUND, RetryClass.LATER, True)
NO_LOGIN: Final = Verdict(ErrorKind.PERMISSION, RetryClass.LATER, True)
FORBIDDEN: Final = Verdict(ErrorKind.PERMISSION, RetryClass.NEVER)
EXISTS: Final = Verdict(ErrorKind.EXISTS, RetryClass.NEVER)
STALE: Final = Verdict(ErrorKind.STALE, RetryClass.NOW)
FULL: Final = Verdict(ErrorKind.NO_SPACE, RetryClass.LATER, True)
DAMAGED: Final = Verdict(ErrorKind.CHECKSUM_MISMATCH, RetryClass.NOW)
BAD_NAME: Final = Verdict(ErrorKind.NAME_INVALID, RetryClass.NEVER)
UNSUPPORTED: Final = Verdict(ErrorKind.UNSUPPORTED, RetryClass.NEVER)
SLOW: Final = Verdict(ErrorKind.TIMEOUT, RetryClass.NOW)
TROUBLE: Final = Verdict(ErrorKind.INPUT_OUTPUT, RetryClass.NOW)
THROTTLED: Final = Verdict(ErrorKind.TIMEOUT, RetryClass.LATER)
"""Raised as `Throttled`."""

_UNKNOWN: Final = Verdict(ErrorKind.UNKNOWN, RetryClass.NEVER)

_STATUSES: Final[Mapping[int, Verdict]] = {
    401: NO_LOGIN,
    403: FORBIDDEN,
    404: GONE,
    405: UNSUPPORTED,
    407: NO_LOGIN,  # of the proxy
    408: SLOW,
    409: TROUBLE,  # another request on the same name; it may pass
    412: STALE,
    413: UNSUPPORTED,
    416: STALE,
    429: THROTTLED,
    501: UNSUPPORTED,
    503: THROTTLED,
    507: FULL,
}


def refusal(status: int, verdict: Verdict | None, cause: str, deed: str, key: str) -> StorageError:
    """The error for an answer; without a verdict the status decides."""
    if verdict is None:
        verdict = _STATUSES.get(status) or (TROUBLE if status >= 500 else _UNKNOWN)
    text, path = f"{status} {cause}".strip(), key.encode()
    if verdict is THROTTLED:
        return Throttled(deed, path, text)
    error = StorageUnavailable if verdict.whole_storage else StorageError
    return error(verdict.kind, verdict.retry, deed, path, text)


def mismatch(deed: str, key: str) -> StorageError:
    """The error for content that has changed on its way."""
    cause = "the checksum is not that of what was sent"
    return StorageError(DAMAGED.kind, DAMAGED.retry, deed, key.encode(), cause)


def replaced(deed: str, key: str) -> StorageError:
    """The error for an object that became another while it was used."""
    cause = "it was replaced meanwhile"
    return StorageError(STALE.kind, STALE.retry, deed, key.encode(), cause)
