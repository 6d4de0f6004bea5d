"""Leaving out of an incremental backup what an earlier backup of the task holds unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.pipeline.messages import (
    CopyGroup,
    CopyWork,
    ExecutionPlan,
    PackedWork,
    PlannedFile,
)
from longshore.pipeline.packing import pack_anew

FolderId = Callable[[int, bytes], int]

_decoder = msgspec.msgpack.Decoder(CopyWork)


@dataclass(frozen=True, slots=True)
class Changed:
    """What is left to be copied, and the records of what is not."""

    batches: list[PackedWork]
    unchanged: list[Record]


def leave_out(
    connection: Connection,
    plan: ExecutionPlan,
    batches: Sequence[PackedWork],
    *,
    folder_id: FolderId,
    first_place: int,
    finished_ns: int,
) -> Changed:
    """Compare planned files with the copies of earlier backups: same size and time, left out."""
    kept: list[PackedWork] = []
    unchanged: list[Record] = []
    for packed in batches:
        groups = []
        for group in _decoder.decode(packed.payload).groups:
            known = _known(connection, plan, group, folder_id)
            files = []
            for planned in group.files:
                path = _same(planned, known)
                if path is None:
                    files.append(planned)
                    continue
                place = first_place + len(unchanged)
                unchanged.append(_record(group, planned, path, place, finished_ns))
            groups.append(msgspec.structs.replace(group, files=files))
        rest = pack_anew(groups)
        if rest is not None:
            kept.append(msgspec.structs.replace(rest, sort_key=packed.sort_key))
    return Changed(kept, unchanged)


def _known(
    connection: Connection, plan: ExecutionPlan, group: CopyGroup, folder_id: FolderId
) -> dict[bytes, list[tuple[bytes, int, int]]]:
    """(path, size, time) of the backed-up copies of the group's files, by name."""
    source = plan.sources[group.source]
    if source.root_id is None:
        return {}
    names = sorted(planned.entry.name for planned in group.files)
    parent_id = folder_id(source.root_id, group.folder)
    ids = catalogue.children_between(connection, parent_id, names[0], names[-1])
    found: dict[int, list[tuple[bytes, int, int]]] = {}
    for share in plan.destinations[source.destination].shares():
        held = catalogue.copies_of(
            connection, list(ids.values()), share.reference, plan.base_executions
        )
        for file_id, copies in held.items():
            found.setdefault(file_id, []).extend(copies)
    return {name: found[file_id] for name, file_id in ids.items() if file_id in found}


def _same(planned: PlannedFile, known: dict[bytes, list[tuple[bytes, int, int]]]) -> bytes | None:
    entry = planned.entry
    for path, size, mtime_ns in known.get(entry.name, []):
        if (size, mtime_ns) == (entry.size, entry.mtime_ns):
            return path
    return None


def _record(
    group: CopyGroup, planned: PlannedFile, path: bytes, place: int, finished_ns: int
) -> Record:
    return Record(
        place=place,
        source=group.source,
        folder=group.folder,
        entry=planned.entry,
        outcome=Outcome.IDENTICAL,
        target_path=path,
        xxh3_128=b"",
        checksum=b"",
        failure=None,
        callback_id=0,
        attempts=1,
        finished_ns=finished_ns,
    )
