"""Orders for one slice of work, and what goes with them and is written down nowhere."""

from __future__ import annotations

import msgspec

from longshore.domain.storage import StorageReference
from longshore.pipeline.messages.plan import WorkKind


class StorageRate(msgspec.Struct, frozen=True, array_like=True):
    storage: StorageReference
    bytes_per_second: float  # of what is read from it, written to it and read back


class Rates(msgspec.Struct, frozen=True, array_like=True):
    """The shares of bandwidth limits that one order may use."""

    storages: list[StorageRate]
    read: float | None = None  # bytes per second from all sources together; None = no limit


class StorageCredentials(msgspec.Struct, frozen=True, array_like=True):
    """What is needed to open a storage besides its address, and is written down nowhere."""

    storage: StorageReference
    settings: dict[str, str]


class WorkOrder(msgspec.Struct, frozen=True, array_like=True):
    """One slice of work for a mover."""

    work_id: int
    kind: WorkKind
    plan: bytes  # of ExecutionPlan
    payload: bytes
    fresh: bool  # nobody has begun this item before, so nothing of it can be found
    rates: Rates | None = None  # None = no limit
    credentials: list[StorageCredentials] = []
