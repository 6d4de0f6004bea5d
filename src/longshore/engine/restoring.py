"""Bringing archived files back with all that is known of them, whatever their copies bear.

What comes from secondary storage, by restore and by copy and move, gets the metadata back that the
archive could not keep. A restore without a destination also makes the folders of the original
places as the catalogue has them. Which copy goes where is a matter of `retargeting`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue, known_copies
from longshore.database.catalogue import FolderNode
from longshore.domain import paths
from longshore.domain.task import WorkflowAction
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.work import CopyWork, FoundFolder, PackedWork, encode

_decoder = msgspec.msgpack.Decoder(CopyWork)


COMING_BACK = frozenset({WorkflowAction.RESTORE, WorkflowAction.COPY, WorkflowAction.MOVE})
"""Actions that may bring files back from secondary storage."""


def comes_back(plan: ExecutionPlan) -> bool:
    """Whether the plan reads copies that the catalogue may know more of than they bear."""
    return plan.action in COMING_BACK and any(each.root_id is None for each in plan.sources)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file or folder that goes back to its place was found."""

    source: int  # index of the source that leads to its place
    folder: bytes  # on the source storage: of a file the one it lies in


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
            else known_copies.unkept_at(connection, source.storage.reference, list(wanted))
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


def with_folders(
    connection: Connection,
    plan: ExecutionPlan,
    found: Sequence[FoundFolder],
    origins: Mapping[int, Origin],
) -> list[FoundFolder]:
    """The folders that are to get their metadata: those found, or those of the original places.

    For original places these are the folders that hold the files, all those above, and the found
    ones that the catalogue knows; the outer ones come first. `origins` are the files by their node.
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
    nodes = catalogue.folders_above(connection, [*origins, *known.values()])
    by_place = {(node.root_id, node.path): node for node in nodes.values()}
    wanted: dict[tuple[int, bytes], FoundFolder] = {}
    for (source, path), node_id in known.items():
        node = nodes.get(node_id)
        back = None if node is None else source_to(plan, source, node.root_id)
        if node is not None and back is not None:
            _add_chain(node, Origin(back, path), by_place, wanted)
    for node_id, place in catalogue.places_of(connection, list(origins)).items():
        folder = by_place.get((place.root_id, place.folder))
        if folder is not None:
            _add_chain(folder, origins[node_id], by_place, wanted)
    return [wanted[key] for key in sorted(wanted)]


def _add_chain(
    node: FolderNode,
    origin: Origin,
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
        for path, node_id in known_copies.files_at(
            connection, plan.sources[source].storage.reference, chosen
        ).items()
    }


def source_to(plan: ExecutionPlan, source: int, root_id: int) -> int | None:
    """The index of the same source with this root as its destination."""
    for index, destination in enumerate(plan.destinations):
        if destination.root_id == root_id:
            count = len(plan.sources) // len(plan.destinations)
            return index * count + source % count
    return None
