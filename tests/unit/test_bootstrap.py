"""What processes load before they do anything, and how settings reach the parts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from longshore.bootstrap import begin_callback_test
from longshore.config import Config

MOVER = "longshore.engine.executors.mover_process, longshore.pipeline.mover"
SUPERVISOR = "longshore.cli.main, longshore.cli.supervisor"


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (MOVER, {"asyncio", "ssl", "structlog", "sqlalchemy"}),
        (SUPERVISOR, {"asyncio", "ssl", "structlog", "sqlalchemy"}),
        ("longshore.engine.controller", {"alembic", "fastapi", "pydantic"}),
        ("longshore.api.app", {"alembic"}),
    ],
)
def test_a_process_loads_nothing_heavy_that_it_can_do_without(
    modules: str, unwanted: set[str]
) -> None:
    script = f"import sys, {modules}; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert not unwanted & set(loaded.stdout.split())


def test_a_server_without_languages_holds_no_script() -> None:
    report = begin_callback_test(Config(callback_languages="")).result(timeout=60)
    assert not report.ok
    assert report.reason is not None
    assert "switched off" in report.reason
