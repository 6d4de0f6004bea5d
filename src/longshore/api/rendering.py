"""Answers as bytes: dates, collections, long lists in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Row
from starlette.responses import Response, StreamingResponse

from longshore.services.listing import Listing

PIECE_ROWS = 500  # rows of a long list that are encoded and sent at once, about 250 KiB

DATES_REMEMBERED = 10_000  # pages show the same dates again and again; about 2 MB

_encoder = msgspec.json.Encoder(decimal_format="string")


def encode(value: object) -> bytes:
    """The value as JSON."""
    return _encoder.encode(value)


def json_response(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a JSON body."""
    return Response(encode(value), status, dict(headers or {}), "application/json")


def empty_response() -> Response:
    """204: done, nothing to say."""
    return Response(status_code=204)


def collection(count: int, plural: str, rows: Sequence[object]) -> Response:
    """A collection whose rows are at hand."""
    return json_response({"count": count, plural: rows})


def long_collection(count: int, plural: str, rows: Iterator[object]) -> Response:
    """A collection of any length: sent in pieces, so that memory does not grow with it."""
    first = list(islice(rows, PIECE_ROWS))
    if len(first) < PIECE_ROWS:
        return collection(count, plural, first)
    return StreamingResponse(_pieces(count, plural, first, rows), media_type="application/json")


def _pieces(
    count: int, plural: str, first: list[object], rest: Iterator[object]
) -> Iterator[bytes]:
    yield b'{"count":%d,%s:[' % (count, encode(plural)) + encode(first)[1:-1]
    while piece := list(islice(rest, PIECE_ROWS)):
        yield b"," + encode(piece)[1:-1]
    yield b"]}"


@lru_cache(maxsize=DATES_REMEMBERED)
def date(seconds: int | None) -> str | None:
    """Seconds since 1970 as `2019-08-05T14:24:15Z`."""
    if seconds is None:
        return None
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # a file's clock may have been anywhere
    return moment.isoformat()[:19] + "Z"


def date_of_nanoseconds(nanoseconds: int | None) -> str | None:
    """Nanoseconds since 1970 as `2019-08-05T14:24:15Z`."""
    return None if nanoseconds is None else date(nanoseconds // 1_000_000_000)


def permission(mode: int) -> int:
    """`st_mode` as the number whose decimal digits are the mode's octal ones: 100644."""
    return int(f"{mode:o}")


def row_renderer(
    columns: Sequence[str], shown: Sequence[str], **convert: Callable[[Any], object]
) -> Callable[[Row[Any]], dict[str, object]]:
    """Turns rows of these columns into objects with some of them, a few of them converted.

    Columns are taken by their position: looking the names up in every row takes longer than all
    the rest of a page.
    """
    pick = itemgetter(*[columns.index(name) for name in shown])
    conversions = tuple(convert.items())

    def render(row: Row[Any]) -> dict[str, object]:
        values: dict[str, object] = dict(zip(shown, pick(row), strict=True))
        for name, converted in conversions:
            values[name] = converted(values[name])
        return values

    return render


def listed(found: Listing, plural: str, render: Callable[[Any], object]) -> Response:
    """A listing's rows as the api shows them."""
    return long_collection(found.count, plural, (render(row) for row in found.rows))
