"""Requests to a service over HTTP, whose refusals and broken connections come as StorageError."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import http
from longshore.storage.backends.object_store.client import Data
from longshore.storage.backends.object_store.profiles import seconds
from longshore.storage.backends.object_store.volley import Reply, Request, Result, fire

NO_PAIRS: Final[Mapping[str, str]] = {}
_SECOND: Final = 1_000_000_000

NO_DOCUMENT: Final = (msgspec.DecodeError, UnicodeDecodeError)
"""What reading JSON raises; the second where the bytes are no text."""

Refuse = Callable[[int, Mapping[str, str], bytes, str, str], StorageError]
"""The error for status, headers and body of an answer to a deed on a key."""


class Asked(NamedTuple):
    """A request of a volley; `tag` is whatever its answer is to be known by.

    `expected` are the bytes of the answer, as far as anybody knows.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: Data
    deed: str
    key: str
    tag: object
    expected: int = 0


class Exchange:
    """Sends requests to one place. May be used by several threads at once."""

    def __init__(self, place: http.Place, refuse: Refuse) -> None:
        self.place = place
        self.host = http.host_text(place)
        self._connections = http.Connections(place)
        self._extra = http.proxy_headers(place)
        self._refuse = refuse

    def close(self) -> None:
        self._connections.close()

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Data,
        deed: str,
        key: str,
    ) -> http.Answer:
        """An answer that says yes; use it in a `with` block."""
        named = {"host": self.host, **headers, **self._extra}
        try:
            answer = self._connections.request(method, target, named, body)
        except http.Unreachable as error:
            raise self._unreachable(error, deed, key) from error
        except http.TooSlow as error:
            raise _too_slow(deed, key) from error
        except http.Broken as error:
            raise broken(deed, key, str(error)) from error
        if answer.status < 300:
            return answer
        with answer:
            body = answer.read_error()
        # Behind the block: the connection is kept.
        raise self._refusal(answer.status, answer.headers, body, deed, key)

    def read(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Data,
        deed: str,
        key: str,
    ) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of an answer that says yes, both whole."""
        try:
            with self.send(method, target, headers, body, deed, key) as answer:
                return answer.headers, answer.read()
        except http.TooSlow as error:
            raise _too_slow(deed, key) from error
        except http.Broken as error:
            raise broken(deed, key, str(error)) from error

    def volley(
        self, asked: Iterable[Asked], width: int
    ) -> Iterator[tuple[Asked, Reply | StorageError]]:
        """The answers to many small requests in whatever order they come, at most `width` at once.

        A refusal comes as its error. Requests are taken one by one, and each one that was sent gets
        its answer; the rest is not sent when no connection can be had any more.
        """
        fired = fire(self._connections, map(self._request_of, asked), width)
        try:
            for request, result in fired:
                each = request.tag
                assert isinstance(each, Asked)
                yield each, self._judged(result, each)
        except http.Unreachable as error:
            raise self._unreachable(error, "reach", "") from error

    def _request_of(self, asked: Asked) -> Request:
        named = {"host": self.host, **asked.headers, **self._extra}
        return Request(asked.method, asked.target, named, asked.body, asked, asked.expected)

    def _judged(self, result: Result, asked: Asked) -> Reply | StorageError:
        if isinstance(result, http.TooSlow):
            return _too_slow(asked.deed, asked.key)
        if isinstance(result, http.Broken):
            return broken(asked.deed, asked.key, str(result))
        if result.status < 300:
            return result
        body = result.body[: http.ERROR_BYTES_MAXIMUM]
        return self._refusal(result.status, result.headers, body, asked.deed, asked.key)

    def _refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, deed: str, key: str
    ) -> StorageError:
        error = self._refuse(status, headers, body, deed, key)
        error.after_seconds = retry_after_seconds(headers)
        return error

    def _unreachable(self, error: http.Unreachable, deed: str, key: str) -> StorageUnavailable:
        cause = f"{self.host}: {error}"
        return StorageUnavailable(
            ErrorKind.INPUT_OUTPUT, RetryClass.LATER, deed, key.encode(), cause
        )


def place_of(settings: Mapping[str, str], endpoint: str) -> http.Place:
    """The place of an endpoint, reached as the settings say. Raises ValueError."""
    return http.place_of(
        endpoint,
        proxy=settings.get("proxy", ""),
        ca_file=settings.get("ca_file", ""),
        connect_seconds=seconds(settings, "connect_seconds", http.CONNECT_SECONDS),
        read_seconds=seconds(settings, "read_seconds", http.READ_SECONDS),
    )


def broken(deed: str, key: str, cause: str) -> StorageError:
    """The error for a connection that ended in the middle."""
    cause = f"the connection ended: {cause}" if cause else "the connection ended"
    return StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.NOW, deed, key.encode(), cause)


def unreadable(deed: str, key: str, error: Exception) -> StorageError:
    """The error for an answer that is not what it should be."""
    cause = f"the answer cannot be read: {error}"
    return StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.NOW, deed, key.encode(), cause)


def as_unavailable(error: StorageError, bucket: str) -> StorageError:
    """What it means for the whole storage that even its bucket cannot be looked at."""
    if isinstance(error, StorageUnavailable) or error.retry is not RetryClass.NEVER:
        return error
    return StorageUnavailable(
        error.kind, RetryClass.LATER, "use bucket", bucket.encode(), str(error)
    )


def path_text(path: str) -> str:
    """The path as it stands in a request."""
    return quote(path, safe="/-_.~")


def query_text(query: Mapping[str, str]) -> str:
    """The query as it stands behind the path, with its question mark; "" if there is none."""
    if not query:
        return ""
    return "?" + "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items())


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def base64_bytes(text: str) -> bytes:
    """The bytes that the text stands for; none for nonsense."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def length_in(headers: Mapping[str, str], deed: str, key: str) -> int:
    """The length that an answer tells. One that tells none is not taken for that of nothing."""
    try:
        return int(headers["content-length"])
    except (KeyError, ValueError) as error:
        raise unreadable(deed, key, ValueError("it tells no length")) from error


def http_date(text: str) -> int:
    """Nanoseconds since 1970; 0 for nonsense."""
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0
    # `-0000` is no zone of its own, and not the one that this process is in.
    return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp()) * _SECOND


def iso_date(text: str) -> int:
    """Nanoseconds since 1970, to the second, as headers tell it; 0 for nonsense."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp()) * _SECOND


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """How long an answer asks to wait: `Retry-After`, a number or a date by the server's clock."""
    wanted = headers.get("retry-after", "")
    if wanted.isascii() and wanted.isdigit():
        return float(wanted)
    when, now = http_date(wanted), http_date(headers.get("date", ""))
    return max(when - now, 0) / _SECOND if when and now else 0.0


def _too_slow(deed: str, key: str) -> StorageError:
    return StorageError(ErrorKind.TIMEOUT, RetryClass.NOW, deed, key.encode(), "no answer in time")
