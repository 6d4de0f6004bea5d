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
from tests.api.conftest import ADMINISTRATOR, USER, add_users, context_over

EXAMPLES = {"administrator": 5, "user": 2, "nobody": 1}
LOGINS = {"administrator": ADMINISTRATOR, "user": USER, "nobody": None}
OPERATIONS = sorted(
    (operation.path, operation.method)
    for routes in all_routes()
    for operation, _ in routes.operations
)
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


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_fit_the_document(published: Any, path: str, method: str) -> None:
    for name in LOGINS:
        check(published[path][method], name)


def check(operation: Any, name: str) -> None:
    """Some requests for the operation, by one of the logins."""

    @seed(1)
    @settings(
        max_examples=EXAMPLES[name],
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def answers_fit(case: Any) -> None:
        answer = case.call_and_validate(auth=LOGINS[name], excluded_checks=NOT_CHECKED)
        if LOGINS[name] is None:
            assert answer.status_code == 401

    answers_fit()
