"""Removing the staged files of a batch that will not be finished."""

from __future__ import annotations

import msgspec

from longshore.domain.errors import Side, Stage, StorageError, StorageUnavailable
from longshore.pipeline.messages import CleanReply, CopyWork, Lost
from longshore.pipeline.toolbox import Toolbox, failure_of

_decoder = msgspec.msgpack.Decoder(CopyWork)


def run(payload: bytes, toolbox: Toolbox) -> CleanReply:
    """Remove every staged file of the batch: its payload is that of the copy work it was."""
    removed = 0
    try:
        for target in {group.target for group in _decoder.decode(payload).groups}:
            removed += _clean(target, toolbox)
    except StorageUnavailable as error:
        return CleanReply(
            removed, Lost(Side.DESTINATION, failure_of(error, Stage.PUBLISH, Side.DESTINATION))
        )
    return CleanReply(removed)


def _clean(target: bytes, toolbox: Toolbox) -> int:
    """The number of staged files of this execution that were removed from the folder."""
    prefix = toolbox.temporary_prefix()
    removed = 0
    try:
        with toolbox.destination.open_folder(target) as folder:
            for name in folder.staged_names():
                if name.startswith(prefix):
                    folder.remove(name)
                    removed += 1
    except StorageUnavailable:
        raise
    except StorageError as error:
        toolbox.warn(f"staged files were left behind: {error}")
    return removed
