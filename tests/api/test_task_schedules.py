from __future__ import annotations

from dataclasses import replace

import pytest

from longshore.api.app import create_app
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, USER, ClientOf

API = "/api/v2"
WEEKLY = "DTSTART;TZID=Europe/Paris:20190705T085000\nRRULE:FREQ=WEEKLY"
NOW = 1_767_268_800  # 2026-01-01T12:00:00Z, a Thursday


@pytest.fixture
def user(context: Context) -> TestClient:
    client = TestClient(create_app(replace(context, clock=lambda: NOW)))
    client.auth = USER
    return client


def new_task(client: TestClient, name: str = "nightly") -> str:
    task = client.post(f"{API}/tasks", json={"name": name}).json()
    return f"{API}/tasks/{task['id']}/task_schedule"


def test_a_schedule_lives_through_create_show_update_and_destroy(user: TestClient) -> None:
    path = new_task(user)
    assert user.get(path).status_code == 404
    made = user.post(path, json={"rrule": WEEKLY})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert shown == {
        "id": shown["id"],
        "task_id": shown["task_id"],
        "rrule": WEEKLY,
        "done": False,
        "next": "2026-01-02T07:50:00Z",
        "missed_count": 0,
        "missed_first": None,
        "missed_last": None,
        "skipped_count": 0,
    }
    assert user.get(path).json() == shown
    assert user.put(path, json=shown).json() == shown
    suspended = user.put(path, json={"done": True}).json()
    assert (suspended["done"], suspended["next"]) == (True, None)
    assert user.put(path, json={"done": False}).json() == shown
    changed = user.put(path, json={"rrule": "FREQ=DAILY"}).json()
    assert changed["next"] == "2026-01-01T12:00:00Z"
    assert user.delete(path).status_code == 204
    assert user.get(path).status_code == 404


def test_a_task_has_one_schedule(user: TestClient) -> None:
    path = new_task(user)
    user.post(path, json={"rrule": WEEKLY})
    again = user.post(path, json={"rrule": WEEKLY})
    assert again.status_code == 422
    assert again.json()["details"]["task_id"][0]["error"] == "taken"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "blank"),
        ({"rrule": None}, "blank"),
        ({"rrule": 5}, "invalid"),
        ({"rrule": "often"}, "invalid"),
        ({"rrule": "FREQ=DAILY\0"}, "invalid"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "invalid"),
        ({"rrule": "DTSTART:20200101T000000Z"}, "invalid"),
        ({"rrule": "x" * 20_000}, "too_long"),
    ],
)
def test_what_is_no_schedule_is_refused(
    user: TestClient, body: dict[str, object], kind: str
) -> None:
    answer = user.post(new_task(user), json=body)
    assert answer.status_code == 422
    assert [each["error"] for each in answer.json()["details"]["rrule"]] == [kind]


def test_a_change_that_is_refused_changes_nothing(user: TestClient) -> None:
    path = new_task(user)
    shown = user.post(path, json={"rrule": WEEKLY}).json()
    assert user.put(path, json={"rrule": "often", "done": True}).status_code == 422
    assert user.get(path).json() == shown


def test_schedules_are_listed_filtered_and_kept_apart_by_user(
    user: TestClient, context: Context, client_of: ClientOf
) -> None:
    first, second = new_task(user, "one"), new_task(user, "two")
    user.post(first, json={"rrule": WEEKLY})
    user.post(second, json={"rrule": "FREQ=DAILY", "done": True})
    listing = f"{API}/task_schedules"
    assert user.get(listing).json()["count"] == 2
    (done,) = user.get(listing, params={"done": "True"}).json()["task_schedules"]
    assert done["rrule"] == "FREQ=DAILY"
    (found,) = user.get(listing, params={"rrule": "~%weekly", "with_next": "False"}).json()[
        "task_schedules"
    ]
    assert "next" not in found
    admin = client_of(ADMINISTRATOR)
    assert admin.get(listing).json()["count"] == 0
    assert admin.get(listing, params={"all": "true"}).json()["count"] == 2
    assert admin.get(first).status_code == 200
    assert client_of(("omar", "secret-of-omar")).get(first).status_code == 404


def test_the_schedule_goes_with_its_task(user: TestClient) -> None:
    path = new_task(user)
    user.post(path, json={"rrule": WEEKLY})
    assert user.delete(path.removesuffix("/task_schedule")).status_code == 204
    assert user.get(f"{API}/task_schedules").json()["count"] == 0
