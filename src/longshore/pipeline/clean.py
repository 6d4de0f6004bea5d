"""Removing the staged files of a batch that will not be finished."""

from __future__ import annotations

import msgspec

from longshore.domain.errors import Side, Stage, StorageError, StorageUnavailable
from longshore.pipeline import big
from longshore.pipeline.links import link_name
from longshore.pipeline.messages.replies import CleanReply, Lost
from longshore.pipeline.messages.work import CopyGroup, CopyWork, PlannedFile, Segments
from longshore.pipeline.toolbox import Toolbox, failure_of
from longshore.storage.handler import Folder

_decoder = msgspec.msgpack.Decoder(CopyWork)


def run(payload: bytes, toolbox: Toolbox) -> CleanReply:
    """Remove every staged file of the batch: its payload is that of the copy work it was."""
    removed = 0
    try:
        work = _decoder.decode(payload)
        for group in work.groups:
            removed += _clean(group, work.big, toolbox)
    except StorageUnavailable as error:
        return CleanReply(
            removed, Lost(Side.DESTINATION, failure_of(error, Stage.PUBLISH, Side.DESTINATION))
        )
    return CleanReply(removed)


def _clean(group: CopyGroup, segments: Segments | None, toolbox: Toolbox) -> int:
    """The number of staged files of the group that were there and are removed."""
    try:
        folder = toolbox.destination_of(group.source).open_folder(group.target)
    except StorageUnavailable:
        raise
    except StorageError:
        return 0  # a folder that is not there, or not to be entered, holds no staged file of ours
    with folder:
        names = {name for planned in group.files for name in _names(planned, group, toolbox)}
        return sum(_remove(folder, name, segments) for name in names)


def _names(planned: PlannedFile, group: CopyGroup, toolbox: Toolbox) -> list[bytes]:
    name = toolbox.temporary_name(group, planned)
    return [name, link_name(name)] if planned.entry.links > 1 else [name]


def _remove(folder: Folder, name: bytes, segments: Segments | None) -> bool:
    try:
        big.drop(folder, name, segments)
    except StorageUnavailable:
        raise
    except StorageError:
        return False  # it is hidden from listings and tasks, so nothing mistakes it for a file
    return True
