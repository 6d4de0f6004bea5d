"""HTTP servers of a test's own, on loopback, for as long as it needs them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

STOP_SECONDS = 0.01  # between two looks at whether to stop: each test waits for that at its end

OneServer = TypeVar("OneServer", bound=ThreadingHTTPServer)


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections and no access log; what it answers is up to the test."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@contextmanager
def answering(server: OneServer) -> Iterator[OneServer]:
    """The server, answering for as long as the block lasts and closed behind it."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(STOP_SECONDS,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
