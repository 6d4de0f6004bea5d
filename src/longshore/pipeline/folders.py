"""Giving folders their metadata, after everything inside them is in place."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from longshore.domain import paths
from longshore.domain.errors import ErrorKind, Side, Stage, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.pipeline import copying
from longshore.pipeline.copying import lost_storage
from longshore.pipeline.keeping import keep, original
from longshore.pipeline.messages.replies import FolderReply, LookReply, Lost
from longshore.pipeline.messages.work import FoldersWork, FoundFolder, LookWork, PackedWork, encode
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.storage.handler import Metadata

_decoder = msgspec.msgpack.Decoder(FoldersWork)
_look_decoder = msgspec.msgpack.Decoder(LookWork)


def run(payload: bytes, toolbox: Toolbox) -> FolderReply:
    """Settle folders until the slice ends; what is left comes back."""
    work = _decoder.decode(payload)
    done: list[FoundFolder] = []
    records: list[Record] = []
    lost: Lost | None = None
    settled, attempts, pause_seconds = 0, work.attempts, 0.0
    # Innermost first: the mode of an outer one may forbid to enter it.
    for found in reversed(work.folders):
        if settled and toolbox.time_is_up():
            break
        try:
            done.append(_settle(found, toolbox))
        except StorageUnavailable as error:
            lost = lost_storage(error, found.source, toolbox)
            break
        except StorageError as error:
            if may_try_again(error) and attempts + 1 < copying.ATTEMPTS_MAXIMUM:
                pause_seconds = copying.pause_seconds(attempts, toolbox)
                attempts += 1
                break
            records.append(_failed(found, error, work.next_place + settled, toolbox))
        settled, attempts = settled + 1, 0
    if lost is None and done:
        lost = _secure(done, toolbox)
        if lost is not None:
            # What is not durable is not done: everything of this slice is done again.
            return FolderReply([], [], _pack(work), toolbox.warnings, lost)
    left = work.folders[: len(work.folders) - settled]
    rest = FoldersWork(left, work.next_place + settled, attempts)
    return FolderReply(done, records, _pack(rest), toolbox.warnings, lost, pause_seconds)


def _secure(done: list[FoundFolder], toolbox: Toolbox) -> Lost | None:
    """Make the metadata durable; the storage is lost if that fails."""
    try:
        toolbox.make_durable({found.source for found in done})
    except StorageUnavailable as error:
        return lost_storage(error, done[0].source, toolbox)
    except StorageError as error:
        return Lost(Side.DESTINATION, failure_of(error, Stage.PUBLISH, Side.DESTINATION))
    return None


def _pack(work: FoldersWork) -> PackedWork | None:
    return PackedWork(len(work.folders), 0, encode(work)) if work.folders else None


def _settle(found: FoundFolder, toolbox: Toolbox) -> FoundFolder:
    """Give one folder its metadata; the folder as it was meant, and what was not kept of that."""
    entry, attributes = original(found.entry, _attributes(found, toolbox), found.unkept)
    with toolbox.destination_of(found.source).open_folder(found.target, create=True) as folder:

        def set_metadata(metadata: Metadata) -> tuple[str, ...]:
            return folder.set_metadata(b"", metadata)

        lost = keep(set_metadata, entry, attributes, toolbox)
    share = toolbox.share_of(found.source, found.target)
    return msgspec.structs.replace(found, entry=entry, lost=lost, share=share)


def look(payload: bytes, toolbox: Toolbox) -> LookReply:
    """Find out which folders are missing at the destination, until the slice ends."""
    work = _look_decoder.decode(payload)
    missing = list(work.missing)
    looked = 0
    lost: Lost | None = None
    for found in work.folders:
        if looked and toolbox.time_is_up():
            break
        try:
            if _is_missing(found, toolbox):
                missing.append(found)
        except StorageUnavailable as error:
            lost = lost_storage(error, found.source, toolbox)
            break
        looked += 1
    rest = work.folders[looked:]
    if not rest:
        return LookReply(missing, work.batches, None)
    left = encode(LookWork(rest, work.batches, missing))
    return LookReply([], [], PackedWork(0, 0, left), lost)


def _is_missing(found: FoundFolder, toolbox: Toolbox) -> bool:
    try:
        toolbox.destination_of(found.source).open_folder(found.target).close()
    except StorageUnavailable:
        raise
    except StorageError as error:
        return error.kind is ErrorKind.NOT_FOUND
    return False


def _attributes(found: FoundFolder, toolbox: Toolbox) -> Mapping[bytes, bytes] | None:
    """The source folder's attributes; None when it has none there, or cannot be read."""
    storage = toolbox.sources[found.source]
    if not found.path or not storage.capabilities.extended_attributes:
        return None
    try:
        with storage.open_folder(found.path) as folder:
            return folder.attributes(b"")
    except StorageUnavailable:
        raise
    except StorageError:
        toolbox.warn("attributes of a source folder could not be read")
        return None


def _failed(found: FoundFolder, error: StorageError, place: int, toolbox: Toolbox) -> Record:
    parent, _ = paths.split(found.path)
    failure = failure_of(error, Stage.PUBLISH, Side.DESTINATION)
    return toolbox.record(place, found.source, parent, found.entry, Outcome.FAILED, failure=failure)
