"""The application: every resource under one prefix, health, and the interactive documentation."""

from __future__ import annotations

import uuid
from importlib import import_module
from urllib.parse import quote, unquote_to_bytes

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longshore import __version__
from longshore.api.document import document
from longshore.api.documentation import add_documentation
from longshore.api.errors import http_error_response, unexpected_response
from longshore.api.rendering import encode, json_response
from longshore.api.routing import PREFIX, Routes, handler
from longshore.database import leases
from longshore.database.connection import reading
from longshore.services.context import Context

RESOURCES: tuple[str, ...] = (
    "tasks",
    "task_sources",
    "task_destinations",
    "task_options",
    "task_metadata",
    "callback_tests",
    "task_callbacks",
    "task_executions",
    "execution_files",
    "reports",
    "explanations",
    "limits",
    "nas",
    "nas_shares",
    "cloud_connectors",
    "cloud_buckets",
    "pools",
    "containers",
    "mounts",
    "users",
    "files",
    "task_schedules",
)
"""The modules of this package that have a `routes` of kind Routes."""


def create_app(context: Context) -> FastAPI:
    """The application over this context."""
    app = FastAPI(
        title="Longshore",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    operations = [pair for routes in all_routes() for pair in routes.operations]
    for operation, endpoint in operations:
        app.router.add_route(
            PREFIX + operation.path, handler(context, operation, endpoint), [operation.method]
        )
    described = encode(document(operation for operation, _ in operations))
    add_documentation(app, described)
    _add_health(app, context)
    _add_error_handlers(app)
    if context.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(context.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match"],
            expose_headers=["ETag", "Idempotency-Replayed", "X-Request-Id"],
        )
    app.add_middleware(RawPath)
    app.add_middleware(RequestId)
    return app


def all_routes() -> list[Routes]:
    """The routes of every resource."""
    return [import_module(f"longshore.api.{name}").routes for name in RESOURCES]


def _add_health(app: FastAPI, context: Context) -> None:
    async def healthz(_: Request) -> Response:
        controller = await run_in_threadpool(_controller_is_alive, context)
        parts = {"api": "ok", "controller": "ok" if controller else "missing"}
        status = "ok" if controller else "unavailable"
        body = {"status": status, "version": __version__, **parts}
        return json_response(body, status=200 if controller else 503)

    app.router.add_route("/healthz", healthz, ["GET"])


def _controller_is_alive(context: Context) -> bool:
    """Whether a controller holds the lease and it has not run out."""
    with reading(context.database.journal) as connection:
        lease = leases.read(connection)
    return lease is not None and lease.expires_at > context.clock()


def _add_error_handlers(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return http_error_response(error)

    async def unexpected(request: Request, error: Exception) -> Response:
        return unexpected_response(
            error,
            request_id=request.scope["state"]["request_id"],
            method=request.method,
            path=request.url.path,
        )

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, unexpected)


class RawPath:
    """Routes on the path as it was sent, so that a name may hold an encoded slash.

    Every segment is put into one form first, so `%74asks` is `tasks`. Parameters stay encoded
    until `Call.path` decodes them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
            scope = {**scope, "path": _normal(raw)}
        await self._app(scope, receive, send)


def _normal(raw: bytes) -> str:
    return "/".join(quote(unquote_to_bytes(part), safe="") for part in raw.split(b"/"))


class RequestId:
    """Gives every request an id, which its answer carries and the log repeats."""

    HEADER = "X-Request-Id"

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[self.HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)
