"""Comparing whole folders, where nothing needs to look at single files.

    source folder      ──> the same in both: one `UnchangedFolder` of bytes, up to a chunk of files
    destination folder ──> everything else: entry by entry, as without this

The bytes go from the listing into the report without becoming objects. `native/comparing.c` does
the same as PlainComparer does here, for two folders of POSIX storages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
import xxhash

from longshore.domain.entry import Entry, EntryKind
from longshore.domain.task import WorkflowAction
from longshore.pipeline.messages import ExecutionPlan, ScanFolder
from longshore.pipeline.planning import Standing, identical
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.bulk import Compared, FolderComparer
from longshore.storage.handler import Folder

MOVABLE = frozenset({EntryKind.FILE, EntryKind.SYMLINK})

_encoder = msgspec.msgpack.Encoder()


def may_pass_over(plan: ExecutionPlan, folder: ScanFolder) -> bool:
    """Whether files of the folder that lie unchanged at the destination concern nobody singly.

    This is the one place that says so. They must all be in the catalogue by the folder they come
    from, have one storage to lie on, and come to IDENTICAL by `identical` alone.
    """
    source = plan.sources[folder.source]
    return (
        plan.action is WorkflowAction.COPY
        and not plan.callbacks
        and not plan.original_place
        and not plan.listed_execution
        and not plan.base_executions
        and bool(plan.destinations)
        and not plan.destinations[source.destination].further
        and source.root_id is not None
        and not source.range_last
        and not folder.only
    )


def open_comparer(
    folder: ScanFolder, opened: Folder, standing: Standing, toolbox: Toolbox
) -> FolderComparer | None:
    """The way to list the folder beside what stands at its destination, where that will do."""
    if toolbox.dispatch is not None or not may_pass_over(toolbox.plan, folder):
        return None
    if standing.folder is None:
        return None
    resolution = toolbox.resolution_of(folder.source)
    comparer = opened.comparer(standing.folder, after=folder.after, resolution=resolution)
    if comparer is not None or standing.is_at_end():
        return comparer
    return PlainComparer(opened.entries(after=folder.after), standing, resolution)


class PlainComparer(FolderComparer):
    """Compares two listings entry by entry, of whatever storages they are."""

    def __init__(self, entries: Iterator[Entry], standing: Standing, resolution: int) -> None:
        self._entries = entries
        self._standing = standing
        self._resolution = resolution

    def take(self, count: int) -> Compared:
        chunk = list(islice(self._entries, count))
        same: list[Entry] = []
        others: list[tuple[Entry, Entry | None]] = []
        for entry in chunk:
            stands = self._standing.at(entry.name) if entry.kind in MOVABLE else None
            if stands is not None and identical(entry, stands, self._resolution):
                same.append(entry)
            else:
                others.append((entry, stands))
        return Compared(
            files=len(same),
            size=sum(entry.size for entry in same),
            names=(same[0].name, same[-1].name) if same else (b"", b""),
            entries=_encoder.encode(same),
            digest=digest_of(same),
            others=others,
            last=chunk[-1].name if chunk else b"",
            more=len(chunk) == count,
        )


def digest_of(entries: Iterable[Entry]) -> bytes:
    """XXH3-128 of all that a catalogue keeps of the files, in this order."""
    return xxhash.xxh3_128_digest(
        _encoder.encode(
            [
                (
                    each.name, each.kind, each.size, each.mode, each.uid, each.gid,
                    each.mtime_ns, each.atime_ns, each.ctime_ns, each.link_target,
                )
                for each in entries
            ]
        )
    )  # fmt: skip
