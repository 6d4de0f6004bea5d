"""`longshore user`: the people who log in, managed where the server runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longshore.domain.errors import LongshoreError

if TYPE_CHECKING:
    from longshore.database.connection import Database

app = typer.Typer(help="Add, change, list and remove the users who log in.", no_args_is_help=True)

EXIT_ERROR = 1

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The server's data folder.", show_default=False)
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="The server's settings.", show_default=False)
]
Name = Annotated[str, typer.Argument(help="The user's name.")]
PasswordInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


@app.command()
def add(
    name: Name,
    administrator: Annotated[
        bool, typer.Option("--administrator", help="With all rights.")
    ] = False,
    external: Annotated[
        bool, typer.Option("--external", help="Without a password: comes with tokens only.")
    ] = False,
    password_stdin: PasswordInput = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Add a user."""
    from longshore.services import users

    with _database(data_dir, config) as database:
        password = None if external else _new_password(password_stdin)
        user = users.add(
            database, name, password, administrator=administrator, now=int(time.time())
        )
    typer.echo(f"added {user.name} with id {user.id}")


@app.command()
def passwd(
    name: Name,
    password_stdin: PasswordInput = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Give a user another password."""
    from longshore.services import users

    with _database(data_dir, config) as database:
        users.set_password(database, name, _new_password(password_stdin))
    typer.echo(f"changed the password of {name}")


@app.command("list")
def list_(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List all users."""
    from longshore.services import users

    with _database(data_dir, config) as database:
        for user in users.everybody(database):
            role = "administrator" if user.administrator else "user"
            login = "password" if user.password_hash else "tokens only"
            since = datetime.fromtimestamp(user.creation_date, UTC).date()
            typer.echo(f"{user.id}\t{user.name}\t{role}\t{login}\tsince {since}")


@app.command()
def delete(name: Name, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Remove a user who owns nothing, with all API keys."""
    from longshore.services import users

    with _database(data_dir, config) as database:
        users.delete(database, name)
    typer.echo(f"removed {name}")


@app.command()
def promote(
    name: Name,
    demote: Annotated[bool, typer.Option("--demote", help="Take the rights away.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make a user administrator, or an administrator a user."""
    from longshore.services import users

    with _database(data_dir, config) as database:
        users.set_administrator(database, name, administrator=not demote)
    typer.echo(f"{name} is {'no administrator any more' if demote else 'an administrator'}")


@contextmanager
def _database(data_dir: Path | None, config: Path | None) -> Iterator[Database]:
    """The configured database; what is refused ends the command with a sentence, not a trace."""
    from longshore.bootstrap import open_configured_database

    try:
        database = open_configured_database(data_dir=data_dir, config_file=config)
    except LongshoreError as error:
        raise _failure(error) from error
    try:
        yield database
    except LongshoreError as error:
        raise _failure(error) from error
    finally:
        database.dispose()


def _failure(error: LongshoreError) -> typer.Exit:
    typer.echo(f"longshore user: {error}", err=True)
    return typer.Exit(EXIT_ERROR)


def _new_password(from_stdin: bool) -> str:
    """Asked for twice on a terminal; the first line of standard input otherwise."""
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
