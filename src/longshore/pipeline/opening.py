"""Opening a folder to be scanned, and beside it the one that its files go to.

What is still to be listed decides how: all names after the last one, one name alone, or a copy that
the catalogue has chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.pipeline.comparing import MOVABLE, listed, open_comparer
from longshore.pipeline.listing import Listing
from longshore.pipeline.messages.work import ScanFolder
from longshore.pipeline.planning import Standing, name_of_only
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.handler import Folder


def open_listing(folder: ScanFolder, toolbox: Toolbox) -> Listing:
    """What is left of the folder; where it goes anywhere, its destination is there then."""
    with ExitStack() as undo:
        opened = toolbox.sources[folder.source].open_folder(folder.path)
        undo.callback(opened.close)
        plan = toolbox.plan
        standing, comparer = None, None
        if plan.destinations and not plan.original_place:
            standing = _standing(folder, toolbox)
            undo.callback(standing.close)
            if standing.is_missing and not folder.only:
                _make(folder, toolbox)
            comparer = open_comparer(folder, opened, standing, toolbox)
        entries = _entries(folder, opened, toolbox) if comparer is None else iter(())
        undo.pop_all()
    return Listing(opened, entries, standing, comparer)


def _standing(folder: ScanFolder, toolbox: Toolbox) -> Standing:
    """The destination's listing, from the first name on that will be asked for."""
    destination = toolbox.destination_of(folder.source)
    if folder.only:
        return Standing.of_one(destination, folder.target, name_of_only(toolbox.plan, folder))
    return Standing(destination, folder.target, after=folder.after)


def _make(folder: ScanFolder, toolbox: Toolbox) -> None:
    """Make the folder at the destination. Made later, it would change its parent's time."""
    try:
        destination = toolbox.destination_of(folder.source)
        destination.open_folder(folder.target, create=True).close()
    except StorageUnavailable:
        raise
    except StorageError:
        return  # told when its files are written, or its metadata is set


def _entries(folder: ScanFolder, opened: Folder, toolbox: Toolbox) -> Iterator[Entry]:
    if folder.chosen is not None:
        return iter([_copy_of(folder, opened)])
    if folder.only:
        return iter([opened.stat(folder.only)])
    return listed(folder, opened, toolbox)


def _copy_of(folder: ScanFolder, opened: Folder) -> Entry:
    """The chosen copy as it is, if it still is a file or link."""
    entry = opened.stat(folder.only)
    if entry.kind not in MOVABLE:
        raise StorageError(
            ErrorKind.IS_A_FOLDER if entry.kind is EntryKind.FOLDER else ErrorKind.SPECIAL_FILE,
            RetryClass.NEVER,
            "look at",
            paths.join(folder.path, folder.only),
            f"it is a {entry.kind.name.lower()} now",
        )
    return entry
