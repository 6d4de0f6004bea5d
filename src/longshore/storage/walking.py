"""Everything below a place of a storage, for looking and not for moving: no order is promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import StorageError
from longshore.storage.handler import StorageHandler

FOLDERS_PENDING_MAXIMUM = 100_000
"""Folders that wait to be listed, about 20 MB; below further ones nothing is looked at."""


def walk(
    storage: StorageHandler, path: bytes, *, tell: Callable[[str], None]
) -> Iterator[tuple[bytes, Entry]]:
    """(folder, entry) of the name at the path and of all below it, folders included.

    What cannot be listed is told in words and left out. Raises StorageError when the path itself
    cannot be looked at.
    """
    if path:
        parent, name = paths.split(path)
        with storage.open_folder(parent) as folder:
            top = folder.stat(name)
        yield parent, top
        if top.kind is not EntryKind.FOLDER:
            return
    pending = [path]
    while pending:
        listed = pending.pop()
        try:
            with storage.open_folder(listed) as folder:
                for entry in folder.entries():
                    if entry.kind is EntryKind.FOLDER:
                        _remember(pending, paths.join(listed, entry.name), tell)
                    yield listed, entry
        except StorageError as error:
            tell(str(error))


def _remember(pending: list[bytes], path: bytes, tell: Callable[[str], None]) -> None:
    if len(pending) < FOLDERS_PENDING_MAXIMUM:
        pending.append(path)
    else:
        tell(f"{paths.to_text(path)} was left out: too many folders side by side")
