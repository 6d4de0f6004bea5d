"""Erasing and checking files where they are: one slice of a batch that goes nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import (
    ErrorKind,
    FileFailure,
    RetryClass,
    Side,
    Stage,
    StorageError,
    StorageUnavailable,
)
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.task import WorkflowAction
from longshore.pipeline import crew
from longshore.pipeline.copying import lost_storage
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.messages.replies import FileReply, Lost
from longshore.pipeline.messages.work import CopyGroup, CopyWork, PackedWork, PlannedFile
from longshore.pipeline.packing import pack_groups
from longshore.pipeline.passes import PASSES_KEPT
from longshore.pipeline.release import is_same
from longshore.pipeline.toolbox import Toolbox, failure_of
from longshore.storage.handler import Folder, SourceFile

_decoder = msgspec.msgpack.Decoder(CopyWork)

Deed = Callable[[CopyGroup, PlannedFile, Folder, Toolbox], Record | None]
"""The record of one file; None when the slice ended inside it."""


@dataclass(slots=True)
class _Reading:
    """A file that a slice ended inside of: what it was at its beginning, and how far it is read."""

    entry: Entry
    hasher: Hasher
    offset: int = 0


def erase(payload: bytes, toolbox: Toolbox) -> FileReply:
    """Remove files that still are what the scan has seen, until the slice ends."""
    return _run(payload, toolbox, _erase)


def check(payload: bytes, toolbox: Toolbox) -> FileReply:
    """Read files and hash them, until the slice ends; the controller compares the hashes."""
    return _run(payload, toolbox, _check)


def _run(payload: bytes, toolbox: Toolbox, deed: Deed) -> FileReply:
    groups = _decoder.decode(payload).groups
    records: list[Record] = []
    lost: Lost | None = None
    for group in groups:
        try:
            records += _do_group(group, toolbox, deed, begun=bool(records))
        except StorageUnavailable as error:
            lost = lost_storage(error, group.source, toolbox)
            break
        if toolbox.time_is_up():
            break
    inside = _place_of_reading(toolbox) in toolbox.passes
    rest = _remaining(groups, records)
    return FileReply(records, rest, toolbox.warnings, lost, inside=inside)


def _do_group(group: CopyGroup, toolbox: Toolbox, deed: Deed, *, begun: bool) -> list[Record]:
    records: list[Record] = []
    storage = toolbox.sources[group.source]
    try:
        with storage.open_folder(group.folder) as folder:
            for _, record in crew.each(
                group.files,
                lambda planned: _do(group, planned, folder, toolbox, deed),
                # Reading uses the one buffer; a storage that is far away reads ahead by itself.
                at_once=crew.operations_of(storage) if deed is _erase else 1,
                ends=lambda: (begun or bool(records)) and toolbox.time_is_up(),
            ):
                if record is None:
                    break
                records.append(record)
    except StorageUnavailable:
        raise
    except StorageError as error:
        return [_failed(group, planned, error, toolbox) for planned in group.files]
    return records


def _do(
    group: CopyGroup, planned: PlannedFile, folder: Folder, toolbox: Toolbox, deed: Deed
) -> Record | None:
    try:
        return deed(group, planned, folder, toolbox)
    except StorageUnavailable:
        raise
    except StorageError as error:
        return _failed(group, planned, error, toolbox)


def _erase(group: CopyGroup, planned: PlannedFile, folder: Folder, toolbox: Toolbox) -> Record:
    try:
        capabilities = toolbox.sources[group.source].capabilities
        standing = folder.stat(planned.entry.name)
        if not is_same(standing, planned.entry, capabilities):
            raise _changed(folder, planned)
        folder.remove(planned.entry.name)
    except StorageError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        # It is gone: erased before a crash, or by somebody else.
    freed = toolbox.plan.action is WorkflowAction.CACHE_CLEANING
    return _record(group, planned, toolbox, Outcome.FREED if freed else Outcome.ERASED)


def _check(
    group: CopyGroup, planned: PlannedFile, folder: Folder, toolbox: Toolbox
) -> Record | None:
    with folder.open(planned.entry.name) as reader:
        reading = _reading(planned, reader, toolbox)
        while count := reader.read_into(toolbox.buffer, reading.offset):
            reading.hasher.update(toolbox.buffer[:count])
            reading.offset += count
            if reading.offset < reading.entry.size and toolbox.time_is_up():
                _remember((planned.place, reading), toolbox)
                return None
        capabilities = toolbox.sources[group.source].capabilities
        is_whole = reading.offset == reading.entry.size
        if not is_whole or not is_same(reader.stat(), reading.entry, capabilities):
            raise _changed(folder, planned)
    return toolbox.record(
        planned.place,
        group.source,
        group.folder,
        msgspec.structs.replace(reading.entry, name=planned.entry.name),
        Outcome.VERIFIED,
        xxh3_128=reading.hasher.xxh3_128(),
        checksum=reading.hasher.checksum(),
    )


def _reading(planned: PlannedFile, reader: SourceFile, toolbox: Toolbox) -> _Reading:
    """How far the file is read; from its start if nobody remembers.

    One that was changed since keeps the state of its beginning, and fails at its end.
    """
    place, known = toolbox.passes.pop(_place_of_reading(toolbox), (None, None))
    if isinstance(known, _Reading) and place == planned.place:
        return known
    return _Reading(reader.stat(), Hasher(toolbox.plan.checksum))


def _remember(reading: tuple[int, _Reading], toolbox: Toolbox) -> None:
    kept = toolbox.passes
    kept[_place_of_reading(toolbox)] = reading
    while len(kept) > PASSES_KEPT:
        del kept[next(iter(kept))]


def _place_of_reading(toolbox: Toolbox) -> bytes:
    """Where the mover keeps it: an item of work has one file under way at most."""
    return b"check-%d" % toolbox.work_id


def _changed(folder: Folder, planned: PlannedFile) -> StorageError:
    path = paths.join(folder.path, planned.entry.name)
    kind, cause = ErrorKind.CHANGED_WHILE_READ, "it was changed meanwhile, so it is left alone"
    return StorageError(kind, RetryClass.NEVER, "process", path, cause)


def _failed(
    group: CopyGroup, planned: PlannedFile, error: StorageError, toolbox: Toolbox
) -> Record:
    failure = failure_of(error, Stage.TRANSFER, Side.SOURCE)
    return _record(group, planned, toolbox, Outcome.FAILED, failure=failure)


def _record(
    group: CopyGroup,
    planned: PlannedFile,
    toolbox: Toolbox,
    outcome: Outcome,
    *,
    failure: FileFailure | None = None,
) -> Record:
    entry = planned.entry
    return toolbox.record(
        planned.place, group.source, group.folder, entry, outcome, failure=failure
    )


def _remaining(groups: list[CopyGroup], records: list[Record]) -> PackedWork | None:
    done = {record.place for record in records}
    return pack_groups(
        [
            msgspec.structs.replace(group, files=[f for f in group.files if f.place not in done])
            for group in groups
        ]
    )
