"""The OpenAPI document and the page that shows it; everything is served from here."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI, Request
from starlette.responses import Response

from longshore.api.routing import PREFIX

_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


def add_documentation(app: FastAPI, described: bytes) -> None:
    """Serve the document at /api/v2/openapi.json and the page at /api/docs."""
    _serve(app, f"{PREFIX}/openapi.json", described, "application/json")
    _serve(app, "/api/docs", _asset("docs.html"), "text/html; charset=utf-8")
    _serve(app, "/api/docs/docs.js", _asset("docs.js"), "text/javascript; charset=utf-8")


def _serve(app: FastAPI, path: str, content: bytes, media_type: str) -> None:
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}

    async def answer(_: Request) -> Response:
        return Response(content, headers=headers, media_type=media_type)

    app.router.add_route(path, answer, ["GET"])


def _asset(name: str) -> bytes:
    return (files("longshore.api") / "assets" / name).read_bytes()
