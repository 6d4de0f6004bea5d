"""Users, keys and schedules on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import insert, update

from longshore.database import schedules as schedule_rows
from longshore.database.connection import Database, reading, writing
from longshore.database.query import Page
from longshore.database.tables.tasks import task_schedules, tasks
from longshore.services import (
    api_keys,
    configurations,
    containers,
    credentials,
    files,
    pools,
    schedules,
    users,
)
from longshore.services.context import Context
from longshore.services.errors import Invalid, NotFound
from longshore.services.files import Scope
from longshore.services.principal import Principal
from longshore.services.secrets import open_secret_box
from tests.api.conftest import open_storage

NOW = 1_767_268_800
ADMIN = Principal(1000, "admin", administrator=True)


@pytest.fixture
def context(database: Database, tmp_path: Path) -> Context:
    data = tmp_path / "data"
    data.mkdir()
    return Context(
        database=database,
        clock=lambda: float(NOW),
        monotonic=time.monotonic,
        wake=lambda: None,
        open_storage=open_storage,
        validate_script=lambda _: None,
        data_dir=data,
        containers_folder=tmp_path / "containers",
        secrets=open_secret_box(data),
    )


def test_the_first_start_makes_the_administrator_once(context: Context) -> None:
    password = users.ensure_administrator(context, "")
    assert password is not None
    path = context.data_dir / "admin-password"
    assert path.read_text() == f"{password}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    principal = credentials.by_password(context, "admin", password, "here")
    assert principal == ADMIN
    assert users.ensure_administrator(context, "") is None
    assert path.read_text() == f"{password}\n"


def test_a_configured_password_is_kept_nowhere(context: Context) -> None:
    assert users.ensure_administrator(context, "configured") is None
    assert not (context.data_dir / "admin-password").exists()
    assert credentials.by_password(context, "admin", "configured", "here") == ADMIN


def test_ids_go_on_after_the_administrator(context: Context) -> None:
    users.ensure_administrator(context, "configured")
    user = users.add(context.database, "ulla", "long-enough", administrator=False, now=NOW)
    assert user.id == 1001


def test_users_are_added_promoted_and_removed(context: Context) -> None:
    database = context.database
    users.ensure_administrator(context, "configured")
    users.add(database, "ulla", "long-enough", administrator=False, now=NOW)
    users.set_administrator(database, "ulla", administrator=True)
    assert [(u.name, u.administrator) for u in users.everybody(database)] == [
        ("admin", True),
        ("ulla", True),
    ]
    users.delete(database, "admin")
    for refused in (
        lambda: users.delete(database, "ulla"),
        lambda: users.set_administrator(database, "ulla", administrator=False),
        lambda: users.add(database, "ulla", "long-enough", administrator=False, now=NOW),
        lambda: users.add(database, "a:b", "long-enough", administrator=False, now=NOW),
        lambda: users.add(database, "a\nb", "long-enough", administrator=False, now=NOW),
        lambda: users.add(database, "new", "short", administrator=False, now=NOW),
        lambda: users.set_password(database, "nobody", "long-enough"),
        lambda: users.delete(database, "nobody"),
    ):
        with pytest.raises(users.UserRefused):
            refused()


def test_keys_and_configurations_go_with_their_user(context: Context) -> None:
    users.ensure_administrator(context, "configured")
    user = users.add(context.database, "ulla", "long-enough", administrator=False, now=NOW)
    ulla = Principal(user.id, user.name, administrator=False)
    scope = {"controller": "tasks", "action": "*"}
    made = api_keys.create(context, ulla, {"name": "key", "api_key_scopes": [scope]})
    configurations.create(context, ulla, {"key": "theme", "value": "dark"})
    found = credentials.by_api_key(context, made.key, "here")
    assert found == Principal(user.id, "ulla", False, frozenset({("tasks", "*")}))
    users.delete(context.database, "ulla")
    assert credentials.by_api_key(context, made.key, "here") is None
    assert configurations.index(context, ulla, Page()).count == 0


def test_pools_containers_and_their_trees(context: Context) -> None:
    pool = pools.create(context, ADMIN, {"name": "source", "type": "primary", "content": "nas"})
    container = containers.create(context, ADMIN, {"name": "projects", "guest_right": "read"})
    found = files.index(context, ADMIN, Scope(), Page(filters=(("name", "~%E%"),)))
    assert [row.id for row, _ in found.rows] == [container.root_id, pool.root_id]
    page = Page(filters=(("change_date", "<2000-01-01"), ("type", "folder")), limit=10)
    assert files.children(context, ADMIN, Scope(), str(pool.root_id), page).count == 0
    with pytest.raises(Invalid):
        pools.create(context, ADMIN, {"name": "projects", "type": "primary", "content": "nas"})
    containers.destroy(context, ADMIN, "projects")
    with pytest.raises(NotFound):
        files.show(context, ADMIN, Scope(), str(container.root_id))


def test_one_of_many_who_want_the_same_name_gets_it(context: Context) -> None:
    body = {"name": "same", "type": "primary", "content": "nas"}
    together = Barrier(8)

    def create(_: int) -> str:
        together.wait(timeout=30)
        try:
            pools.create(context, ADMIN, body)
        except Invalid as error:
            return ",".join(f"{each.attribute} {each.kind}" for each in error.problems)
        return "made"

    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(create, range(8)))
    assert outcomes == ["made", *["name taken"] * 7]
    assert files.index(context, ADMIN, Scope(), Page()).count == 1


def test_one_new_user_of_tokens_is_added_once(context: Context) -> None:
    together = Barrier(8)

    def come(_: int) -> int:
        together.wait(timeout=30)
        return users.user_of_token(context.database, "tina", NOW).id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(come, range(8)))) == 1


def test_only_schedules_that_wait_for_something_are_pending(context: Context) -> None:
    users.ensure_administrator(context, "configured")
    due, later, suspended, automatic = (_new_task(context, name) for name in "abcd")
    schedules.create(context, ADMIN, due, {"rrule": "FREQ=DAILY"})
    schedules.create(context, ADMIN, later, {"rrule": "DTSTART:20300101T000000Z"})
    schedules.create(context, ADMIN, suspended, {"rrule": "FREQ=DAILY", "done": True})
    text = "FREQ=MINUTELY;INTERVAL=5\nX-AFTER-END:TRUE"
    schedules.create(context, ADMIN, automatic, {"rrule": text})
    with writing(context.database.state) as connection:
        columns = task_schedules.c
        waiting = update(task_schedules).where(columns.task_id == int(automatic))
        connection.execute(waiting.values(next=None))
    with reading(context.database.state) as connection:
        found = {each.task_id for each in schedule_rows.pending(connection, NOW)}
    assert found == {int(due), int(automatic)}
    page = Page(filters=(("done", "1"),))
    assert schedules.index(context, ADMIN, page, everybody=False).count == 1


def _new_task(context: Context, name: str) -> str:
    values = {
        "owner_id": 1000,
        "name": name,
        "priority": 5,
        "action": "noop",
        "activate": 1,
        "creation_date": NOW,
        "creation_username": "admin",
        "modification_date": NOW,
        "modification_username": "admin",
        "status": "not_activated",
        "progress": 0,
        "processed_size": 0,
        "to_process_size": 0,
        "delete": 0,
    }
    with writing(context.database.state) as connection:
        statement = insert(tasks).values(**values).returning(tasks.c.id)
        return str(connection.execute(statement).scalar_one())
