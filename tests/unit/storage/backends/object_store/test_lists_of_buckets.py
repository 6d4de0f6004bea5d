"""Lists of buckets: in pages, from stores that know no pages, and from those that are busy."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from longshore import bootstrap
from longshore.storage.backends.object_store.exchange import retry_after_seconds
from tests.answering import QuietHandler, answering

PAGES = [["a", "b"], ["c"], ["d", "\u00fc"]]


class Store(ThreadingHTTPServer):
    """Gives the pages in turn. `knows_tokens` False: it gives the first one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.knows_tokens = True
        self.busy = 0  # how often it asks to come again
        self.asked = 0

    @property
    def settings(self) -> dict[str, str]:
        return {"endpoint": f"http://127.0.0.1:{self.server_address[1]}", "access_key": "AK"}


class _Handler(QuietHandler):
    server: Store

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.asked <= self.server.busy:
            self._answer(503, "<Error><Code>SlowDown</Code></Error>")
            return
        token = parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])[0]
        number = int(token) if self.server.knows_tokens else 0
        buckets = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in PAGES[number])
        more = number + 1 < len(PAGES)
        follows = f"<ContinuationToken>{number + 1}</ContinuationToken>" if more else ""
        self._answer(200, f"<List><Buckets>{buckets}</Buckets>{follows}</List>")

    def _answer(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def store() -> Iterator[Store]:
    with answering(Store()) as store:
        yield store


def names(store: Store) -> list[str]:
    return [bucket.name for bucket in bootstrap.list_buckets("s3", store.settings)]


def test_all_pages_of_a_list_of_buckets_are_read(store: Store) -> None:
    assert names(store) == [name for page in PAGES for name in page]
    assert store.asked == len(PAGES)


def test_a_store_that_gives_the_same_page_again_is_not_asked_for_ever(store: Store) -> None:
    store.knows_tokens = False
    assert names(store) == PAGES[0]
    assert store.asked == 2


def test_a_busy_store_is_asked_again_for_its_buckets(store: Store) -> None:
    store.busy = 2
    assert len(names(store)) == 5
    assert store.asked == 2 + len(PAGES)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "-7"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "\u00b2"}, 0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:39 GMT"}, 0),
        (
            {
                "retry-after": "Sun, 06 Nov 1994 08:49:39 GMT",
                "date": "Sun, 06 Nov 1994 08:49:37 GMT",
            },
            2,
        ),
        (
            {
                "retry-after": "Sun, 06 Nov 1994 08:49:37 GMT",
                "date": "Sun, 06 Nov 1994 08:49:39 GMT",
            },
            0,
        ),
    ],
)
def test_how_long_to_wait_is_read_from_the_answer(headers: dict[str, str], wanted: float) -> None:
    assert retry_after_seconds(headers) == wanted
