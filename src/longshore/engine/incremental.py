"""Leaving out of an incremental backup what an earlier backup of the task holds unchanged.

without checksums   scan ──> same size and time: left out ──> everything else is copied
with checksums      scan ──> same size: read and hashed by a mover ──> same content: left out
                         └─> everything else is copied            └──> everything else is copied
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import xxhash
from sqlalchemy import Connection

from longshore.database import catalogue, known_copies
from longshore.database.known_copies import HeldCopy
from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.engine.folder_ids import FolderId
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.work import CopyGroup, CopyWork, PackedWork, PlannedFile
from longshore.pipeline.packing import pack_anew

_decoder = msgspec.msgpack.Decoder(CopyWork)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A backed-up copy, and which of the destination's storages has it."""

    copy: HeldCopy
    share: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What is left to be copied or read first, and the records of what is neither."""

    batches: list[PackedWork] = field(default_factory=list)
    to_compare: list[PackedWork] = field(default_factory=list)
    unchanged: list[Record] = field(default_factory=list)


def leave_out(
    connection: Connection,
    plan: ExecutionPlan,
    batches: Sequence[PackedWork],
    *,
    folder_id: FolderId,
    first_place: int,
    finished_ns: int,
) -> Changed:
    """Compare planned files with the copies of earlier backups.

    Where the task has checksums a file that might be the same is to be read before anybody knows.
    """
    changed = Changed()
    for packed in batches:
        to_copy, to_read = [], []
        for group in _decoder.decode(packed.payload).groups:
            known = _known(connection, plan, group, folder_id)
            copied, read = [], []
            for planned in group.files:
                held = known.get(planned.entry.name, [])
                same = _same(plan, planned.entry, held)
                if same is not None:
                    place = first_place + len(changed.unchanged)
                    changed.unchanged.append(_record(group, planned, same, place, finished_ns))
                elif _may_be_same(plan, planned.entry, held):
                    read.append(planned)
                else:
                    copied.append(planned)
            to_copy.append(msgspec.structs.replace(group, files=copied))
            to_read.append(msgspec.structs.replace(group, files=read))
        changed.batches.extend(_packed(to_copy, packed.sort_key))
        changed.to_compare.extend(_packed(to_read, packed.sort_key))
    return changed


def after_reading(
    connection: Connection,
    plan: ExecutionPlan,
    payload: bytes,
    records: Sequence[Record],
    *,
    folder_id: FolderId,
    sort_key: bytes,
) -> Changed:
    """What becomes of files of this payload that were read: the same content is left out.

    A file that could not be read is copied, too: whoever copies tries again, and says why it fails.
    """
    changed = Changed()
    read = {record.place: record for record in records}
    to_copy = []
    for group in _decoder.decode(payload).groups:
        files = [planned for planned in group.files if planned.place in read]
        if not files:
            continue
        known = _known(connection, plan, msgspec.structs.replace(group, files=files), folder_id)
        copied = []
        for planned in files:
            record = read[planned.place]
            same = _same_content(plan, planned, record, known.get(planned.entry.name, []))
            if same is None:
                copied.append(planned)
            else:
                changed.unchanged.append(_with_copy(record, same))
        to_copy.append(msgspec.structs.replace(group, files=copied))
    changed.batches.extend(_packed(to_copy, sort_key))
    return changed


def _packed(groups: list[CopyGroup], sort_key: bytes) -> list[PackedWork]:
    packed = pack_anew(groups)
    return [] if packed is None else [msgspec.structs.replace(packed, sort_key=sort_key)]


def _known(
    connection: Connection, plan: ExecutionPlan, group: CopyGroup, folder_id: FolderId
) -> dict[bytes, list[Held]]:
    """The backed-up copies of the group's files, by name."""
    source = plan.sources[group.source]
    if source.root_id is None:
        return {}
    names = sorted(planned.entry.name for planned in group.files)
    parent_id = folder_id(source.root_id, group.folder)
    ids = catalogue.children_between(connection, parent_id, names[0], names[-1])
    found: dict[int, list[Held]] = {}
    for number, share in enumerate(plan.destinations[source.destination].shares()):
        copies = known_copies.copies_of(
            connection, list(ids.values()), share.reference, plan.base_executions
        )
        for file_id, held in copies.items():
            found.setdefault(file_id, []).extend(Held(copy=each, share=number) for each in held)
    return {name: found[file_id] for name, file_id in ids.items() if file_id in found}


def _same(plan: ExecutionPlan, entry: Entry, held: Sequence[Held]) -> Held | None:
    """The copy that the listing alone shows to be the same, if there is one."""
    if plan.checksum is ChecksumKind.NONE:
        state = (entry.size, entry.mtime_ns)
        return next((each for each in held if (each.copy.size, each.copy.mtime_ns) == state), None)
    if entry.kind is not EntryKind.SYMLINK:
        return None
    digest = xxhash.xxh3_128_digest(entry.link_target)  # the content of a link is its target
    return next((each for each in held if each.copy.xxh3_128 == digest), None)


def _may_be_same(plan: ExecutionPlan, entry: Entry, held: Sequence[Held]) -> bool:
    """Whether reading the file can show that it is the same as a copy."""
    return (
        plan.checksum is not ChecksumKind.NONE
        and entry.kind is EntryKind.FILE
        and any(
            each.copy.size == entry.size
            and (each.copy.xxh3_128 or _has_checksum(each.copy, plan.checksum))
            for each in held
        )
    )


def _same_content(
    plan: ExecutionPlan, planned: PlannedFile, record: Record, held: Sequence[Held]
) -> Held | None:
    """The copy with the content that was read, unless the file has grown or shrunk since found."""
    if record.outcome is not Outcome.VERIFIED or record.entry.size != planned.entry.size:
        return None
    return next((each for each in held if _has_content(each.copy, record, plan.checksum)), None)


def _has_content(copy: HeldCopy, record: Record, kind: ChecksumKind) -> bool:
    if copy.size != record.entry.size:
        return False
    if copy.xxh3_128:
        return copy.xxh3_128 == record.xxh3_128
    return _has_checksum(copy, kind) and copy.checksum == record.checksum


def _has_checksum(copy: HeldCopy, kind: ChecksumKind) -> bool:
    """Whether the copy has the task's checksum, as one that a store has made by itself may."""
    return bool(copy.checksum) and copy.checksum_kind == kind.value


def _with_copy(record: Record, same: Held) -> Record:
    return msgspec.structs.replace(
        record, outcome=Outcome.IDENTICAL, target_path=same.copy.path, share=same.share
    )


def _record(
    group: CopyGroup, planned: PlannedFile, same: Held, place: int, finished_ns: int
) -> Record:
    return Record(
        place=place,
        source=group.source,
        folder=group.folder,
        entry=planned.entry,
        outcome=Outcome.IDENTICAL,
        target_path=same.copy.path,
        xxh3_128=b"",
        checksum=b"",
        failure=None,
        callback_id=0,
        attempts=1,
        finished_ns=finished_ns,
        share=same.share,
    )
