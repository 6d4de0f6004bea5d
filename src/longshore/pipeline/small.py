"""Copying whole small files of a batch between folders and a store that takes many at once.

    into a store   folders' files are read some at a time ──> volley ──> published, one by one
    out of one     volley ──> contents in whatever order ──> staged some at a time ──> published
                                                                                       with all

One thread does it all: with files of a few kilobytes, threads spend more on taking the interpreter
from each other than on the files. What is not usual, and whatever fails, is left over for the
ordinary way, which knows every case and every word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from longshore.domain.errors import StorageError, StorageUnavailable
from longshore.pipeline import crew
from longshore.pipeline.bulk import BulkStage, WrittenStage, is_usual, takes_many
from longshore.pipeline.keeping import metadata_to_keep
from longshore.pipeline.messages.work import CopyGroup, CopyMode, PlannedFile
from longshore.pipeline.planning import replaces
from longshore.pipeline.published import OUTCOMES
from longshore.pipeline.toolbox import Toolbox
from longshore.pipeline.transfer import Finished
from longshore.storage.handler import Folder
from longshore.storage.small_files import NewFile, SmallFile, SmallFiles, Wanted

READ_TOGETHER = 32  # files of a folder, before the first of them is sent
WRITTEN_TOGETHER = 16  # files of a folder: a call takes as long as a few of them
WAITING_BYTES_MAXIMUM = 16 * 1024 * 1024  # of files that have come and are not written yet


@dataclass(frozen=True, slots=True)
class _Opened:
    group: CopyGroup
    source: Folder
    target: Folder
    replaces_new: bool  # also a file that has appeared where none was planned for


def into_store(
    groups: Sequence[CopyGroup], width: int, toolbox: Toolbox, opened: list[Folder]
) -> Iterator[tuple[CopyGroup, PlannedFile, Finished | None]]:
    """The files that were sent: those with a result are in the store now, under their final names.

    Nobody knows that of the others. Folders that were opened are added to `opened`. Raises
    StorageUnavailable.
    """
    store = _store_of(groups, toolbox, is_destination=True)
    if store is None:
        return
    folders = list(_opened(groups, width, toolbox, opened, store))
    for file, md5 in store.write(_new_files(folders, store, toolbox)):
        group, planned, small = cast("tuple[CopyGroup, PlannedFile, SmallFile]", file.tag)
        yield group, planned, None if md5 is None else _finished(planned, small, md5)


def out_of_store(
    groups: Sequence[CopyGroup],
    width: int,
    toolbox: Toolbox,
    opened: list[Folder],
    stages: list[BulkStage],
) -> None:
    """Read files from the store and stage them; those that are wait in further `stages`.

    Folders that were opened are added to `opened`. Raises StorageUnavailable.
    """
    store = _store_of(groups, toolbox, is_destination=False)
    if store is None:
        return
    arrivals = [
        _Arrivals(WrittenStage(each.group, each.target, writer, toolbox), each.source)
        for each in _opened(groups, width, toolbox, opened, None)
        if (writer := each.target.bulk_writer()) is not None
    ]
    waiting_bytes = 0
    try:
        for wanted, small in store.read(_wanted(arrivals, store, toolbox)):
            if small is None:
                continue
            each, planned = cast("tuple[_Arrivals, PlannedFile]", wanted.tag)
            waiting_bytes += each.take(planned, small)
            if waiting_bytes > WAITING_BYTES_MAXIMUM:
                waiting_bytes -= sum(each.write() for each in arrivals)
        for each in arrivals:
            each.write()
    finally:
        stages += [each.stage for each in arrivals if each.stage.files]


@dataclass(slots=True)
class _Arrivals:
    """Files of one folder that have come and wait to be staged together."""

    stage: WrittenStage
    source: Folder
    waiting: list[tuple[PlannedFile, SmallFile]] = field(default_factory=list)

    def take(self, planned: PlannedFile, small: SmallFile) -> int:
        """Let a file wait, or write it with the others; by how many bytes more are waiting now."""
        self.waiting.append((planned, small))
        size = len(small.content)
        return size - self.write() if len(self.waiting) >= WRITTEN_TOGETHER else size

    def write(self) -> int:
        """Write what waits; how many bytes that were."""
        waiting, self.waiting = self.waiting, []
        self.stage.write(waiting)
        return sum(len(small.content) for _, small in waiting)


# ------------------------------------------------------------------ opening


def _store_of(
    groups: Sequence[CopyGroup], toolbox: Toolbox, *, is_destination: bool
) -> SmallFiles | None:
    """The store at that end; None unless it is one for all groups, and only at that end."""
    if not takes_many(toolbox):
        return None
    ends = {
        (
            toolbox.sources[each.source].small_files(),
            toolbox.destination_of(each.source).small_files(),
        )
        for each in groups
    }
    if len(ends) != 1:
        return None
    source, destination = ends.pop()
    if source is not None and destination is not None:
        return None
    return destination if is_destination else source


def _opened(
    groups: Sequence[CopyGroup],
    width: int,
    toolbox: Toolbox,
    opened: list[Folder],
    prepared_by: SmallFiles | None,
) -> Iterator[_Opened]:
    """The groups with their folders, those that can be opened. Opening takes several requests."""

    def open_both(group: CopyGroup) -> _Opened | None:
        if not any(map(is_usual, group.files)):
            return None
        try:
            source = toolbox.sources[group.source].open_folder(group.folder)
            opened.append(source)
            destination = toolbox.destination_of(group.source)
            target = destination.open_folder(group.target, create=True)
            opened.append(target)
            if prepared_by is not None and not prepared_by.prepare(target):
                return None
        except StorageUnavailable:
            raise
        except StorageError:
            return None
        exclusive = destination.capabilities.exclusive_create
        always = not exclusive and replaces(CopyMode.NEW, toolbox.plan)
        return _Opened(group, source, target, always)

    for _, both in crew.each(groups, open_both, at_once=width):
        if both is not None:
            yield both


# ------------------------------------------------------------------ files one after the other


def _new_files(folders: list[_Opened], store: SmallFiles, toolbox: Toolbox) -> Iterator[NewFile]:
    is_begun = False
    for each in folders:
        files = [
            planned
            for planned in each.group.files
            if _is_small(planned, store) and (store.creates or _replaces(planned, each))
        ]
        place = 0
        while place < len(files):
            if is_begun and toolbox.time_is_up():
                return
            is_begun = True
            some = files[place : place + READ_TOGETHER]
            names = [planned.entry.name for planned in some]
            read = each.source.read_small(names, store.bytes_maximum)
            for planned, small in zip(some, read, strict=False):
                metadata = metadata_to_keep(small.entry, {}, toolbox)
                yield NewFile(
                    each.target,
                    planned.target_name,
                    small.content,
                    metadata,
                    _replaces(planned, each),
                    (each.group, planned, small),
                )
            place += len(read) or 1


def _wanted(arrivals: list[_Arrivals], store: SmallFiles, toolbox: Toolbox) -> Iterator[Wanted]:
    is_begun = False
    for each in arrivals:
        for planned in each.stage.group.files:
            if is_begun and toolbox.time_is_up():
                return
            if _is_small(planned, store):
                is_begun = True
                entry = planned.entry
                yield Wanted(each.source, entry.name, (each, planned), entry.size)


def _is_small(planned: PlannedFile, store: SmallFiles) -> bool:
    return is_usual(planned) and planned.entry.size <= store.bytes_maximum


def _replaces(planned: PlannedFile, opened: _Opened) -> bool:
    return planned.mode is CopyMode.OVERWRITE or opened.replaces_new


def _finished(planned: PlannedFile, small: SmallFile, md5: bytes) -> Finished:
    return Finished(
        entry=small.entry,
        outcome=OUTCOMES[planned.mode],
        target_name=planned.target_name,
        xxh3_128=small.xxh3_128,
        checksum=md5,  # the task asks for none
    )
