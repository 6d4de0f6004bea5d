from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import pytest
import structlog
from sqlalchemy import delete, insert

from longshore.api.app import create_app
from longshore.api.routing import BODY_BYTES_MAXIMUM
from longshore.database.connection import writing
from longshore.database.leases import CONTROLLER
from longshore.database.tables.engine import leases
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR

TASKS = "/api/v2/tasks"
JSON = {"Content-Type": "application/json"}


def kinds(answer: Any) -> dict[str, list[str]]:
    """The kinds of problems by attribute."""
    return {
        attribute: [problem["error"] for problem in problems]
        for attribute, problems in answer.json()["details"].items()
    }


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"[]", b'"text"', b"5", b"null", b'{"name": NaN}', b'{"name": "\xff"}',
     b'{"a":' * 5_000, b"[" * 100_000, b'{"id": ' + b"9" * 5_000 + b"}"],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_a_bad_request(user: TestClient, body: bytes) -> None:
    answer = user.post(TASKS, content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert kinds(answer) == {"base": ["bad_request"]}


def test_a_body_over_the_limit_is_refused_by_its_length_and_by_its_bytes(user: TestClient) -> None:
    body = b" " * (BODY_BYTES_MAXIMUM + 1)
    for content in (body, iter([body])):
        answer = user.post(TASKS, content=content, headers=JSON)
        assert answer.status_code == 413
        assert kinds(answer) == {"base": ["content_too_large"]}
        assert str(BODY_BYTES_MAXIMUM) in answer.json()["messages"][0]


def test_a_body_of_another_type_is_refused(user: TestClient) -> None:
    answer = user.post(TASKS, data={"name": "x"})
    assert answer.status_code == 415
    assert kinds(answer) == {"base": ["unsupported_media_type"]}


def test_a_type_with_a_charset_is_json(user: TestClient) -> None:
    kind = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert user.post(TASKS, content=b'{"name":"x"}', headers=kind).status_code == 201


def test_requests_without_body_may_declare_one(user: TestClient) -> None:
    user.post(TASKS, json={"name": "x"})
    assert user.get(TASKS, headers=JSON).status_code == 200
    assert user.put(f"{TASKS}/x/action/run", headers=JSON).status_code == 202
    assert user.delete(f"{TASKS}/x", headers=JSON).status_code == 204


@pytest.mark.parametrize("path", ["/", "/api/v2", "/api/v2/nothing", "/api/v2/tasks/", "/api//v2"])
def test_an_unknown_path_is_not_found_in_the_shape_of_every_error(
    user: TestClient, path: str
) -> None:
    answer = user.get(path)
    assert answer.status_code == 404
    assert kinds(answer) == {"base": ["not_found"]}


def test_a_method_that_a_path_does_not_have_is_refused(user: TestClient) -> None:
    answer = user.patch(TASKS)
    assert answer.status_code == 405
    assert kinds(answer) == {"base": ["method_not_allowed"]}
    assert set(answer.headers["allow"].replace(" ", "").split(",")) >= {"GET"}


@pytest.mark.parametrize(
    "header",
    [None, "", "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer", "Bearer a.b.c", "key",
     "Basic " + "A" * 20_000],
)  # fmt: skip
def test_without_a_valid_login_nothing_is_answered(user: TestClient, header: str | None) -> None:
    user.auth = None
    headers = {} if header is None else {"Authorization": header}
    answer = user.get(TASKS, headers=headers)
    assert answer.status_code == 401
    assert kinds(answer) == {"base": ["unauthorized"]}
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


def test_an_unexpected_error_shows_an_id_that_is_in_the_log_and_nothing_else(
    context: Context,
) -> None:
    def broken() -> None:
        raise RuntimeError("the secret cause")

    log = io.StringIO()
    old = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=log),
        cache_logger_on_first_use=False,
    )
    try:
        app = create_app(dataclasses.replace(context, wake=broken))
        client = TestClient(app, raise_server_exceptions=False)
        client.auth = ADMINISTRATOR
        client.post(TASKS, json={"name": "x"})
        answer = client.put(f"{TASKS}/x/action/run")
    finally:
        structlog.configure(**old)
    assert answer.status_code == 500
    assert kinds(answer) == {"base": ["internal_server_error"]}
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    request_id = answer.headers["x-request-id"]
    assert answer.json()["details"]["base"][0]["request_id"] == request_id
    line = json.loads(log.getvalue().splitlines()[0])
    assert line["request_id"] == request_id
    assert "the secret cause" in line["exception"]


def test_every_wrong_attribute_is_named_at_once(user: TestClient) -> None:
    body = {
        "name": "n" * 256, "comment": "c" * 65_536, "priority": 11, "workflow_type": "unknown",
        "conflict_resolution": 5, "activate": "perhaps", "local_server_path": "relative",
        "workflow_action": None, "source_type": ["container"], "status": "done", "unknown": 1,
    }  # fmt: skip
    answer = user.post(TASKS, json=body)
    assert answer.status_code == 422
    assert kinds(answer) == {
        "name": ["too_long"],
        "comment": ["too_long"],
        "priority": ["less_than_or_equal_to"],
        "workflow_type": ["invalid"],
        "conflict_resolution": ["invalid"],
        "activate": ["invalid"],
        "local_server_path": ["invalid"],
        "source_type": ["invalid"],
    }
    assert "Name is too long (maximum is 255 characters)" in answer.json()["messages"]
    assert "Priority must be less than or equal to 10" in answer.json()["messages"]
    assert answer.json()["details"]["priority"] == [
        {"error": "less_than_or_equal_to", "value": 11, "count": 10}
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "a\0b"), ("name", "\ud800"), ("comment", "\0"), ("name", 5), ("name", {}),
     ("priority", "5"), ("priority", 5.5), ("priority", True), ("priority", 2**70),
     ("activate", 2), ("delete", "no"), ("delete", []), ("workflow_action", "COPY")],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_invalid(user: TestClient, field: str, value: object) -> None:
    body = json.dumps({"name": "x"} | {field: value}).encode()
    answer = user.post(TASKS, content=body, headers=JSON)
    assert answer.status_code == 422
    assert kinds(answer) == {field: ["invalid"]}
    assert user.get(TASKS).json()["count"] == 0


@pytest.mark.parametrize(
    ("query", "attribute", "kind"),
    [("limit=-1", "limit", "greater_than_or_equal_to"), ("limit=ten", "limit", "invalid"),
     ("offset=-5", "offset", "greater_than_or_equal_to"), ("offset=1.5", "offset", "invalid"),
     ("all=perhaps", "all", "invalid"), ("limit=٣", "limit", "invalid")],
)  # fmt: skip
def test_a_wrong_page_is_refused(user: TestClient, query: str, attribute: str, kind: str) -> None:
    answer = user.get(f"{TASKS}?{query}")
    assert answer.status_code == 422
    assert kinds(answer) == {attribute: [kind]}


def test_the_documentation_needs_nothing_from_elsewhere(user: TestClient) -> None:
    user.auth = None
    page = user.get("/api/docs")
    script = user.get("/api/docs/docs.js")
    assert page.status_code == script.status_code == 200
    assert '<script src="/api/docs/docs.js">' in page.text
    for content in (page.text, script.text):
        assert "https://" not in content
        assert "http://" not in content
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_health_says_which_part_is_missing(user: TestClient) -> None:
    answer = user.get("/healthz")
    assert answer.status_code == 503
    assert (answer.json()["api"], answer.json()["controller"]) == ("ok", "missing")


def test_health_needs_the_lease_of_a_controller_that_is_alive(
    user: TestClient, context: Context
) -> None:
    def put(name: str, expires_at: float) -> None:
        row = {"name": name, "epoch": 1, "holder": "test", "expires_at": expires_at}
        with writing(context.database.journal) as connection:
            connection.execute(delete(leases))
            connection.execute(insert(leases), row)

    later = context.clock() + 3600
    for name, expires_at, status in (
        ("something else", later, 503),
        (CONTROLLER, 0, 503),
        (CONTROLLER, later, 200),
    ):
        put(name, expires_at)
        assert user.get("/healthz").status_code == status, name
