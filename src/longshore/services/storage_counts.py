"""How many files lie on storages, as far as the controller has counted them."""

from __future__ import annotations

from collections.abc import Collection

from longshore.database import storage_counts
from longshore.database.connection import reading
from longshore.database.storage_counts import Sums
from longshore.domain.storage import StorageKind
from longshore.services.context import Context

COUNTS_AT_ONCE = 500  # storages asked for in one statement


def of_storages(context: Context, kind: StorageKind, ids: Collection[int]) -> dict[int, Sums]:
    """The numbers of these storages by id; those that nobody has counted yet are left out."""
    wanted, found = list(ids), dict[int, Sums]()
    with reading(context.database.state) as connection:
        for start in range(0, len(wanted), COUNTS_AT_ONCE):
            chunk = wanted[start : start + COUNTS_AT_ONCE]
            found |= storage_counts.of_storages(connection, kind, chunk)
    return found
