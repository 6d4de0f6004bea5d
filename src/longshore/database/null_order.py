"""Indexes in which null comes first, as listings want it; SQLite's indexes are so by themselves.

They are plain statements, because no index of the metadata can differ between the databases.
"""

from __future__ import annotations

SUFFIX = "_nulls_first"
"""How the names of these indexes end."""


def null_first_indexes() -> list[tuple[str, str]]:
    """(statement, dialect) of every such index."""
    return [
        (
            f"CREATE INDEX ix_tasks_owner_id_{name}{SUFFIX} "
            f"ON tasks (owner_id, {name} NULLS FIRST, id)",
            "postgresql",
        )
        for name in ("job_started", "job_finished")
    ]
