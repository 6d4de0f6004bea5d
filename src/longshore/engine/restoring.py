"""Bringing archived files back: to the place where the catalogue has them, as they were recorded.

A restore lists secondary storage like a copy does. What it finds is looked up in the catalogue:
the copy's checksum has to be found again while it is read, and without a destination the file goes
back to its own container or primary pool. Whatever comes from secondary storage, by copy and move
too, gets the metadata back that the archive could not keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue
from longshore.database.catalogue import FolderNode, Place
from longshore.domain import paths
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage, show
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.task import WorkflowAction
from longshore.engine.newest_copies import superseded
from longshore.pipeline.messages import (
    CopyGroup,
    CopyWork,
    ExecutionPlan,
    FoundFolder,
    PackedWork,
    PlannedFile,
    encode,
)
from longshore.pipeline.packing import pack_anew

_decoder = msgspec.msgpack.Decoder(CopyWork)


COMING_BACK = frozenset({WorkflowAction.RESTORE, WorkflowAction.COPY, WorkflowAction.MOVE})
"""Actions that may bring files back from secondary storage."""


def comes_back(plan: ExecutionPlan) -> bool:
    """Whether the plan reads copies that the catalogue may know more of than they bear."""
    return plan.action in COMING_BACK and any(each.root_id is None for each in plan.sources)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a file or folder that goes back to its place was found."""

    source: int  # index of the source that leads to its place
    folder: bytes  # on the source storage: of a file the one it lies in


@dataclass(slots=True)
class Retargeted:
    """Batches that know where they go, and the records of files that go nowhere."""

    batches: list[PackedWork] = field(default_factory=list)
    left: list[Record] = field(default_factory=list)  # older copies, and files that nobody knows
    origins: dict[int, _Origin] = field(default_factory=dict)  # by node: whose folders are wanted


def remember(
    connection: Connection, plan: ExecutionPlan, batches: Sequence[PackedWork]
) -> list[PackedWork]:
    """The batches of a copy from secondary storage, with what the copies there do not bear."""
    return [_remembering(connection, plan, packed) for packed in batches]


def _remembering(connection: Connection, plan: ExecutionPlan, packed: PackedWork) -> PackedWork:
    work = _decoder.decode(packed.payload)
    changed = False
    groups = []
    for group in work.groups:
        source = plan.sources[group.source]
        wanted = {paths.join(group.folder, each.entry.name): each for each in group.files}
        lost = (
            {}
            if source.root_id is not None
            else catalogue.unkept_at(connection, source.storage.reference, list(wanted))
        )
        changed = changed or bool(lost)
        files = [
            msgspec.structs.replace(each, unkept=lost[path][1])
            if path in lost and lost[path][0] == each.entry.size
            else each
            for path, each in wanted.items()
        ]
        groups.append(msgspec.structs.replace(group, files=files))
    if not changed:
        return packed
    return msgspec.structs.replace(
        packed, payload=encode(msgspec.structs.replace(work, groups=groups))
    )


def retarget(
    connection: Connection,
    plan: ExecutionPlan,
    batches: Sequence[PackedWork],
    *,
    first_place: int,
    finished_ns: int,
) -> Retargeted:
    """The batches with expected checksums and, for original places, with their targets.

    Only the newest copy of a file goes to its place; the older ones are on record as `kept`.
    """
    result = Retargeted()
    for packed in batches:
        groups: dict[tuple[int, bytes, bytes], CopyGroup] = {}
        for group in _decoder.decode(packed.payload).groups:
            known = _known(connection, plan, group)
            for planned in group.files:
                path = paths.join(group.folder, planned.entry.name)
                copy = known.get(path)
                goal = _goal(plan, group, planned, copy)
                place = first_place + len(result.left)
                if isinstance(goal, str):
                    result.left.append(_unknown(group, planned, goal, place, finished_ns))
                    continue
                if copy is not None and copy.is_superseded:
                    result.left.append(_superseded(group, planned, goal, place, finished_ns))
                    continue
                source, target, name = goal
                if plan.original_place and copy is not None:
                    result.origins[copy.file_id] = _Origin(source, group.folder)
                key = (source, group.folder, target)
                into = groups.setdefault(key, CopyGroup(source, group.folder, target, []))
                into.files.append(
                    msgspec.structs.replace(
                        planned,
                        target_name=name,
                        expected=copy.xxh3_128 if copy else b"",
                        unkept=copy.unkept_of(planned) if copy else b"",
                    )
                )
        batch = pack_anew(list(groups.values()))
        if batch is not None:
            result.batches.append(msgspec.structs.replace(batch, sort_key=packed.sort_key))
    return result


def with_folders(
    connection: Connection, plan: ExecutionPlan, found: Sequence[FoundFolder], result: Retargeted
) -> list[FoundFolder]:
    """The folders that are to get their metadata: those found, or those of the original places.

    For original places these are the folders that hold the files, all those above, and the found
    ones that the catalogue knows; the outer ones come first.
    """
    known = _folder_nodes(connection, plan, found)
    if not plan.original_place:
        nodes = catalogue.folders_above(connection, list(known.values()))
        return [
            msgspec.structs.replace(each, unkept=nodes[known[each.source, each.path]].lost)
            if known.get((each.source, each.path)) in nodes
            else each
            for each in found
        ]
    origins = dict(result.origins)
    nodes = catalogue.folders_above(connection, [*origins, *known.values()])
    by_place = {(node.root_id, node.path): node for node in nodes.values()}
    wanted: dict[tuple[int, bytes], FoundFolder] = {}
    for (source, path), node_id in known.items():
        node = nodes.get(node_id)
        back = None if node is None else _source_to(plan, source, node.root_id)
        if node is not None and back is not None:
            _add_chain(node, _Origin(back, path), by_place, wanted)
    for node_id, place in catalogue.places_of(connection, list(origins)).items():
        folder = by_place.get((place.root_id, place.folder))
        if folder is not None:
            _add_chain(folder, origins[node_id], by_place, wanted)
    return [wanted[key] for key in sorted(wanted)]


def _add_chain(
    node: FolderNode,
    origin: _Origin,
    by_place: dict[tuple[int, bytes], FolderNode],
    wanted: dict[tuple[int, bytes], FoundFolder],
) -> None:
    """Add the folder and those above it, each with the place of its copy as far as names agree."""
    copy = origin.folder
    path = node.path
    while path:
        above, name = paths.split(path)
        copy_above, copy_name = paths.split(copy)
        copy = copy if copy_name == name else b""
        key = (origin.source, path)
        present = wanted.get(key)
        if present is not None and (present.path or not copy):
            return
        folder = by_place[node.root_id, path]
        if folder.entry.ctime_ns:  # 0: only its name is known
            wanted[key] = FoundFolder(origin.source, copy, path, folder.entry, unkept=folder.lost)
        path, copy = above, copy_above if copy else b""


def _folder_nodes(
    connection: Connection, plan: ExecutionPlan, found: Sequence[FoundFolder]
) -> dict[tuple[int, bytes], int]:
    """The catalogue's nodes of folders that are copies, by source and path."""
    by_source: dict[int, list[bytes]] = {}
    for each in found:
        if plan.sources[each.source].root_id is None:
            by_source.setdefault(each.source, []).append(each.path)
    return {
        (source, path): node_id
        for source, chosen in by_source.items()
        for path, node_id in catalogue.files_at(
            connection, plan.sources[source].storage.reference, chosen
        ).items()
    }


@dataclass(frozen=True, slots=True)
class _Copy:
    file_id: int
    place: Place
    xxh3_128: bytes
    is_superseded: bool  # a newer copy goes to the file's place
    size: int
    unkept: bytes  # what it does not bear of the original

    def unkept_of(self, planned: PlannedFile) -> bytes:
        """What the file does not bear, if it is what was archived."""
        return self.unkept if planned.entry.size == self.size else b""


def _known(connection: Connection, plan: ExecutionPlan, group: CopyGroup) -> dict[bytes, _Copy]:
    """What the catalogue knows of the group's files, by their path on the source storage."""
    reference = plan.sources[group.source].storage.reference
    wanted = [paths.join(group.folder, planned.entry.name) for planned in group.files]
    unkept = catalogue.unkept_at(connection, reference, wanted)
    files = catalogue.files_at(connection, reference, wanted)
    places = catalogue.places_of(connection, list(files.values()))
    hashes = catalogue.hashes_at(connection, reference, wanted)
    older = superseded(connection, plan, reference, files) if plan.original_place else set()
    return {
        path: _Copy(
            file_id,
            places[file_id],
            hashes.get(path, b""),
            path in older,
            *unkept.get(path, (0, b"")),
        )
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
    source = _source_to(plan, group.source, copy.place.root_id)
    if source is None:
        return "the container or pool that it came from is not there any more"
    return source, copy.place.folder, copy.place.name


def _source_to(plan: ExecutionPlan, source: int, root_id: int) -> int | None:
    """The index of the same source with this root as its destination."""
    for index, destination in enumerate(plan.destinations):
        if destination.root_id == root_id:
            count = len(plan.sources) // len(plan.destinations)
            return index * count + source % count
    return None


def _superseded(
    group: CopyGroup,
    planned: PlannedFile,
    goal: tuple[int, bytes, bytes],
    place: int,
    finished_ns: int,
) -> Record:
    source, target, name = goal
    return Record(
        place=place,
        source=source,
        folder=group.folder,
        entry=planned.entry,
        outcome=Outcome.KEPT,
        target_path=paths.join(target, name),
        xxh3_128=b"",
        checksum=b"",
        failure=None,
        callback_id=0,
        attempts=1,
        finished_ns=finished_ns,
    )


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
