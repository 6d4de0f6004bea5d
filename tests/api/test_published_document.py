"""Requests made up from the served document: whatever they hold, the answers fit it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from longshore.api.app import all_routes, create_app
from longshore.database.connection import open_database
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, USER, add_users, context_over

EXAMPLES = {"administrator": 5, "user": 2, "key of one scope": 1, "nobody": 1}
LOGINS = {"administrator": ADMINISTRATOR, "user": USER}
SCOPE = {"controller": "tasks", "action": "index"}
SCOPES = {
    (operation.path, operation.method): (operation.controller, operation.action)
    for routes in all_routes()
    for operation, _ in routes.operations
}
# The contract's schemas say less than its texts: bounds, formats, fields that are needed. A request
# that fits the schema alone may be refused. After several wrong logins the answer is 429; that
# nobody gets anywhere without a login is checked below.
NOT_CHECKED = [positive_data_acceptance, ignored_auth]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, migrated_files: Path) -> Iterator[Any]:
    """The schema, bound to an application that keeps what the requests before have made."""
    folder = tmp_path_factory.mktemp("published")
    database = open_database(None, shutil.copytree(migrated_files, folder / "data"))
    add_users(database)
    app = create_app(context_over(database, folder))
    yield schemathesis.openapi.from_asgi("/api/v2/openapi.json", app)
    database.dispose()


@pytest.fixture(scope="module")
def key(published: Any) -> str:
    """An API key of a user that is good for nothing but listing tasks."""
    client = TestClient(published.app)
    client.auth = USER
    body = {"name": "lists", "api_key_scopes": [SCOPE]}
    made = client.post("/api/v2/users/me/api_keys", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["key"])


@pytest.mark.parametrize(("path", "method"), sorted(SCOPES))
def test_answers_fit_the_document(published: Any, key: str, path: str, method: str) -> None:
    operation = published[path][method]
    for name, login in LOGINS.items():
        check(operation, EXAMPLES[name], auth=login)
    covered = SCOPES[path, method] == (SCOPE["controller"], SCOPE["action"])
    bearer = {"Authorization": f"Bearer {key}"}
    check(operation, EXAMPLES["key of one scope"], only=200 if covered else 403, headers=bearer)
    check(operation, EXAMPLES["nobody"], only=401)


def check(operation: Any, examples: int, *, only: int | None = None, **credential: Any) -> None:
    """Some requests for the operation; `only` is the one status that they may be answered with."""

    @seed(1)
    @settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def answers_fit(case: Any) -> None:
        answer = case.call_and_validate(**credential, excluded_checks=NOT_CHECKED)
        assert only is None or answer.status_code == only

    answers_fit()
