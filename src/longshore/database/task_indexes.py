"""The indexes of tasks along which listings are read, and those in which null comes first.

Listings want null first; SQLite's indexes are so by themselves.

They are plain statements, because no index of the metadata can differ between the databases.
"""

from __future__ import annotations

SUFFIX = "_nulls_first"
"""How the names of these indexes end."""

_FILTERED = ("status", "priority", "workflow_type", "workflow_action")

SORTED_TASKS: dict[str, tuple[str, ...]] = {
    "name": (*_FILTERED, "creation_date"),
    "status": (),
    "workflow_type": (),
    "workflow_action": (),
    "priority": (),
    "creation_date": (*_FILTERED, "name"),
    "modification_date": (*_FILTERED, "name"),
    "processed_size": (*_FILTERED, "name"),
    "to_process_size": (*_FILTERED, "name"),
    "job_started": (*_FILTERED, "name"),
    "job_finished": (*_FILTERED, "name"),
}
"""The columns by which an owner's tasks have an index, and what it carries besides."""


def null_first_indexes() -> list[tuple[str, str]]:
    """(statement, dialect) of every such index."""
    return [
        (
            f"CREATE INDEX ix_tasks_owner_id_{name}{SUFFIX} "
            f"ON tasks (owner_id, {name} NULLS FIRST, id, {', '.join(SORTED_TASKS[name])})",
            "postgresql",
        )
        for name in ("job_started", "job_finished")
    ]
