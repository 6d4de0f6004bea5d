"""All tables. `state` and `journal` are two files on SQLite and one database on PostgreSQL.

    state     what people declare and ask for: users, storages, tasks, executions, jobs.
    journal   what the engine does: lease, work items, counters, per-file records, catalogue.

Importing this package declares all of them.

A commit is durable when it returns (SQLite: synchronous FULL), in the journal too: the source of a
move is removed because its copies are on record, so that record must not be lost with the power.

No statement joins across the two. Dates are whole seconds since 1970 (UTC), times of files are
nanoseconds since 1970, sizes are bytes, names and paths are the storage's bytes.
"""

from __future__ import annotations

# Each of them declares its tables when it is imported.
from longshore.database.tables import catalogue, control, engine, storages, tasks, users
from longshore.database.tables.base import journal, state

__all__ = ["catalogue", "control", "engine", "journal", "state", "storages", "tasks", "users"]
