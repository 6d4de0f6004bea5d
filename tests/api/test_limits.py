"""Limits of tasks and storages over the api."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from longshore.database.connection import Database, reading
from longshore.database.tables.control import storage_limits, task_limits
from longshore.domain.bandwidth import BANDWIDTH_MAXIMUM
from longshore.domain.storage import SLOTS_MAXIMUM
from tests.api.client import TestClient
from tests.api.conftest import OTHER_USER, ClientOf

PREFIX = "/api/v2"


def add_task(client: TestClient) -> str:
    return f"{PREFIX}/tasks/{client.post(f'{PREFIX}/tasks', json={'name': 't'}).json()['id']}"


def add_storage(admin: TestClient, plural: str) -> str:
    if plural == "containers":
        made = admin.post(f"{PREFIX}/containers", json={"name": "c"})
    else:
        nas = admin.post(f"{PREFIX}/nas", json={"name": "n", "host": "h", "type": "nfs_v4"}).json()
        share = {"name": "s", "path": "/"}
        made = admin.post(f"{PREFIX}/nas/{nas['id']}/nas_shares", json=share)
    return f"{PREFIX}/{plural}/{made.json()['id']}"


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {name: found[0]["error"] for name, found in answer.json()["details"].items()}


def test_a_task_has_no_limit_until_one_is_set_and_none_once_it_is_cleared(
    user: TestClient,
) -> None:
    path = add_task(user) + "/limits"
    assert user.get(path).json() == {"bandwidth": None}
    assert user.put(path, json={"bandwidth": 1_000}).json() == {"bandwidth": 1_000}
    assert user.put(path, json={}).json() == {"bandwidth": 1_000}
    assert user.get(path).json() == {"bandwidth": 1_000}
    assert user.put(path, json={"bandwidth": None}).json() == {"bandwidth": None}


def test_a_limit_goes_with_its_task(user: TestClient, database: Database) -> None:
    path = add_task(user)
    user.put(f"{path}/limits", json={"bandwidth": 1})
    assert user.delete(path).status_code == 204
    with reading(database.state) as connection:
        assert connection.execute(select(func.count()).select_from(task_limits)).scalar() == 0


@pytest.mark.parametrize(
    ("bandwidth", "kind"),
    [
        (0, "greater_than_or_equal_to"),
        (-1, "greater_than_or_equal_to"),
        (BANDWIDTH_MAXIMUM + 1, "less_than_or_equal_to"),
        ("fast", "invalid"),
        (1.5, "invalid"),
        (2**70, "invalid"),
    ],
)
def test_what_is_no_bandwidth_is_refused(user: TestClient, bandwidth: object, kind: str) -> None:
    path = add_task(user) + "/limits"
    assert errors(user.put(path, json={"bandwidth": bandwidth})) == {"bandwidth": kind}
    assert user.get(path).json() == {"bandwidth": None}


def test_limits_of_other_peoples_tasks_are_not_there(user: TestClient, client_of: ClientOf) -> None:
    path = add_task(user) + "/limits"
    other = client_of(OTHER_USER)
    assert other.get(path).status_code == 404
    assert other.put(path, json={"bandwidth": 1}).status_code == 404


@pytest.mark.parametrize("plural", ["nas_shares", "containers"])
def test_a_storage_has_a_bandwidth_and_slots(
    admin: TestClient, database: Database, plural: str
) -> None:
    path = add_storage(admin, plural)
    assert admin.get(f"{path}/limits").json() == {"bandwidth": None, "slots": None}
    changed = admin.put(f"{path}/limits", json={"bandwidth": 5_000, "slots": 2}).json()
    assert changed == {"bandwidth": 5_000, "slots": 2}
    changed = admin.put(f"{path}/limits", json={"slots": 0}).json()
    assert changed == {"bandwidth": 5_000, "slots": 0}
    assert admin.get(f"{path}/limits").json() == changed
    assert admin.delete(path).status_code == 204
    with reading(database.state) as connection:
        assert connection.execute(select(func.count()).select_from(storage_limits)).scalar() == 0


@pytest.mark.parametrize("plural", ["nas_shares", "containers"])
def test_limits_of_storages_are_for_administrators(
    admin: TestClient, user: TestClient, plural: str
) -> None:
    path = add_storage(admin, plural) + "/limits"
    assert user.get(path).status_code == 403
    assert user.put(path, json={"slots": 1}).status_code == 403


def test_all_wrong_limits_of_a_storage_come_at_once(admin: TestClient) -> None:
    path = add_storage(admin, "containers") + "/limits"
    refused = admin.put(path, json={"bandwidth": 0, "slots": SLOTS_MAXIMUM + 1})
    assert errors(refused) == {
        "bandwidth": "greater_than_or_equal_to",
        "slots": "less_than_or_equal_to",
    }


def test_limits_of_a_storage_that_there_is_not_are_not_found(admin: TestClient) -> None:
    assert admin.get(f"{PREFIX}/nas_shares/4711/limits").status_code == 404
    assert admin.put(f"{PREFIX}/containers/none/limits", json={}).status_code == 404
