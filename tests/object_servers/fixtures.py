"""Servers as fixtures: each is started once for all processes of a test session."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.object_servers.keeper import start_until_end_of
from tests.object_servers.processes import NotProvided, ObjectServer

REQUIRED = "LONGSHORE_REQUIRE_SERVERS"
"""Servers whose absence is a failure: `all`, or their names with spaces or commas between them."""


def is_required(name: str) -> bool:
    """Whether tests that need the server must run."""
    wanted = os.environ.get(REQUIRED, "").replace(",", " ").split()
    return "all" in wanted or name in wanted


def not_provided(name: str, reason: str) -> None:
    """Skip the test, or let it fail where the server is required."""
    if is_required(name):
        pytest.fail(f"{name} is required by {REQUIRED}, but {reason}")
    pytest.skip(f"{name}: {reason}")


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ObjectServer]:
    """Gives the server of that name, or skips the test with the reason."""
    in_worker = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if in_worker else base
    session = os.getppid() if in_worker else os.getpid()

    def find(name: str) -> ObjectServer:
        apis, reason = _once_for_all(shared, name, session)
        if reason:
            not_provided(name, reason)
        return ObjectServer(name, apis)

    return find


def _once_for_all(shared: Path, name: str, session: int) -> tuple[dict[str, dict[str, str]], str]:
    """The server's APIs and why there are none; the first process that asks starts it."""
    answer = shared / f"object-server-{name}.json"
    with (shared / f"object-server-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            answer.write_text(json.dumps(_start(name, session)))
    apis, reason = json.loads(answer.read_text())
    return apis, reason


def _start(name: str, session: int) -> tuple[object, str]:
    try:
        return start_until_end_of(session, name).apis, ""
    except NotProvided as error:
        return {}, str(error)
