"""An HTTP proxy that forwards requests and keeps their first lines."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "proxy-authorization"}


class Forwarding(ThreadingHTTPServer):
    """`requests` holds method and target of every request so far."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[str] = []
        self.logins: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, method: str, *words: str) -> int:
        """Requests of the method whose target has all of the words."""
        return sum(
            line.startswith(method + " ") and all(word in line for word in words)
            for line in self.requests
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Forwarding

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return

    def _forward(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.logins.add(self.headers.get("proxy-authorization", ""))
        place = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(place.hostname or "", place.port or 80)
        try:
            target = place.path + (f"?{place.query}" if place.query else "")
            named = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            connection.request(self.command, target, body, named)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in {*_HOP_BY_HOP, "content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("content-length") if self.command == "HEAD" else None
            self.send_header("content-length", length or str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        finally:
            connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward


@contextmanager
def forwarding() -> Iterator[Forwarding]:
    """The proxy, for as long as the block lasts."""
    with Forwarding() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
