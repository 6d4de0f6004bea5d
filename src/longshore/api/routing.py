"""Operations: what a route declares, and what every request goes through.

    Operation ── declared once ──> the route, its scope, its entry in the OpenAPI document
    Call ─────── made per request ─> path and query parameters, body, who asks

A request is authenticated, checked against the operation's scope and carried out in one worker
thread; whatever it raises becomes an answer in the contract's shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from longshore.api.authentication import authenticate
from longshore.api.errors import (
    TooLarge,
    UnsupportedMediaType,
    error_response,
    unexpected_response,
)
from longshore.api.parameters import Query
from longshore.api.uploads import MEDIA_TYPE, file_of
from longshore.database.query import Page
from longshore.services.context import Context
from longshore.services.errors import BadRequest, NotFound, Problems, ServiceError
from longshore.services.input import Input
from longshore.services.principal import Principal
from longshore.services.repetition import Answer, answer_once, read_key
from longshore.services.repetition import Request as Repeatable

BODY_BYTES_MAXIMUM = 1024 * 1024  # a callback's script is the longest field, 64 KiB

PREFIX = "/api/v2"

KEY_HEADER = "idempotency-key"
KEPT_HEADERS = ("content-type", "etag")  # of an answer that may be given again

InputType = TypeVar("InputType", bound=Input)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter besides limit, offset, sort_by and the filters."""

    name: str
    type: str = "string"
    required: bool = False
    default: object = None
    enum: tuple[str, ...] = ()
    description: str = ""


def of_all_users(what: str) -> Parameter:
    """Lets administrators list what belongs to anybody."""
    return Parameter(
        name="all",
        type="boolean",
        description=f"Administrators: the {what} of all users, not only their own.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `responses` maps a status to the name of a schema or None."""

    method: str
    path: str
    id: str
    tag: str
    controller: str
    action: str
    responses: Mapping[int, str | None]
    summary: str
    body: str | None = None
    paged: bool = False
    sortable: bool = False
    filters: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    administrators_only: bool = False
    limit_default: int | None = None
    holds_secret: bool = False  # the body that is sent or the answer
    upload: str | None = None  # the field of a form whose file is the body

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again under an Idempotency-Key; nothing of secrets is kept."""
        return self.method == "POST" and not self.holds_secret

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.upload is not None

    @property
    def path_names(self) -> list[str]:
        """The names of the path's parameters."""
        return re.findall(r"{(\w+)}", self.path)


@dataclass(frozen=True, slots=True)
class Call:
    """One request for one operation, parsed."""

    operation: Operation
    context: Context
    principal: Principal
    query: Query
    headers: Headers
    raw_path: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)
    raw_body: bytes = b""

    def path(self, name: str) -> str:
        """A path parameter, decoded: an id or a name."""
        raw = unquote_to_bytes(self.raw_path[name])
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise NotFound(name.removesuffix("_id")) from None

    def upload(self) -> bytes:
        """The file that was sent. Raises BadRequest, Invalid."""
        assert self.operation.upload is not None
        kind = self.headers.get("content-type", "")
        return file_of(kind, self.raw_body, self.operation.upload)

    def page(self) -> Page:
        """The listing that was asked for. Raises Invalid."""
        return self.query.page(self.operation.filters, limit_default=self.operation.limit_default)

    def wants_everybody(self) -> bool:
        """Whether `of_all_users` was asked for. Raises Invalid."""
        return self.query.boolean("all", default=False)

    def read(self, model: type[InputType]) -> tuple[InputType, Problems]:
        """The body as an input, and what of it could not be read."""
        problems = Problems()
        return model.read(self.body, problems), problems


Endpoint = Callable[[Call], Response]


class Routes:
    """The operations of one resource, collected by its module."""

    def __init__(self) -> None:
        self.operations: list[tuple[Operation, Endpoint]] = []

    def add(
        self,
        method: str,
        path: str,
        *,
        operation_id: str,
        tag: str,
        scope: str,
        responses: Mapping[int, str | None],
        summary: str,
        **more: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare the decorated function as an operation; `scope` is `controller/action`."""
        controller, _, action = scope.partition("/")
        operation = Operation(
            method=method,
            path=path,
            id=operation_id,
            tag=tag,
            controller=controller,
            action=action,
            responses=responses,
            summary=summary,
            **more,
        )

        def declare(endpoint: Endpoint) -> Endpoint:
            self.operations.append((operation, endpoint))
            return endpoint

        return declare


def handler(
    context: Context, operation: Operation, endpoint: Endpoint
) -> Callable[[Request], Awaitable[Response]]:
    """The ASGI side of an operation: reads the body, works in a thread, renders every error."""

    async def handle(request: Request) -> Response:
        try:
            raw = await _read_body(request, operation) if operation.has_body else b""
            return await run_in_threadpool(carry_out, request, raw)
        except ServiceError as error:
            return error_response(error)

    def carry_out(request: Request, raw: bytes) -> Response:
        try:
            call = _call(context, operation, request, raw)
            key = call.headers.get(KEY_HEADER)
            if key is None or not operation.is_repeatable:
                return endpoint(call)
            return _answer_once(call, endpoint, read_key(key), request, raw)
        except ServiceError as error:
            return error_response(error)
        except Exception as error:  # the top of this thread's work
            return unexpected_response(
                error,
                request_id=request.scope["state"]["request_id"],
                method=request.method,
                path=operation.path,
            )

    handle.__name__ = operation.id
    return handle


def _call(context: Context, operation: Operation, request: Request, raw: bytes) -> Call:
    address = request.client.host if request.client else ""
    principal = authenticate(context, request.headers.get("authorization"), address)
    principal.require_scope(operation.controller, operation.action)
    if operation.administrators_only:
        principal.require_administrator(operation.controller, operation.action)
    return Call(
        operation=operation,
        context=context,
        principal=principal,
        query=Query(request.scope["query_string"]),
        headers=request.headers,
        raw_path=request.path_params,
        body=_object(raw) if operation.body is not None else {},
        raw_body=raw,
    )


def _answer_once(
    call: Call, endpoint: Endpoint, key: str, request: Request, raw: bytes
) -> Response:
    """The endpoint's answer, or the one that the same request got before."""
    path = f"{request.method} {request.scope['path']}?{call.query.raw}"

    def carry_out(context: Context) -> Answer:
        response = endpoint(replace(call, context=context))
        kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        return Answer(response.status_code, kept, bytes(response.body))

    answer = answer_once(call.context, Repeatable(call.principal, path, key, raw), carry_out)
    repeated = {"Idempotency-Replayed": "true"} if answer.repeated else {}
    return Response(answer.body, answer.status, {**answer.headers, **repeated})


async def _read_body(request: Request, operation: Operation) -> bytes:
    """The body's bytes. Raises TooLarge, UnsupportedMediaType, BadRequest."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > BODY_BYTES_MAXIMUM:
        raise _too_large()
    raw = bytearray()
    try:
        async for piece in request.stream():
            raw += piece
            if len(raw) > BODY_BYTES_MAXIMUM:
                raise _too_large()
    except ClientDisconnect:
        raise BadRequest("the body ends too early") from None
    kind = request.headers.get("content-type", "application/json").partition(";")[0]
    wanted = MEDIA_TYPE if operation.upload is not None else "application/json"
    if (raw or operation.upload is not None) and kind.strip().lower() != wanted:
        raise UnsupportedMediaType(f"a body has to be sent as {wanted}")
    return bytes(raw)


def _too_large() -> TooLarge:
    return TooLarge(f"a body may have at most {BODY_BYTES_MAXIMUM} bytes")


def _object(raw: bytes) -> Mapping[str, Any]:
    """The JSON object of a body. Raises BadRequest."""
    if not raw.strip():
        raise BadRequest("a JSON object is needed as the body")
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {_cause(error)}") from None
    if not isinstance(value, dict):
        raise BadRequest("the body has to be a JSON object")
    return value


def _cause(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    return "it is nested too deep" if isinstance(error, RecursionError) else "it cannot be read"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
