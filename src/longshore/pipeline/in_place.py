"""Erasing and checking files where they are: one slice of a batch that goes nowhere."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from longshore.domain import paths
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
from longshore.domain.task import WorkflowAction
from longshore.pipeline.copying import lost_storage
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.messages import (
    CopyGroup,
    CopyWork,
    FileReply,
    Lost,
    PackedWork,
    PlannedFile,
    Record,
)
from longshore.pipeline.packing import pack_groups
from longshore.pipeline.release import is_same
from longshore.pipeline.toolbox import Toolbox, failure_of
from longshore.storage.handler import Folder

_decoder = msgspec.msgpack.Decoder(CopyWork)

Deed = Callable[[CopyGroup, PlannedFile, Folder, Toolbox], Record]


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
    return FileReply(records, _remaining(groups, records), toolbox.warnings, lost)


def _do_group(group: CopyGroup, toolbox: Toolbox, deed: Deed, *, begun: bool) -> list[Record]:
    records: list[Record] = []
    try:
        with toolbox.sources[group.source].open_folder(group.folder) as folder:
            for planned in group.files:
                if (begun or records) and toolbox.time_is_up():
                    break
                records.append(_do(group, planned, folder, toolbox, deed))
    except StorageUnavailable:
        raise
    except StorageError as error:
        return [_failed(group, planned, error, toolbox) for planned in group.files]
    return records


def _do(
    group: CopyGroup, planned: PlannedFile, folder: Folder, toolbox: Toolbox, deed: Deed
) -> Record:
    try:
        return deed(group, planned, folder, toolbox)
    except StorageUnavailable:
        raise
    except StorageError as error:
        return _failed(group, planned, error, toolbox)


def _erase(group: CopyGroup, planned: PlannedFile, folder: Folder, toolbox: Toolbox) -> Record:
    try:
        standing = folder.stat(planned.entry.name)
        if not is_same(standing, planned.entry):
            raise _changed(folder, planned)
        folder.remove(planned.entry.name)
    except StorageError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        # It is gone: erased before a crash, or by somebody else.
    freed = toolbox.plan.action is WorkflowAction.CACHE_CLEANING
    return _record(group, planned, toolbox, Outcome.FREED if freed else Outcome.ERASED)


def _check(group: CopyGroup, planned: PlannedFile, folder: Folder, toolbox: Toolbox) -> Record:
    hasher = Hasher(toolbox.plan.checksum)
    with folder.open(planned.entry.name) as reader:
        entry = reader.stat()
        offset = 0
        while count := reader.read_into(toolbox.buffer, offset):
            hasher.update(toolbox.buffer[:count])
            offset += count
        if not is_same(reader.stat(), entry) or offset != entry.size:
            raise _changed(folder, planned)
    return toolbox.record(
        planned.place,
        group.source,
        group.folder,
        msgspec.structs.replace(entry, name=planned.entry.name),
        Outcome.VERIFIED,
        xxh3_128=hasher.xxh3_128(),
        checksum=hasher.checksum(),
    )


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
