"""Waking the controller at once when the api has written something for it.

SQLite: a datagram to a Unix socket in the data directory. PostgreSQL: NOTIFY. A wake-up may be
lost (nobody listens yet, the buffer is full): the controller also looks by itself twice a second.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, text

from longshore.database.connection import Database

if TYPE_CHECKING:
    import psycopg

SOCKET_FILE = "controller.sock"
CHANNEL = "longshore_controller"

Wake = Callable[[], None]


def waker(database: Database, data_dir: Path) -> Wake:
    """A function that wakes the controller; it never blocks and never fails."""
    if not database.is_sqlite:
        return lambda: _notify(database.state)
    address = _socket_address(data_dir)
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)

    def wake() -> None:
        # No controller, or its buffer is full of other wake-ups: it will look by itself.
        with contextlib.suppress(OSError):
            sender.sendto(b"!", address)

    return wake


class Listener:
    """The controller's end: readable when somebody has called, until `drain`."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self._socket: socket.socket | None = None
        self._connection: psycopg.Connection[object] | None = None
        if database.is_sqlite:
            self._socket = _listening_socket(data_dir)
        else:
            self._connection = _listening_connection(database.state)

    def fileno(self) -> int:
        if self._socket is not None:
            return self._socket.fileno()
        assert self._connection is not None
        return self._connection.fileno()

    def drain(self) -> None:
        """Take in all calls so far."""
        if self._connection is not None:
            for _ in self._connection.notifies(timeout=0):
                pass
        elif self._socket is not None:
            with contextlib.suppress(BlockingIOError):
                while self._socket.recv(16):
                    pass

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._connection is not None:
            self._connection.close()


def _socket_address(data_dir: Path) -> str:
    """An address of the socket that is short whatever the folder: a Unix one has 107 bytes."""
    folder = os.open(data_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{SOCKET_FILE}"


def _listening_socket(data_dir: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        (data_dir / SOCKET_FILE).unlink()  # of an earlier controller
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.setblocking(False)
    listening.bind(_socket_address(data_dir))
    return listening


def _listening_connection(engine: Engine) -> psycopg.Connection[object]:
    import psycopg

    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection: psycopg.Connection[object] = psycopg.connect(url, autocommit=True)
    connection.execute(f"LISTEN {CHANNEL}".encode())
    return connection


def _notify(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"NOTIFY {CHANNEL}"))
