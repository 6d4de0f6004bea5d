"""What logs may show."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

PROGRAM = """
from longshore.observability import configure_logging, logger

configure_logging("info", process="test")

def fail(password):
    raise RuntimeError("it broke")

try:
    fail("hunter" + "2")
except RuntimeError:
    logger("test").exception("failed")
"""


def test_a_traceback_on_a_terminal_shows_no_variables() -> None:
    reader, writer = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=writer, check=True, timeout=60)
        shown = os.read(reader, 65_536).decode()
    finally:
        os.close(writer)
        os.close(reader)
    assert "RuntimeError: it broke" in shown
    assert "hunter2" not in shown
