"""Removing the sources of a move, once their copies are verified, durable and on record.

A source is removed only if it still is the file that was read: same kind, size, time and identity,
and the same time of change where the storage tells it.
One that was changed meanwhile stays, with a warning; nothing that was not copied is ever removed.
"""

from __future__ import annotations

import msgspec

from longshore.domain import paths
from longshore.domain.entry import Entry, is_unchanged
from longshore.domain.errors import ErrorKind, StorageError, StorageUnavailable, show
from longshore.domain.storage import Capabilities
from longshore.pipeline import crew
from longshore.pipeline.copying import lost_storage
from longshore.pipeline.messages.replies import Lost, PruneReply, ReleaseReply
from longshore.pipeline.messages.work import (
    FoldersWork,
    FoundFolder,
    PackedWork,
    ReleaseGroup,
    ReleaseWork,
    encode,
)
from longshore.pipeline.published import look
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.handler import Folder

_release_decoder = msgspec.msgpack.Decoder(ReleaseWork)
_folders_decoder = msgspec.msgpack.Decoder(FoldersWork)


def run(payload: bytes, toolbox: Toolbox) -> ReleaseReply:
    """Remove sources until the slice ends; what is left comes back."""
    groups = _release_decoder.decode(payload).groups
    released: list[ReleaseGroup] = []
    kept: list[str] = []
    lost: Lost | None = None
    settled = 0
    for group in groups:
        if settled and toolbox.time_is_up():
            break
        try:
            released.append(_release(group, kept, toolbox))
        except StorageUnavailable as error:
            lost = lost_storage(error, group.source, toolbox)
            break
        settled += 1
    return ReleaseReply(released, kept, _pack(groups[settled:]), toolbox.warnings, lost)


def prune(payload: bytes, toolbox: Toolbox) -> PruneReply:
    """Remove the folders that are empty now, the deepest first: they were listed top down."""
    removed: list[FoundFolder] = []
    for found in reversed(_folders_decoder.decode(payload).folders):
        try:
            if _prune(found, toolbox):
                removed.append(found)
        except StorageUnavailable as error:
            return PruneReply(removed, lost_storage(error, found.source, toolbox))
    return PruneReply(removed)


def pack(groups: list[ReleaseGroup]) -> PackedWork | None:
    """The release of these files as a work item."""
    return _pack(groups)


def _pack(groups: list[ReleaseGroup]) -> PackedWork | None:
    if not groups:
        return None
    entries = [entry for group in groups for entry in group.entries]
    size = sum(entry.size for entry in entries)
    return PackedWork(len(entries), size, encode(ReleaseWork(groups)))


def _release(group: ReleaseGroup, kept: list[str], toolbox: Toolbox) -> ReleaseGroup:
    """Remove the files of one folder; those that are gone now."""
    gone = []
    storage = toolbox.sources[group.source]
    try:
        with storage.open_folder(group.folder) as folder:
            for entry, why in crew.each(
                group.entries,
                lambda entry: _remove_if_same(folder, entry, storage.capabilities),
                at_once=crew.operations_of(storage),
            ):
                if why is None:
                    gone.append(entry)
                else:
                    kept.append(f"{show(paths.join(group.folder, entry.name))}: {why}")
    except StorageUnavailable:
        raise
    except StorageError as error:
        kept.append(str(error))
    return ReleaseGroup(group.source, group.folder, gone)


def _remove_if_same(folder: Folder, entry: Entry, capabilities: Capabilities) -> str | None:
    """Remove the file; why not, if it stays."""
    try:
        standing = look(folder, entry.name)
        if standing is None:
            return None  # removed before a crash, or by somebody else: it is not there
        if not is_same(standing, entry, capabilities):
            return "it was changed after it was read, so the source stays"
        folder.remove(entry.name)
    except StorageUnavailable:
        raise
    except StorageError as error:
        return None if error.kind is ErrorKind.NOT_FOUND else str(error)
    return None


def is_same(standing: Entry, entry: Entry, capabilities: Capabilities) -> bool:
    """Whether this is still the state of the file that was seen or read."""
    return (
        standing.kind is entry.kind
        and is_unchanged(entry, standing, change_times=capabilities.change_times)
        and standing.identity == entry.identity
        and standing.link_target == entry.link_target
    )


def _prune(found: FoundFolder, toolbox: Toolbox) -> bool:
    """Remove the folder if it is empty; whether it is gone now."""
    parent, name = paths.split(found.path)
    try:
        with toolbox.sources[found.source].open_folder(parent) as folder:
            folder.remove_folder(name)
    except StorageUnavailable:
        raise
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return True  # removed before a crash, or by somebody else: it is not there
        if error.kind is not ErrorKind.NOT_EMPTY:
            toolbox.warn(f"an emptied folder stays: {error}")
        return False
    return True
