"""Bringing archived files back: to the place where the catalogue has them, as they were recorded.

A restore lists secondary storage like a copy does. What it finds is looked up in the catalogue:
the copy's checksum has to be found again while it is read, and without a destination the file goes
back to its own container or primary pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue
from longshore.database.catalogue import Place
from longshore.domain import paths
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage, show
from longshore.domain.outcome import Outcome
from longshore.pipeline.messages import (
    CopyGroup,
    CopyWork,
    ExecutionPlan,
    PackedWork,
    PlannedFile,
    Record,
)
from longshore.pipeline.packing import pack_groups

_decoder = msgspec.msgpack.Decoder(CopyWork)


@dataclass(slots=True)
class Retargeted:
    """Batches that know where they go, and the records of files that nobody knows."""

    batches: list[PackedWork] = field(default_factory=list)
    unknown: list[Record] = field(default_factory=list)


def retarget(
    connection: Connection,
    plan: ExecutionPlan,
    batches: Sequence[PackedWork],
    *,
    first_place: int,
    finished_ns: int,
) -> Retargeted:
    """The batches with expected checksums and, for original places, with their targets."""
    result = Retargeted()
    for packed in batches:
        groups: dict[tuple[int, bytes, bytes], CopyGroup] = {}
        for group in _decoder.decode(packed.payload).groups:
            known = _known(connection, plan, group)
            for planned in group.files:
                copy = known.get(paths.join(group.folder, planned.entry.name))
                goal = _goal(plan, group, planned, copy)
                if isinstance(goal, str):
                    place = first_place + len(result.unknown)
                    result.unknown.append(_unknown(group, planned, goal, place, finished_ns))
                    continue
                source, target, name = goal
                key = (source, group.folder, target)
                into = groups.setdefault(key, CopyGroup(source, group.folder, target, []))
                into.files.append(
                    msgspec.structs.replace(
                        planned,
                        target_name=name,
                        expected=copy.xxh3_128 if copy else b"",
                        unkept=copy.unkept if copy else b"",
                    )
                )
        batch = pack_groups(list(groups.values()))
        if batch is not None:
            result.batches.append(batch)
    return result


@dataclass(frozen=True, slots=True)
class _Copy:
    place: Place
    xxh3_128: bytes
    unkept: bytes  # what it does not bear of the original


def _known(connection: Connection, plan: ExecutionPlan, group: CopyGroup) -> dict[bytes, _Copy]:
    """What the catalogue knows of the group's files, by their path on the source storage."""
    reference = plan.sources[group.source].storage.reference
    wanted = [paths.join(group.folder, planned.entry.name) for planned in group.files]
    files = catalogue.files_at(connection, reference, wanted)
    places = catalogue.places_of(connection, list(files.values()))
    hashes = catalogue.hashes_at(connection, reference, wanted)
    unkept = catalogue.unkept_at(connection, reference, wanted)
    return {
        path: _Copy(places[file_id], hashes.get(path, b""), unkept.get(path, b""))
        for path, file_id in files.items()
        if file_id in places
    }


def _goal(
    plan: ExecutionPlan, group: CopyGroup, planned: PlannedFile, copy: _Copy | None
) -> tuple[int, bytes, bytes] | str:
    """(source index, target folder, name) of a file, or why it cannot be restored."""
    if not plan.original_place:
        return group.source, group.target, planned.target_name
    if copy is None:
        return "the catalogue does not know whose copy it is"
    for index, destination in enumerate(plan.destinations):
        if destination.root_id == copy.place.root_id:
            count = len(plan.sources) // len(plan.destinations)
            source = index * count + group.source % count
            return source, copy.place.folder, copy.place.name
    return "the container or pool that it came from is not there any more"


def _unknown(
    group: CopyGroup, planned: PlannedFile, why: str, place: int, finished_ns: int
) -> Record:
    path = paths.join(group.folder, planned.entry.name)
    text = f"restore {show(path)}: {why}"
    return Record(
        place=place,
        source=group.source,
        folder=group.folder,
        entry=planned.entry,
        outcome=Outcome.FAILED,
        target_path=b"",
        xxh3_128=b"",
        checksum=b"",
        failure=FileFailure(ErrorKind.NOT_FOUND, Stage.PLAN, Side.DESTINATION, text),
        callback_id=0,
        attempts=1,
        finished_ns=finished_ns,
    )
