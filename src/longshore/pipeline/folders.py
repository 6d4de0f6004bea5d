"""Making folders and giving them their metadata, after everything inside them is in place."""

from __future__ import annotations

import msgspec

from longshore.domain import paths
from longshore.domain.errors import Side, Stage, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.pipeline.copying import lost_storage
from longshore.pipeline.messages import (
    FolderReply,
    FoldersWork,
    FoundFolder,
    Lost,
    PackedWork,
    Record,
    encode,
)
from longshore.pipeline.toolbox import Toolbox, failure_of
from longshore.pipeline.transfer import metadata_of, warn_of_lost

_decoder = msgspec.msgpack.Decoder(FoldersWork)


def run(payload: bytes, toolbox: Toolbox) -> FolderReply:
    """Settle folders until the slice ends; what is left comes back."""
    work = _decoder.decode(payload)
    done: list[FoundFolder] = []
    records: list[Record] = []
    lost: Lost | None = None
    settled = 0
    for found in work.folders:
        if settled and toolbox.time_is_up():
            break
        try:
            _settle(found, toolbox)
            done.append(found)
        except StorageUnavailable as error:
            lost = lost_storage(error, found.source, toolbox)
            break
        except StorageError as error:
            records.append(_failed(found, error, work.next_place + settled, toolbox))
        settled += 1
    if lost is None:
        toolbox.make_durable({found.source for found in done})
    rest = FoldersWork(work.folders[settled:], work.next_place + settled)
    remaining = PackedWork(len(rest.folders), 0, encode(rest)) if rest.folders else None
    return FolderReply(done, records, remaining, toolbox.warnings, lost)


def _settle(found: FoundFolder, toolbox: Toolbox) -> None:
    with toolbox.destination_of(found.source).open_folder(found.target, create=True) as folder:
        warn_of_lost(folder.set_metadata(b"", metadata_of(found.entry)), toolbox)


def _failed(found: FoundFolder, error: StorageError, place: int, toolbox: Toolbox) -> Record:
    parent, _ = paths.split(found.path)
    failure = failure_of(error, Stage.PUBLISH, Side.DESTINATION)
    return toolbox.record(place, found.source, parent, found.entry, Outcome.FAILED, failure=failure)
