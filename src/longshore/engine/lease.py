"""Becoming the active controller, and staying it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from longshore.database import leases
from longshore.database.connection import Database, reading, writing
from longshore.database.leases import Lease, LeaseLost
from longshore.observability import logger

POLL_SECONDS = 0.1  # between two looks at a lease that somebody else holds

_log = logger("controller")


def own_name() -> str:
    """host:pid:start — the start tells this process from a later one with the same pid."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_of(os.getpid())}"


async def acquire(database: Database, clock: Callable[[], float], lease_seconds: float) -> Lease:
    """Wait until nobody else holds the lease, then take it.

    A holder on this machine that has ended is not waited for. One that is silent past its lease is
    killed, if it is on this machine: it may have been suspended in the middle of a deed.
    """
    while True:
        lease = _try(database, clock(), lease_seconds)
        if lease is not None and _has_fenced(database, lease):
            _log.info("lease taken", epoch=lease.epoch, holder=lease.holder)
            return lease
        await asyncio.sleep(POLL_SECONDS)


def release(database: Database, lease: Lease) -> None:
    """Let the next controller take over at once."""
    try:
        with writing(database.journal) as connection:
            leases.confirm(connection, lease, 0.0)
    except LeaseLost:
        _log.warning("the lease was lost before it could be released", epoch=lease.epoch)


def _try(database: Database, now: float, lease_seconds: float) -> Lease | None:
    with reading(database.journal) as connection:
        held = leases.read(connection)
    if held is not None and held.expires_at > now and not _has_ended(held.holder):
        return None
    if held is not None:
        _end_silent_holder(held.holder)
    try:
        with writing(database.journal) as connection:
            present = leases.read(connection)
            if present is not None and (held is None or present.epoch != held.epoch):
                return None
            return leases.take(connection, own_name(), now + lease_seconds)
    except LeaseLost:
        return None


def _has_fenced(database: Database, lease: Lease) -> bool:
    """Lock earlier holders out of the state; False if a later one has done so already."""
    try:
        with writing(database.state) as connection:
            leases.raise_fence(connection, lease)
    except LeaseLost:
        return False
    return True


def _has_ended(holder: str) -> bool:
    """Whether the holder was a process of this machine that is not there any more."""
    host, pid, start = holder.rsplit(":", 2)
    return host == socket.gethostname() and _start_of(int(pid)) != start


def _end_silent_holder(holder: str) -> None:
    host, pid, start = holder.rsplit(":", 2)
    if host == socket.gethostname() and int(pid) != os.getpid() and _start_of(int(pid)) == start:
        _log.warning("killing the controller that let its lease run out", holder=holder)
        os.kill(int(pid), signal.SIGKILL)


def _start_of(pid: int) -> str:
    """The start time of a process in clock ticks since boot (proc(5), field 22); "" if it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]
