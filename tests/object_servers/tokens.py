"""A server that gives tokens to a service account of Google Cloud."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


@dataclass
class Tokens:
    """A server of tokens, and what it was asked."""

    url: str = ""
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    def key_file(self, **more: str) -> str:
        """The key file of the account."""
        account = {"client_email": "me@example.com", "private_key": PEM, "token_uri": self.url}
        return json.dumps({**account, **more})

    def settings(self, **more: str) -> dict[str, str]:
        return {"config_file": self.key_file(**more)}


@contextmanager
def giving_tokens() -> Iterator[Tokens]:
    """The server, for as long as the block lasts."""
    found = Tokens()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            [assertion] = form["assertion"]
            found.asked.append(
                jwt.decode(
                    assertion,
                    KEY.public_key(),
                    algorithms=["RS256"],
                    audience=found.url,
                    options={"verify_exp": False, "verify_iat": False},
                )
            )
            body = json.dumps({"access_token": f"t{len(found.asked)}", "expires_in": 3600})
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/token"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
