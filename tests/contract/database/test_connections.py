"""Connections and transactions, on both databases."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, text

from longshore.database.connection import (
    TRUSTED_SECONDS,
    Database,
    LargerTransaction,
    looking,
    open_url,
    reading,
    writing,
)
from longshore.database.tables.users import users
from tests.contract.database.conftest import new_postgresql_database


def add_user(connection: Connection, name: str) -> None:
    row = {"name": name, "password_hash": "", "administrator": False, "creation_date": 0}
    connection.execute(insert(users), row)


def number_of_users(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(users)).scalar_one())


def test_every_look_sees_the_database_as_it_is_then(database: Database) -> None:
    with looking(database.state) as connection:
        assert number_of_users(connection) == 0
        with writing(database.state) as other:
            add_user(other, "ulla")
        assert number_of_users(connection) == 1


def test_a_connection_that_looked_writes_transactions_again(database: Database) -> None:
    for number in range(20):
        with looking(database.state) as connection:
            assert number_of_users(connection) == number
        with writing(database.state) as connection:
            add_user(connection, f"u{number}")
            with looking(database.state) as other:
                assert number_of_users(other) == number


def test_a_look_within_a_larger_transaction_sees_what_it_wrote(database: Database) -> None:
    with LargerTransaction(database.state, begin=lambda _: None) as larger:
        within = database.within(larger)
        with looking(within.state) as connection:
            assert number_of_users(connection) == 0
        with writing(within.state) as connection:
            add_user(connection, "ulla")
        with looking(within.state) as connection:
            assert number_of_users(connection) == 1
        with reading(database.state) as connection:
            assert number_of_users(connection) == 0


def test_a_connection_that_the_server_ended_is_replaced_after_a_pause(
    postgresql_server: str,
) -> None:
    now = [100.0]
    url = new_postgresql_database(postgresql_server)
    database, other = open_url(url, clock=lambda: now[0]), open_url(url)
    with reading(database.state) as connection:
        process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with reading(other.state) as connection:
        connection.execute(text("SELECT pg_terminate_backend(:p, 10000)"), {"p": process})
    now[0] += TRUSTED_SECONDS
    with reading(database.state) as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != process
    database.dispose()
    other.dispose()
