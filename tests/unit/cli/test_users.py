from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from longshore.cli import users as command
from longshore.database.connection import open_sqlite
from longshore.services import users


def run(data_dir: Path, *arguments: str, password: str = "") -> tuple[int, str]:
    """(exit status, everything printed)"""
    where = ["--data-dir", str(data_dir)]
    result = CliRunner().invoke(command.app, [*arguments, *where], input=password + "\n")
    return result.exit_code, result.output


def test_users_are_managed_where_the_server_runs(tmp_path: Path) -> None:
    added = run(tmp_path, "add", "ulla", "--password-stdin", password="long-enough")
    assert added == (0, "added ulla with id 1\n")
    assert run(tmp_path, "add", "tina", "--external", "--administrator")[0] == 0
    assert run(tmp_path, "passwd", "ulla", "--password-stdin", password="other-password")[0] == 0
    assert run(tmp_path, "promote", "ulla")[0] == 0
    assert run(tmp_path, "promote", "tina", "--demote")[0] == 0
    listed = run(tmp_path, "list")[1]
    assert "ulla\tadministrator\tpassword" in listed
    assert "tina\tuser\ttokens only" in listed
    assert run(tmp_path, "delete", "tina")[0] == 0
    database = open_sqlite(tmp_path)
    assert [user.name for user in users.everybody(database)] == ["ulla"]
    database.dispose()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("add", "ulla", "--password-stdin"), "a password has 8"),
        (("delete", "nobody"), "there is no user nobody"),
        (("passwd", "a", "--password-stdin"), "a password has 8"),
        (("promote", "nobody"), "there is no user nobody"),
    ],
)
def test_what_is_refused_ends_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    status, output = run(tmp_path, *arguments, password="short")
    assert status == 1
    assert reason in output
    assert "Traceback" not in output
