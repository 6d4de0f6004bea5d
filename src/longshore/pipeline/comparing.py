"""Comparing whole folders, where nothing needs to look at single files.

    source folder      ──> the same in both: one `UnchangedFolder` of bytes, up to a chunk of files
    destination folder ──> everything else: entry by entry, as without this

The bytes go from the listing into the report without becoming objects. `native/comparing.c` does
the same as PlainComparer does here, for two folders of POSIX storages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec
import xxhash

from longshore.domain.entry import Entry, EntryKind
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.task import ProcessingOrder, WorkflowAction
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.replies import WholeFolder
from longshore.pipeline.messages.work import CopyGroup, ScanFolder
from longshore.pipeline.planning import Standing, identical
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.bulk import Compared, FolderComparer
from longshore.storage.handler import Folder

MOVABLE = frozenset({EntryKind.FILE, EntryKind.SYMLINK})

Beside = tuple[Entry, Entry | None]
"""An entry, and what stands under its name at the destination."""

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
    return PlainComparer(opened, listed(folder, opened, toolbox), standing, resolution)


def listed(folder: ScanFolder, opened: Folder, toolbox: Toolbox) -> Iterator[Entry]:
    """The names still to be listed; outlines where the rest of a new file may be told later."""
    plan = toolbox.plan
    goes_anywhere = bool(plan.destinations) and not plan.original_place
    sees_details = plan.base_executions or plan.order is ProcessingOrder.DATE or toolbox.dispatch
    if goes_anywhere and not sees_details and toolbox.chain() is None:
        return opened.outlines(after=folder.after)
    return opened.entries(after=folder.after)


def beside(
    entries: list[Entry], opened: Folder, standing: Standing, name_of: Callable[[Entry], bytes]
) -> list[Beside]:
    """What the opened folder has given, each with what stands under the name that it is to have.

    Both are whole where they have to be compared; what has vanished meanwhile is left out.
    """
    names = [name_of(entry) for entry in entries if entry.kind in MOVABLE]
    found = iter(standing.all_at(names))
    pairs = [(entry, next(found) if entry.kind in MOVABLE else None) for entry in entries]
    outlines = [entry for entry, stands in pairs if stands is not None and entry.is_outline]
    if not outlines:
        return pairs
    whole = zip(outlines, opened.completed(outlines), strict=True)
    by_name = {outline.name: entry for outline, entry in whole}
    completed = ((by_name.get(entry.name, entry), stands) for entry, stands in pairs)
    return [(entry, stands) for entry, stands in completed if entry is not None]


class PlainComparer(FolderComparer):
    """Compares two listings entry by entry, of whatever storages they are."""

    def __init__(
        self, opened: Folder, entries: Iterator[Entry], standing: Standing, resolution: int
    ) -> None:
        self._opened = opened
        self._entries = entries
        self._standing = standing
        self._resolution = resolution

    def take(self, count: int) -> Compared:
        chunk = list(islice(self._entries, count))
        same: list[Entry] = []
        others: list[Beside] = []
        for entry, stands in beside(chunk, self._opened, self._standing, _own_name):
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


def _own_name(entry: Entry) -> bytes:
    return entry.name


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


def copied_whole(groups: Sequence[CopyGroup], records: Sequence[Record]) -> list[WholeFolder]:
    """The pieces of folders of which all files are among the records, copied, in their order.

    What is told of them is what a later run is told of the same files when they lie unchanged.
    """
    wanted = {
        (group.source, group.folder, group.files[0].entry.name): group
        for group in groups
        if group.whole and group.whole == len(group.files)
    }
    found: list[WholeFolder] = []
    first = 0
    while wanted and first < len(records):
        record = records[first]
        group = wanted.get((record.source, record.folder, record.entry.name))
        files = records[first : first + group.whole] if group is not None else ()
        if group is None or not _is_whole(group, files):
            first += 1
            continue
        digest = digest_of([each.entry for each in files])
        found.append(
            WholeFolder(
                first, group.whole, group.source, group.folder, group.target, group.piece, digest
            )
        )
        first += group.whole
    return found


def _is_whole(group: CopyGroup, records: Sequence[Record]) -> bool:
    """Whether the records are those of the group's files, in their order, and all were copied."""
    return len(records) == group.whole and all(
        record.folder == group.folder
        and record.source == group.source
        and record.outcome is Outcome.COPIED
        and record.entry.name == planned.entry.name
        and planned.target_name == planned.entry.name
        for record, planned in zip(records, group.files, strict=True)
    )
