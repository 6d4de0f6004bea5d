"""The people who log in. There is no API for them: the command line calls these functions."""

from __future__ import annotations

import secrets
import unicodedata
from contextlib import suppress

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from longshore.database import rows
from longshore.database import users as user_rows
from longshore.database.connection import Database, reading, writing
from longshore.database.tables.users import users
from longshore.database.users import User
from longshore.domain.errors import LongshoreError
from longshore.services.context import Context
from longshore.services.passwords import hash_password
from longshore.services.secrets import write_private_file

ADMINISTRATOR_NAME = "admin"
ADMINISTRATOR_ID = 1000
ADMINISTRATOR_PASSWORD_FILE = "admin-password"  # noqa: S105
RANDOM_PASSWORD_BYTES = 18
PASSWORD_CHARACTERS_MINIMUM = 8
PASSWORD_CHARACTERS_MAXIMUM = 1_024  # more would only make hashing slow
NAME_CHARACTERS_MAXIMUM = 255

NO_PASSWORD = ""
"""Stored for users who come with tokens or keys only."""


class UserRefused(LongshoreError):
    """What the command line asked for cannot be done; the text says why."""


def ensure_administrator(context: Context, configured_password: str) -> str | None:
    """Make the user `admin` when there is no user at all.

    Without a configured password a random one is kept in the data directory's `admin-password`
    (mode 0600) and returned, so that it can be printed this one time; otherwise None.
    """
    with reading(context.database.state) as connection:
        if _anybody(connection):
            return None
    password = configured_password or secrets.token_urlsafe(RANDOM_PASSWORD_BYTES)
    password_hash = hash_password(password)
    with writing(context.database.state) as connection:
        if _anybody(connection):  # another process was quicker
            return None
        _insert(connection, ADMINISTRATOR_NAME, password_hash, administrator=True,
                now=context.now(), user_id=ADMINISTRATOR_ID)  # fmt: skip
        _continue_ids_after(connection, ADMINISTRATOR_ID)
        if not configured_password:
            # Before the commit: a file whose user is not there yet is replaced at the next
            # start, a user whose password nobody knows would lock everybody out.
            path = context.data_dir / ADMINISTRATOR_PASSWORD_FILE
            write_private_file(path, f"{password}\n".encode(), replace=True)
    return None if configured_password else password


def add(
    database: Database, name: str, password: str | None, *, administrator: bool, now: int
) -> User:
    """A new user; without a password one who comes with tokens only. Raises UserRefused."""
    check_name(name)
    password_hash = NO_PASSWORD
    if password is not None:
        check_password(password)
        password_hash = hash_password(password)
    with writing(database.state) as connection:
        if user_rows.fetch_named(connection, name) is not None:
            raise UserRefused(f"there is a user {name} already")
        _insert(connection, name, password_hash, administrator=administrator, now=now)
        return _resolve(connection, name)


def set_password(database: Database, name: str, password: str) -> None:
    """A new password, at once and for every login. API keys stay. Raises UserRefused."""
    check_password(password)
    password_hash = hash_password(password)
    with writing(database.state) as connection:
        user = _resolve(connection, name)
        rows.change(connection, users, user.id, {"password_hash": password_hash})


def set_administrator(database: Database, name: str, *, administrator: bool) -> None:
    """Give or take the administrator's rights. Raises UserRefused."""
    with writing(database.state) as connection:
        user = _resolve(connection, name)
        if user.administrator and not administrator:
            _refuse_the_last_administrator(connection, user)
        rows.change(connection, users, user.id, {"administrator": administrator})


def delete(database: Database, name: str) -> None:
    """Remove the user with the keys and configurations. Raises UserRefused for owners of tasks."""
    with writing(database.state) as connection:
        user = _resolve(connection, name)
        if user.administrator:
            _refuse_the_last_administrator(connection, user)
        if user_rows.owns_something(connection, user.id):
            raise UserRefused(
                f"{name} owns tasks or records of executions; "
                "give a new password instead to keep the user out"
            )
        rows.remove(connection, users, user.id)


def everybody(database: Database) -> list[User]:
    """All users, by name."""
    with reading(database.state) as connection:
        return user_rows.everybody(connection)


def user_of_token(database: Database, name: str, now: int) -> User:
    """The user that a verified token names; one who comes for the first time is added."""
    with reading(database.state) as connection:
        known = user_rows.fetch_named(connection, name)
    if known is not None:
        return known
    # On PostgreSQL another request of the same user may add the row at the same time.
    with suppress(IntegrityError), writing(database.state) as connection:
        if user_rows.fetch_named(connection, name) is None:
            _insert(connection, name, NO_PASSWORD, administrator=False, now=now)
    with reading(database.state) as connection:
        return _resolve(connection, name)


def check_name(name: str) -> None:
    """Refuse names that HTTP Basic cannot carry or that people cannot read. Raises UserRefused."""
    if not name.strip() or len(name) > NAME_CHARACTERS_MAXIMUM:
        raise UserRefused(f"a name has 1 to {NAME_CHARACTERS_MAXIMUM} characters")
    if ":" in name or any(unicodedata.category(character)[0] == "C" for character in name):
        raise UserRefused("a name may not hold a colon or characters that cannot be seen")


def check_password(password: str) -> None:
    """Raises UserRefused for passwords that are too short or too long."""
    if not PASSWORD_CHARACTERS_MINIMUM <= len(password) <= PASSWORD_CHARACTERS_MAXIMUM:
        raise UserRefused(
            f"a password has {PASSWORD_CHARACTERS_MINIMUM} to "
            f"{PASSWORD_CHARACTERS_MAXIMUM} characters"
        )


def _resolve(connection: Connection, name: str) -> User:
    user = user_rows.fetch_named(connection, name)
    if user is None:
        raise UserRefused(f"there is no user {name}")
    return user


def _refuse_the_last_administrator(connection: Connection, user: User) -> None:
    others = select(users.c.id).where(users.c.administrator.is_(True), users.c.id != user.id)
    if connection.execute(others.limit(1)).first() is None:
        raise UserRefused(f"{user.name} is the only administrator")


def _anybody(connection: Connection) -> bool:
    return connection.execute(select(users.c.id).limit(1)).first() is not None


def _insert(
    connection: Connection,
    name: str,
    password_hash: str,
    *,
    administrator: bool,
    now: int,
    user_id: int | None = None,
) -> None:
    values: dict[str, object] = {
        "name": name,
        "password_hash": password_hash,
        "administrator": administrator,
        "creation_date": now,
    }
    if user_id is not None:
        values["id"] = user_id
    rows.add(connection, users, values)


def _continue_ids_after(connection: Connection, user_id: int) -> None:
    """PostgreSQL's sequence does not notice ids that are given; SQLite's counter does."""
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence("users", "id")
        connection.execute(select(func.setval(sequence, user_id)))
