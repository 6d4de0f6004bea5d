"""Forgetting what is known of a folder as a whole, as soon as one of its files changes.

A row of `folder_digests` says that certain files of a folder are in the catalogue as they were, and
so are their copies. Triggers take it away with every update and delete of such a row, whoever
writes. An insert takes nothing away: another file, or another copy, makes what was said of the
first ones no less true. So a first copy, which only inserts, pays nothing.

Folders in the folder are not spoken of: their metadata is written with every run.
"""

from __future__ import annotations

# Kind 2 is that of folders: domain.entry.EntryKind.
_OF_NODES = "SELECT parent_id FROM changed WHERE kind <> 2"
_OF_COPIES = "SELECT parent_id FROM nodes WHERE kind <> 2 AND id IN (SELECT file_id FROM changed)"
_OF_COPY = "SELECT parent_id FROM nodes WHERE kind <> 2 AND id = OLD.file_id"


def triggers() -> list[tuple[str, str]]:
    """(statement, dialect) of everything that has to be made."""
    return [(each, "sqlite") for each in _sqlite()] + [
        (each, "postgresql") for each in _postgresql()
    ]


def _sqlite() -> list[str]:
    forget = "DELETE FROM folder_digests WHERE folder_id ="
    return [
        statement
        for event in ("UPDATE", "DELETE")
        for statement in (
            f"CREATE TRIGGER folder_digests_nodes_{event.lower()} AFTER {event} ON nodes "
            f"WHEN OLD.kind <> 2 BEGIN {forget} OLD.parent_id; END",
            f"CREATE TRIGGER folder_digests_copies_{event.lower()} AFTER {event} ON copies "
            f"BEGIN {forget} ({_OF_COPY}); END",
        )
    ]


def _postgresql() -> list[str]:
    """Once for a statement, however many rows it changes."""
    statements = []
    for table, folders in (("nodes", _OF_NODES), ("copies", _OF_COPIES)):
        function = f"FUNCTION longshore_forget_folders_of_{table}()"
        forget = f"DELETE FROM folder_digests WHERE folder_id IN ({folders})"  # noqa: S608
        body = f"BEGIN {forget}; RETURN NULL; END"
        statements.append(
            f"CREATE {function} RETURNS trigger LANGUAGE plpgsql AS $body${body}$body$"
        )
        statements += [
            f"CREATE TRIGGER folder_digests_{table}_{event.lower()} AFTER {event} ON {table} "
            f"REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE {function}"
            for event in ("UPDATE", "DELETE")
        ]
    return statements
