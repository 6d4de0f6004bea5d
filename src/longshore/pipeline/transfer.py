"""Writing one file under its temporary name, hashed, verified and with its metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import xxhash

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import (
    ErrorKind,
    FileFailure,
    RetryClass,
    Side,
    Stage,
    StorageError,
    StorageUnavailable,
)
from longshore.domain.outcome import Outcome
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.messages import CopyGroup, CopyMode, PlannedFile
from longshore.pipeline.planning import by_rule
from longshore.pipeline.published import find_published, same_content
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.storage.handler import Folder, Metadata, SourceFile, StagedFile

PERMISSION_BITS = 0o7777


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A file fully written under its temporary name and verified, not yet published."""

    group: CopyGroup
    planned: PlannedFile
    mode: CopyMode
    entry: Entry  # the source as it was read
    target: Folder
    file: StagedFile  # closed
    xxh3_128: bytes
    checksum: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The file is through: its outcome and what belongs on record."""

    entry: Entry
    outcome: Outcome
    target_name: bytes = b""  # empty: the planned one
    xxh3_128: bytes = b""
    checksum: bytes = b""
    failure: FileFailure | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """An error that may pass: the file is worth another attempt."""

    failure: FileFailure


@dataclass(slots=True)
class Where:
    """The step and the end that an error just now would belong to."""

    stage: Stage = Stage.TRANSFER
    side: Side = Side.SOURCE


def transfer(
    planned: PlannedFile,
    group: CopyGroup,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    *,
    fresh: bool,
) -> Staged | Finished | Again:
    """Stage one file. StorageUnavailable passes through; other errors become the result.

    With `fresh` nobody has begun this file before, so it is not looked for at the destination.
    """
    where = Where()
    try:
        return _transfer(planned, group, source, target, toolbox, fresh, where)
    except StorageUnavailable:
        raise
    except StorageError as error:
        _drop_staged(target, toolbox.temporary_name(group.source, planned.target_name))
        failure = failure_of(error, where.stage, where.side)
        if may_try_again(error):
            return Again(failure)
        return Finished(entry=planned.entry, outcome=Outcome.FAILED, failure=failure)


def _transfer(
    planned: PlannedFile,
    group: CopyGroup,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    fresh: bool,
    where: Where,
) -> Staged | Finished:
    mode = planned.mode
    if mode is CopyMode.COMPARE:
        if same_content(planned, source, target, toolbox):
            return Finished(entry=planned.entry, outcome=Outcome.IDENTICAL)
        decided = by_rule(toolbox.plan.conflict)
        if isinstance(decided, Outcome):
            return Finished(entry=planned.entry, outcome=decided)
        mode = decided
    if not fresh or mode is CopyMode.RENAME:
        resolution = toolbox.resolution_of(group.source)
        published = find_published(
            planned, mode, source, target, toolbox, resolution=resolution, fresh=fresh
        )
        if published is not None:
            return Finished(
                entry=published.entry,
                outcome=published.outcome,
                target_name=published.name,
                xxh3_128=published.xxh3_128,
                checksum=published.checksum,
            )
    stage = _stage_symlink if planned.entry.kind is EntryKind.SYMLINK else _stage_file
    temporary = toolbox.temporary_name(group.source, planned.target_name)
    entry, file, hasher = stage(planned, temporary, source, target, toolbox, where)
    return Staged(
        group=group,
        planned=planned,
        mode=mode,
        entry=entry,
        target=target,
        file=file,
        xxh3_128=hasher.xxh3_128(),
        checksum=hasher.checksum(),
    )


def _stage_file(
    planned: PlannedFile,
    temporary: bytes,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    where: Where,
) -> tuple[Entry, StagedFile, Hasher]:
    hasher = Hasher(toolbox.plan.checksum)
    with source.open(planned.entry.name) as reader:
        entry = reader.stat()
        where.side = Side.DESTINATION
        file = target.stage(temporary, size=entry.size)
        with file:
            copy_range(reader, file, 0, entry.size, hasher.update, toolbox.buffer, where)
            where.side = Side.SOURCE
            check_unchanged(reader, entry, paths.join(source.path, planned.entry.name))
            where.side = Side.DESTINATION
            if toolbox.plan.verify:
                where.stage = Stage.VERIFY
                _verify(file, entry.size, hasher, toolbox.buffer, target.path, planned)
            keep_metadata(file, entry, toolbox)
    return entry, file, hasher


def _stage_symlink(
    planned: PlannedFile,
    temporary: bytes,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    where: Where,
) -> tuple[Entry, StagedFile, Hasher]:
    entry = source.stat(planned.entry.name)
    hasher = Hasher(toolbox.plan.checksum)
    hasher.update(memoryview(entry.link_target))
    where.side = Side.DESTINATION
    file = target.stage_symlink(temporary, entry.link_target)
    keep_metadata(file, entry, toolbox)
    return entry, file, hasher


def copy_range(
    reader: SourceFile,
    file: StagedFile,
    start: int,
    end: int,
    update: Callable[[memoryview], None],
    buffer: memoryview,
    where: Where,
) -> None:
    """Copy the bytes from `start` up to `end`; kind `short_read` if the source ends before."""
    offset = start
    while offset < end:
        where.side = Side.SOURCE
        count = reader.read_into(buffer[: min(len(buffer), end - offset)], offset)
        if count == 0:
            raise StorageError(
                ErrorKind.SHORT_READ,
                RetryClass.NOW,
                "read",
                reader.stat().name,
                f"it ends after {offset} of {end} bytes",
            )
        data = buffer[:count]
        update(data)
        where.side = Side.DESTINATION
        file.write(data, offset)
        offset += count


def check_unchanged(reader: SourceFile, before: Entry, path: bytes) -> None:
    """Raises kind `changed_while_read` if the opened file is not what it was before reading."""
    after = reader.stat()
    if (after.size, after.mtime_ns) != (before.size, before.mtime_ns):
        raise StorageError(
            ErrorKind.CHANGED_WHILE_READ,
            RetryClass.NOW,
            "read",
            path,
            "it was changed while it was read",
        )


def _verify(
    file: StagedFile,
    size: int,
    hasher: Hasher,
    buffer: memoryview,
    folder: bytes,
    planned: PlannedFile,
) -> None:
    """Read the staged file back. Raises kind `checksum_mismatch`."""
    found = xxhash.xxh3_128()
    offset = 0
    while count := file.read_into(buffer, offset):
        found.update(buffer[:count])
        offset += count
        if count < len(buffer) and offset == size:
            break
    if offset != size or found.digest() != hasher.xxh3_128():
        raise mismatch(paths.join(folder, planned.target_name))


def mismatch(path: bytes) -> StorageError:
    return StorageError(
        ErrorKind.CHECKSUM_MISMATCH,
        RetryClass.LATER,
        "verify",
        path,
        "what was read back is not what was written",
    )


def keep_metadata(file: StagedFile, entry: Entry, toolbox: Toolbox) -> None:
    """Give the staged file the metadata of its source; what is lost becomes a warning."""
    warn_of_lost(file.set_metadata(metadata_of(entry)), toolbox)


def metadata_of(entry: Entry) -> Metadata:
    return Metadata(
        mode=None if entry.kind is EntryKind.SYMLINK else entry.mode & PERMISSION_BITS,
        uid=entry.uid,
        gid=entry.gid,
        mtime_ns=entry.mtime_ns,
        atime_ns=entry.atime_ns,
    )


def warn_of_lost(fields: tuple[str, ...], toolbox: Toolbox) -> None:
    if fields:
        toolbox.warn(f"the destination does not keep: {', '.join(fields)}")


def _drop_staged(target: Folder, name: bytes) -> None:
    """Remove what a failed attempt, of now or before a crash, has left."""
    try:
        target.remove(name)
    except StorageUnavailable:
        raise
    except StorageError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            # It stays hidden from listings and tasks, and goes when the execution is cleaned.
            return
