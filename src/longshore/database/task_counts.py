"""Counting tasks without looking at them: triggers keep their number per combination of values.

An exact count over a million rows takes longer than a page of them. The columns with few values
have a few hundred combinations per user, whose numbers add up to every count that is asked for.

SQLite has one writer at a time, so each combination is one row that is added to. On PostgreSQL
writers would wait for each other there: each adds rows of its own, and now and then one of them
folds the rows into one per combination.
"""

from __future__ import annotations

DIMENSIONS = (
    "status",
    "workflow_type",
    "workflow_action",
    "source_type",
    "destination_type",
    "conflict_resolution",
    "priority",
    "activate",
    "action",
)
"""The columns of tasks that are counted by, besides the owner."""

FOLDING_PROBABILITY = 0.002  # so some 500 rows lie there beside the folded ones
_FOLDING_LOCK = 5_100_001  # of pg_try_advisory_xact_lock; any number nobody else uses

_COLUMNS = ", ".join(("owner_id", *DIMENSIONS))


def triggers() -> list[tuple[str, str]]:
    """(statement, dialect) of everything that has to be made."""
    return [(each, "sqlite") for each in _sqlite()] + [
        (each, "postgresql") for each in _postgresql()
    ]


def _values(row: str) -> str:
    return ", ".join(f"{row}.{name}" for name in ("owner_id", *DIMENSIONS))


def _changed(operator: str) -> str:
    return " OR ".join(f"OLD.{name} {operator} NEW.{name}" for name in ("owner_id", *DIMENSIONS))


def _sqlite() -> list[str]:
    more = _sqlite_addition("NEW", "+ 1")
    less = _sqlite_addition("OLD", "- 1")
    changed = _changed("IS NOT")
    watched = _COLUMNS
    return [
        f"CREATE TRIGGER task_counts_insert AFTER INSERT ON tasks BEGIN {more} END",
        f"CREATE TRIGGER task_counts_delete AFTER DELETE ON tasks BEGIN {less} END",
        f"CREATE TRIGGER task_counts_update AFTER UPDATE OF {watched} ON tasks "
        f"WHEN {changed} BEGIN {less} {more} END",
    ]


def _sqlite_addition(row: str, step: str) -> str:
    same = " AND ".join(f"{name} IS {row}.{name}" for name in ("owner_id", *DIMENSIONS))
    there = f"SELECT 1 FROM task_counts WHERE {same}"  # noqa: S608
    return (
        f"INSERT INTO task_counts ({_COLUMNS}, number) "  # noqa: S608
        f"SELECT {_values(row)}, 0 WHERE NOT EXISTS ({there}); "
        f"UPDATE task_counts SET number = number {step} WHERE {same}; "
        "DELETE FROM task_counts "
        f"WHERE {same} AND number = 0;"
    )


def _postgresql() -> list[str]:
    insert = f"INSERT INTO task_counts ({_COLUMNS}, number)"
    body = f"""
BEGIN
  IF TG_OP <> 'INSERT' THEN
    {insert} VALUES ({_values("OLD")}, -1);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    {insert} VALUES ({_values("NEW")}, 1);
  END IF;
  IF random() < {FOLDING_PROBABILITY} AND pg_try_advisory_xact_lock({_FOLDING_LOCK}) THEN
    WITH gone AS (DELETE FROM task_counts RETURNING *)
    {insert} SELECT {_COLUMNS}, sum(number) FROM gone GROUP BY {_COLUMNS} HAVING sum(number) <> 0;
  END IF;
  RETURN NULL;
END
"""  # noqa: S608
    function = "FUNCTION longshore_count_tasks()"
    return [
        f"CREATE {function} RETURNS trigger LANGUAGE plpgsql AS $body${body}$body$",
        f"CREATE TRIGGER task_counts_change AFTER INSERT OR DELETE ON tasks "
        f"FOR EACH ROW EXECUTE {function}",
        f"CREATE TRIGGER task_counts_update AFTER UPDATE OF {_COLUMNS} ON tasks FOR EACH ROW "
        f"WHEN ({_changed('IS DISTINCT FROM')}) EXECUTE {function}",
    ]
