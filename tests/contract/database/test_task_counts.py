"""The counts that triggers keep against counting."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from longshore.database import task_counts as counting
from longshore.database import tasks as task_queries
from longshore.database.connection import Database, reading, writing
from longshore.database.query import Page, Sort
from longshore.database.tables.tasks import task_counts, tasks
from longshore.database.tables.users import users
from longshore.database.task_pages import TaskPage, number_of
from longshore.services.listing import Listing, found, listing

VALUES: dict[str, list[Any]] = {
    "owner_id": [1, 2],
    "status": ["done", "error", "in_queue"],
    "workflow_type": [None, "maintenance"],
    "workflow_action": [None, "copy"],
    "source_type": [None, "container"],
    "destination_type": [None],
    "conflict_resolution": [None, "rename"],
    "priority": [1, 5],
    "activate": [0, 1],
    "action": ["noop", "run"],
}


def task(chance: random.Random, number: int) -> dict[str, Any]:
    """A task with values that many others have, too."""
    return {
        "name": f"t{number % 7}", "creation_date": number, "creation_username": "u",
        "modification_date": 0, "modification_username": "u", "progress": 0, "processed_size": 0,
        "to_process_size": 0, "delete": 0,
    } | {name: chance.choice(values) for name, values in VALUES.items()}  # fmt: skip


def counts(connection: Connection) -> dict[tuple[Any, ...], int]:
    """What the triggers say."""
    names = [task_counts.c[name] for name in ("owner_id", *counting.DIMENSIONS)]
    number = func.sum(task_counts.c.number)
    query = select(*names, number).group_by(*names).having(number != 0)
    return {tuple(row[:-1]): int(row[-1]) for row in connection.execute(query)}


def counted(connection: Connection) -> dict[tuple[Any, ...], int]:
    """What is there."""
    names = [tasks.c[name] for name in ("owner_id", *counting.DIMENSIONS)]
    query = select(*names, func.count()).group_by(*names)
    return {tuple(row[:-1]): int(row[-1]) for row in connection.execute(query)}


@pytest.fixture
def filled(database: Database) -> Database:
    """A database in which two users' tasks were made, changed and removed."""
    chance = random.Random(7)
    people = [
        {"id": n, "name": f"u{n}", "password_hash": "", "administrator": False, "creation_date": 0}
        for n in (1, 2)
    ]
    with writing(database.state) as connection:
        connection.execute(insert(users), people)
        connection.execute(insert(tasks), [task(chance, number) for number in range(200)])
    for _ in range(50):
        name = chance.choice(sorted(VALUES))
        with writing(database.state) as connection:
            some = tasks.c.id.in_(chance.sample(range(1, 201), 5))
            connection.execute(
                update(tasks).where(some).values({name: chance.choice(VALUES[name])})
            )
            connection.execute(delete(tasks).where(tasks.c.id == chance.randint(1, 200)))
    return database


def test_counts_are_exact_after_every_kind_of_change(filled: Database) -> None:
    with reading(filled.state) as connection:
        assert counts(connection) == counted(connection)
        assert sum(counts(connection).values()) < 200


def change_and_fail(database: Database) -> None:
    with writing(database.state) as connection:
        connection.execute(update(tasks).values(status="paused"))
        raise RuntimeError("undo")


def test_counts_of_a_change_that_is_undone_are_undone(filled: Database) -> None:
    with reading(filled.state) as connection:
        before = counts(connection)
    with pytest.raises(RuntimeError, match="undo"):
        change_and_fail(filled)
    with reading(filled.state) as connection:
        assert counts(connection) == before


FILTERS: list[tuple[tuple[str, str], ...]] = [
    (),
    (("status", "done"),),
    (("status", "!=done"), ("priority", ">1")),
    (("workflow_type", ""), ("action", "~N%")),
    (("workflow_type", "!=maintenance"), ("conflict_resolution", "><rename|")),
    (("activate", "true"), ("source_type", "!~c%")),
    (("name", "t1"), ("status", "done")),
    (("creation_date", ">=1970-01-01"), ("status", "!=done")),
    (("status", "unknown"),),
    (("status", "error"),),
    (("name", "t3"), ("status", "in_queue")),
    (("name", "><t1|t2"), ("status", "!=done")),
    (("name", "><t3|t4|t5"), ("status", "!=error")),
    tuple(("priority", f"!={number}") for number in range(30)),
    (("source_pool_id", "!=1"), ("status", "done")),
]


def as_looked_at(database: Database, owner_id: int | None, page: Page) -> Listing:
    """The page by the plainest statement."""
    return listing(
        database.state,
        task_queries.of_owner(owner_id),
        page,
        filterables=task_queries.FILTERABLES,
        sortables=task_queries.SORTABLES,
        identity=tasks.c.id,
    )


def as_served(database: Database, owner_id: int | None, page: Page) -> Listing:
    """The page in the way that serves it best."""
    return found(
        database.state, page, TaskPage(owner_id, page, partial(number_of, owner_id=owner_id))
    )


def content(page: Listing) -> tuple[int, list[int]]:
    """The count and the ids of a page."""
    return page.count, [row.id for row in page.rows]


def test_pages_are_the_same_whichever_way_they_are_found(filled: Database) -> None:
    chance = random.Random(3)
    for filters in FILTERS:
        for limit in (1, 20, 200, None):
            name = chance.choice(["name", "status", "priority", "job_started", "creation_date"])
            sort = Sort(name, chance.random() < 0.5)
            offset = chance.choice([0, 3, 120])
            page = Page(filters=filters, sort=(sort,), limit=limit, offset=offset)
            for owner_id in (1, None):
                looked_at = content(as_looked_at(filled, owner_id, page))
                assert content(as_served(filled, owner_id, page)) == looked_at
