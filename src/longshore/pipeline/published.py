"""Recognising what stands at the destination already: our own work of before a crash, or equals."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.domain.outcome import Outcome
from longshore.domain.task import ConflictResolution, WorkflowAction
from longshore.pipeline.hashing import Digest, Hasher
from longshore.pipeline.messages.work import CopyMode, PlannedFile
from longshore.pipeline.planning import Verdict, identical, verdict
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.handler import Folder, SourceFile

RENAMES_MAXIMUM = 9999  # names `name (n).ext` tried for one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A file under its final name with the content of the source."""

    entry: Entry
    outcome: Outcome
    name: bytes
    xxh3_128: bytes
    checksum: bytes


def find_published(
    planned: PlannedFile,
    mode: CopyMode,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    *,
    resolution: int,
    fresh: bool,
) -> Published | None:
    """The published file with this source's size, time and content, if there is one.

    `resolution` is the step in nanoseconds in which the destination keeps times. The source counts
    as it is now: an attempt before a crash may have read it later than the scan.
    """
    entry = _as_it_is(planned.entry, source)
    late = mode is CopyMode.NEW and not fresh and toolbox.plan.conflict is ConflictResolution.RENAME
    for name, how in _candidates(planned.target_name, mode, renamed_late=late):
        standing = look(target, name)
        if standing is None:
            return None
        if not identical(entry, standing, resolution):
            continue
        hashes = _equal_content(entry, source, target, name, toolbox)
        if hashes is not None:
            return Published(
                entry=entry,
                outcome=Outcome.IDENTICAL if fresh else OUTCOMES[how],
                name=name,
                xxh3_128=hashes.xxh3_128(),
                checksum=hashes.checksum(),
            )
    return None


OUTCOMES = {
    CopyMode.NEW: Outcome.COPIED,
    CopyMode.OVERWRITE: Outcome.OVERWRITTEN,
    CopyMode.RENAME: Outcome.RENAMED,
}


def _as_it_is(entry: Entry, source: Folder) -> Entry:
    present = look(source, entry.name)
    if present is None or not (entry.is_outline or present.kind is entry.kind):
        return entry
    return present


def _candidates(
    name: bytes, mode: CopyMode, *, renamed_late: bool
) -> Iterator[tuple[bytes, CopyMode]]:
    """Names under which an attempt may have published the file, and in which mode it did so.

    One that was `renamed_late` found its name taken only when it published.
    """
    for each in final_names(name, mode):
        yield each, mode
    if renamed_late:
        for each in final_names(name, CopyMode.RENAME):
            yield each, CopyMode.RENAME


def final_names(name: bytes, mode: CopyMode) -> Iterator[bytes]:
    """The names under which the file may be published, in the order in which they are tried.

    `report.tar.gz` becomes `report.tar (1).gz`; a name that would grow too long is cut.
    """
    if mode is not CopyMode.RENAME:
        yield name
        return
    stem, extension = os.path.splitext(name)
    for number in range(1, RENAMES_MAXIMUM + 1):
        suffix = b" (%d)" % number + extension
        yield stem[: 255 - len(suffix)] + suffix


def look_first(planned: PlannedFile, source: int, target: Folder, toolbox: Toolbox) -> Verdict:
    """What the plan would have decided, had somebody looked at the destination."""
    standing = look(target, planned.target_name)
    return verdict(planned.entry, standing, toolbox.plan, toolbox.resolution_of(source))


def look(folder: Folder, name: bytes) -> Entry | None:
    try:
        return folder.stat(name)
    except StorageError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return None
        raise


def same_content(planned: PlannedFile, source: Folder, target: Folder, toolbox: Toolbox) -> bool:
    """Whether the file in the way holds the bytes of the source."""
    name = planned.target_name
    return _equal_content(planned.entry, source, target, name, toolbox) is not None


def _equal_content(
    entry: Entry, source: Folder, target: Folder, target_name: bytes, toolbox: Toolbox
) -> Hasher | None:
    """The hashes of both files if their bytes are equal."""
    if entry.kind is EntryKind.SYMLINK:
        hasher = Hasher(toolbox.plan.checksum)
        hasher.update(memoryview(entry.link_target))
        return hasher
    try:
        told = told_md5(target, target_name, toolbox)
        own = hashlib.md5(usedforsecurity=False)
        with source.open(entry.name) as reader:
            one = hash_file(reader, toolbox, also=own if told else None)
        if told:
            return one if own.digest() == told else None
        with target.open(target_name) as reader:
            other = hash_file(reader, toolbox)
    except StorageError as error:
        if error.retry is RetryClass.NEVER:
            return None  # gone or unreadable by now: the ordinary way will tell what is wrong
        raise
    return one if one.xxh3_128() == other.xxh3_128() else None


def told_md5(folder: Folder, name: bytes, toolbox: Toolbox) -> bytes:
    """The MD5 that will do instead of reading what stands there; b"" where it has to be read.

    A source is removed only after somebody has seen the bytes that stand for it.
    """
    return b"" if toolbox.plan.action is WorkflowAction.MOVE else folder.content_md5(name)


def hash_file(reader: SourceFile, toolbox: Toolbox, *, also: Digest | None = None) -> Hasher:
    """The hashes of the whole opened file; `also` sees all of it, too."""
    hasher = Hasher(toolbox.plan.checksum)
    offset = 0
    while count := reader.read_into(toolbox.buffer, offset):
        hasher.update(toolbox.buffer[:count])
        if also is not None:
            also.update(toolbox.buffer[:count])
        offset += count
    return hasher
