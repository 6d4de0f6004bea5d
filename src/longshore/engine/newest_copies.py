"""Telling the newest copy of a file from those that are older.

A pool of several backups holds some files many times. Only one copy of each may go back to the
file's place. Which one follows from the catalogue alone, so that it is the same one in whatever
order copies are found, in every slice, and after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from longshore.database import catalogue
from longshore.database.catalogue import CopyPlace
from longshore.domain.storage import StorageReference
from longshore.pipeline.messages import ExecutionPlan, Source


def superseded(
    connection: Connection,
    plan: ExecutionPlan,
    storage: StorageReference,
    files: Mapping[bytes, int],
) -> set[bytes]:
    """The paths on the storage whose files have a newer copy inside the plan's sources.

    `files` are the catalogue's files of which copies lie there, by path. A plan that takes the
    files of an earlier execution names its copies itself: none of them is superseded.
    """
    if plan.listed_execution:
        return set()
    newest: dict[int, CopyPlace] = {}
    for file_id, copy in catalogue.each_copy_of(connection, list(set(files.values()))):
        if _is_inside(copy, plan.sources):
            best = newest.get(file_id, copy)
            newest[file_id] = max(best, copy, key=lambda each: _age_of(each, plan.execution_id))
    return {
        path
        for path, file_id in files.items()
        if file_id in newest and (newest[file_id].storage, newest[file_id].path) != (storage, path)
    }


def _age_of(copy: CopyPlace, begun_ns: int) -> tuple[bool, int, int, tuple[int, int], bytes]:
    """What sorts the copies of a file, the newest last.

    One that a backup writes while they are read comes first, unless it is the only one: the place
    where it lies may have been listed before.
    """
    reference = (copy.storage.kind.value, copy.storage.id)
    return copy.written_ns < begun_ns, copy.execution_id, copy.written_ns, reference, copy.path


def _is_inside(copy: CopyPlace, sources: Sequence[Source]) -> bool:
    return any(
        copy.storage == source.storage.reference
        and (not source.path or (copy.path + b"/").startswith(source.path + b"/"))
        for source in sources
    )
