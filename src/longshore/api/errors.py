"""Every refusal in the one shape of the contract: `{"details": {…}, "messages": […]}`."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from longshore.api.authentication import REALM
from longshore.api.rendering import json_response
from longshore.observability import logger
from longshore.services.errors import (
    BASE,
    BadRequest,
    Busy,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    ServiceError,
    TooManyAttempts,
    Unauthorized,
    humanized,
)

_KINDS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    412: "precondition_failed",
    413: "content_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal_server_error",
}


class TooLarge(ServiceError):
    """The body is longer than the limit, which the text names."""


class UnsupportedMediaType(ServiceError):
    """The body is not declared as JSON."""


_STATUSES: dict[type[ServiceError], int] = {
    BadRequest: 400,
    PreconditionFailed: 412,
    TooLarge: 413,
    UnsupportedMediaType: 415,
}


def error_response(error: ServiceError) -> Response:
    """The answer for what a service, or the api itself, refused."""
    match error:
        case Invalid():
            return _invalid(error)
        case NotFound():
            return _refusal(404, error.resource, str(error))
        case Unauthorized():
            challenge = {"WWW-Authenticate": f'Basic realm="{REALM}", charset="UTF-8"'}
            return _refusal(401, BASE, str(error), headers=challenge)
        case Forbidden():
            scope = {"controller": error.controller, "action": error.action}
            return _refusal(403, BASE, str(error), more=scope)
        case TooManyAttempts() | Busy():
            wait = {"Retry-After": str(error.retry_after_seconds)}
            return _refusal(429, BASE, str(error), headers=wait)
        case _:
            return _refusal(_STATUSES.get(type(error), 400), BASE, str(error))


def _invalid(error: Invalid) -> Response:
    details: dict[str, list[dict[str, object]]] = {}
    for problem in error.problems:
        details.setdefault(problem.attribute, []).append(problem.details())
    messages = [problem.message for problem in error.problems]
    return json_response({"details": details, "messages": messages}, status=422)


def _refusal(
    status: int,
    attribute: str,
    message: str,
    *,
    more: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    sentence = humanized(message.encode("utf-8", "backslashreplace").decode()) if message else ""
    problem = {"error": _KINDS.get(status, "error"), **(more or {})}
    body = {"details": {attribute: [problem]}, "messages": [sentence]}
    return json_response(body, status=status, headers=headers)


def http_error_response(error: HTTPException) -> Response:
    """The answer for what the router refused: unknown paths, methods a path does not have."""
    text = {404: "Path not found", 405: "Method not allowed"}.get(
        error.status_code, str(error.detail)
    )
    headers = dict(error.headers or {})
    return _refusal(error.status_code, BASE, text, headers=headers)


def unexpected_response(error: Exception, *, request_id: str, method: str, path: str) -> Response:
    """500: the cause goes to the log under the id that the answer shows, and nowhere else."""
    logger("api").error(
        "request failed", request_id=request_id, method=method, path=path, exc_info=error
    )
    return _refusal(
        500, BASE, f"Internal error, see request {request_id} in the log",
        more={"request_id": request_id},
    )  # fmt: skip
