"""Waking the controller at once when the api has written something for it.

SQLite: a datagram to a Unix socket in the data directory. PostgreSQL: NOTIFY. A wake-up may be
lost (nobody listens yet, the buffer is full): the controller also looks by itself twice a second.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, text

from longshore.database.connection import Database

SOCKET_FILE = "controller.sock"
CHANNEL = "longshore_controller"

Wake = Callable[[], None]


def waker(database: Database, data_dir: Path) -> Wake:
    """A function that wakes the controller; it never blocks and never fails."""
    if not database.is_sqlite:
        return lambda: _notify(database.state)
    address = str(data_dir / SOCKET_FILE)
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)

    def wake() -> None:
        # No controller, or its buffer is full of other wake-ups: it will look by itself.
        with contextlib.suppress(OSError):
            sender.sendto(b"!", address)

    return wake


def _notify(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"NOTIFY {CHANNEL}"))
