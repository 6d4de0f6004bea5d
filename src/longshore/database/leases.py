"""The lease that makes one controller the active one.

Whoever holds it knows its epoch. A controller that was paused past its lease finds another epoch
in the very transaction in which it wants to record something, and records nothing.

The lease lies in the journal. SQLite keeps the state in another file, so the state has a fence of
its own with the epoch of the newest holder: who takes the lease raises it before anything else, and
every transaction on the state looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from longshore.database.tables.control import fences
from longshore.database.tables.engine import leases
from longshore.domain.errors import LongshoreError

CONTROLLER = "controller"


class LeaseLost(LongshoreError):
    """Another controller has taken over; this one has to end."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds it, in which epoch, and until when (seconds since 1970)."""

    epoch: int
    holder: str
    expires_at: float


def read(connection: Connection) -> Lease | None:
    row = connection.execute(select(leases).where(leases.c.name == CONTROLLER)).one_or_none()
    return Lease(row.epoch, row.holder, row.expires_at) if row is not None else None


def take(connection: Connection, holder: str, expires_at: float) -> Lease:
    """Become the holder, whoever held it; the caller has checked that it may."""
    before = read(connection)
    if before is None:
        connection.execute(
            insert(leases).values(name=CONTROLLER, epoch=1, holder=holder, expires_at=expires_at)
        )
        return Lease(1, holder, expires_at)
    taken = connection.execute(
        update(leases)
        .where(leases.c.name == CONTROLLER, leases.c.epoch == before.epoch)
        .values(epoch=before.epoch + 1, holder=holder, expires_at=expires_at)
    )
    if taken.rowcount != 1:
        raise LeaseLost("another controller was faster")
    return Lease(before.epoch + 1, holder, expires_at)


def confirm(connection: Connection, lease: Lease, expires_at: float) -> None:
    """Prolong the lease. Every transaction of the controller begins so. Raises LeaseLost."""
    kept = connection.execute(
        update(leases)
        .where(leases.c.name == CONTROLLER, leases.c.epoch == lease.epoch)
        .values(expires_at=expires_at)
    )
    if kept.rowcount != 1:
        raise LeaseLost("another controller has taken the lease")


def raise_fence(connection: Connection, lease: Lease) -> None:
    """Keep earlier holders from writing the state. Raises LeaseLost if a later one has done so."""
    if not _fence(connection):
        connection.execute(insert(fences).values(name=CONTROLLER, epoch=0))
    raised = connection.execute(
        update(fences)
        .where(fences.c.name == CONTROLLER, fences.c.epoch <= lease.epoch)
        .values(epoch=lease.epoch)
    )
    if raised.rowcount != 1:
        raise LeaseLost("another controller has taken the lease")


def pass_fence(connection: Connection, lease: Lease) -> None:
    """Return if the holder may write the state, until its transaction ends. Raises LeaseLost."""
    found = _fence(connection)
    if found and found[0] > lease.epoch:
        raise LeaseLost("another controller has taken the lease")


def _fence(connection: Connection) -> tuple[int] | None:
    """The fence's epoch; on PostgreSQL nobody raises it before this transaction ends."""
    query = select(fences.c.epoch).where(fences.c.name == CONTROLLER).with_for_update(read=True)
    row = connection.execute(query).one_or_none()
    return None if row is None else (int(row.epoch),)
