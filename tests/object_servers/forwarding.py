"""An HTTP proxy that forwards requests and keeps their first lines."""

from __future__ import annotations

import http.client
import threading
from contextlib import AbstractContextManager
from http.server import ThreadingHTTPServer
from typing import Protocol
from urllib.parse import urlsplit

from tests.answering import QuietHandler, answering

HELD_SECONDS = 60.0  # until a request that nobody has let go of is given up
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "proxy-authorization"}


class Gate:
    """Lets some requests pass. The others are held until it is opened, and never answered."""

    def __init__(self, method: str, word: str, passes: int) -> None:
        self._method = method
        self._word = word
        self._left = passes
        self._lock = threading.Lock()
        self._opened = threading.Event()
        self.held = 0

    def open(self) -> None:
        self._opened.set()

    def lets_pass(self, method: str, target: str) -> bool:
        """Whether the request goes on; one that does not has waited until now."""
        if self._opened.is_set() or method != self._method or self._word not in target:
            return True
        with self._lock:
            self._left -= 1
            if self._left >= 0:
                return True
            self.held += 1
        self._opened.wait(HELD_SECONDS)
        return False


class Change(Protocol):
    """Changes what listings tell. Answers are those that say yes."""

    def asked(self, method: str, target: str) -> str:
        """What the server is asked for instead of the target."""

    def answered(self, method: str, target: str, content: bytes) -> bytes:
        """What the client gets instead of the content."""


class Forwarding(ThreadingHTTPServer):
    """`requests` holds method and target of every request so far, `answered` of those that the
    server has answered."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[str] = []
        self.answered: list[str] = []
        self.gate: Gate | None = None
        self.change: Change | None = None
        self.bytes_passed = 0  # of bodies, in both directions
        self.logins: set[str] = set()  # at the proxy
        self.tokens: set[str] = set()  # at the service

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, method: str, *words: str) -> int:
        """Requests of the method whose target has all of the words."""
        return _count(self.requests, method, words)

    def count_answered(self, method: str, *words: str) -> int:
        return _count(self.answered, method, words)


def _count(lines: list[str], method: str, words: tuple[str, ...]) -> int:
    return sum(
        line.startswith(method + " ") and all(word in line for word in words) for line in lines
    )


class _Handler(QuietHandler):
    server: Forwarding

    def _forward(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.logins.add(self.headers.get("proxy-authorization", ""))
        self.server.tokens.add(self.headers.get("authorization", ""))
        gate = self.server.gate
        if gate is not None and not gate.lets_pass(self.command, self.path):
            self.close_connection = True
            return
        change = self.server.change
        place = urlsplit(change.asked(self.command, self.path) if change else self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(place.hostname or "", place.port or 80)
        try:
            target = place.path + (f"?{place.query}" if place.query else "")
            named = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            connection.request(self.command, target, body, named)
            answer = connection.getresponse()
            content = answer.read()
            if change and answer.status < 300:
                content = change.answered(self.command, self.path, content)
            self.server.answered.append(f"{self.command} {self.path}")
            self.server.bytes_passed += len(body) + len(content)
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

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _forward


def forwarding() -> AbstractContextManager[Forwarding]:
    """The proxy, for as long as the block lasts."""
    return answering(Forwarding())
