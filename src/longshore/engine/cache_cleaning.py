"""Choosing what may leave a container's cache: what is archived and verified, and long at rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection

from longshore.database import catalogue
from longshore.domain.storage import StorageReference
from longshore.engine.incremental import FolderId
from longshore.pipeline.messages import CopyGroup, CopyWork, ExecutionPlan, PackedWork, PlannedFile
from longshore.pipeline.packing import pack_anew

_decoder = msgspec.msgpack.Decoder(CopyWork)


def eligible(
    connection: Connection,
    plan: ExecutionPlan,
    batches: Sequence[PackedWork],
    *,
    folder_id: FolderId,
    archives: Collection[StorageReference],
    changed_before_ns: int,
) -> list[PackedWork]:
    """The batches without what has to stay, the least recently read files first.

    Only copies in the archives count: what lies on primary storage may change or go at any time.
    """
    kept = []
    for packed in batches:
        groups = [
            msgspec.structs.replace(
                group, files=_files(connection, plan, group, folder_id, archives, changed_before_ns)
            )
            for group in _decoder.decode(packed.payload).groups
        ]
        rest = pack_anew(groups)
        if rest is not None:
            kept.append(msgspec.structs.replace(rest, sort_key=packed.sort_key))
    return kept


def _files(
    connection: Connection,
    plan: ExecutionPlan,
    group: CopyGroup,
    folder_id: FolderId,
    archives: Collection[StorageReference],
    changed_before_ns: int,
) -> list[PlannedFile]:
    root_id = plan.sources[group.source].root_id
    if root_id is None:
        return []
    names = sorted(planned.entry.name for planned in group.files)
    ids = catalogue.children_between(
        connection, folder_id(root_id, group.folder), names[0], names[-1]
    )
    safe = catalogue.verified_on(connection, list(ids.values()), archives)
    chosen = [
        planned
        for planned in group.files
        if (planned.entry.size, planned.entry.mtime_ns)
        in safe.get(ids.get(planned.entry.name, 0), ())
        and max(planned.entry.mtime_ns, planned.entry.ctime_ns) < changed_before_ns
    ]
    return sorted(chosen, key=lambda planned: planned.entry.atime_ns)
