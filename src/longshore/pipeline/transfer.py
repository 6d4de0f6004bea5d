"""Writing one file under its temporary name, hashed, verified and with its metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace

from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
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
from longshore.pipeline import links
from longshore.pipeline.content import Where, Written, write_file
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.keeping import keep, original, without_link
from longshore.pipeline.messages.work import CopyGroup, CopyMode, PlannedFile
from longshore.pipeline.planning import by_rule, replaces
from longshore.pipeline.published import Published, find_published, look_first, same_content
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.storage.handler import Folder, Metadata, StagedFile, StorageHandler

_KNOWN_WITHOUT_READING = frozenset({ChecksumKind.NONE, ChecksumKind.MD5})


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A file fully written under its temporary name and verified, not yet published."""

    group: CopyGroup
    planned: PlannedFile
    mode: CopyMode
    target: Folder
    file: StagedFile  # closed
    written: Written
    bytes_copied: int  # none for a further name of a file, and for what a store copies itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The file is through: its outcome and what belongs on record."""

    entry: Entry
    outcome: Outcome
    target_name: bytes = b""  # empty: the planned one
    xxh3_128: bytes = b""
    checksum: bytes = b""
    lost: bytes = b""  # what the destination does not keep, for the catalogue
    failure: FileFailure | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """An error that may pass: the file is worth another attempt."""

    failure: FileFailure


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
        _drop_staged(target, toolbox.temporary_name(group, planned))
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
    if mode is CopyMode.CHECK:
        seen = look_first(planned, group.source, target, toolbox)
        if isinstance(seen, Outcome):
            return Finished(entry=planned.entry, outcome=seen)
        mode = seen
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
            if toolbox.destination_of(group.source).capabilities.staged_in_memory_bytes:
                # A crash may have come between the two: there, what says which upload a staged
                # file is goes after the file has its name.
                _drop_staged(target, toolbox.temporary_name(group, planned))
            return _published(published, planned, source, target, toolbox)
        if not fresh and _is_in_memory(planned, toolbox.destination_of(group.source)):
            # It may have gone another way before, for want of room.
            _drop_staged(target, toolbox.temporary_name(group, planned))
    file, written, copied = _stage(planned, group, source, target, toolbox, where, fresh=fresh)
    check_expected(planned, written.xxh3_128, paths.join(source.path, planned.entry.name), where)
    return Staged(
        group=group,
        planned=planned,
        mode=mode,
        target=target,
        file=file,
        written=written,
        bytes_copied=copied,
    )


def check_expected(planned: PlannedFile, xxh3_128: bytes, path: bytes, where: Where) -> None:
    """Raises kind `checksum_mismatch` if the source is not what the catalogue has on record."""
    if planned.expected and planned.expected != xxh3_128:
        where.stage, where.side = Stage.VERIFY, Side.SOURCE
        cause = "its content is not what was archived"
        raise StorageError(ErrorKind.CHECKSUM_MISMATCH, RetryClass.NEVER, "restore", path, cause)


def _stage(
    planned: PlannedFile,
    group: CopyGroup,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    where: Where,
    *,
    fresh: bool,
) -> tuple[StagedFile, Written, int]:
    """Stage the file as what it is; the last value is the bytes copied for it."""
    temporary = toolbox.temporary_name(group, planned)
    if planned.entry.kind is EntryKind.SYMLINK:
        return *_stage_symlink(planned, temporary, source, target, toolbox, where), 0
    if links.are_kept(planned.entry, group.source, toolbox):
        return links.stage(planned, group.source, temporary, source, target, toolbox, where)
    inside = _stage_inside(planned, temporary, source, target, toolbox, where)
    if inside is not None:
        return *inside, 0
    try:
        opened = source.open(planned.entry.name)
    except StorageError as error:
        if not (planned.entry.is_outline and error.kind is ErrorKind.SPECIAL_FILE):
            raise
        # What the listing did not tell: it is a symbolic link, or cannot be moved at all.
        if source.stat(planned.entry.name).kind is not EntryKind.SYMLINK:
            raise
        return *_stage_symlink(planned, temporary, source, target, toolbox, where), 0
    with opened as reader:
        entry = reader.stat()
        # By hand: a call of paths.join for each of a million small files would show.
        path = source.path + b"/" + entry.name if source.path else entry.name
        file, written = write_file(
            reader,
            entry,
            group.source,
            target,
            temporary,
            planned.target_name,
            path,
            toolbox,
            where,
            replace=replaces(planned.mode, toolbox.plan),
            unkept=planned.unkept,
            resume=not fresh,
        )
    if links.are_lost(entry, group.source, toolbox):
        written = replace(written, lost=without_link(written.lost, toolbox))
    return file, written, entry.size


def _stage_inside(
    planned: PlannedFile,
    temporary: bytes,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    where: Where,
) -> tuple[StagedFile, Written] | None:
    """Leave the copy to the storage, if it can make one; None otherwise.

    Nobody reads the content then: what wants to know more of it than its MD5 goes another way.
    """
    checksum = toolbox.plan.checksum
    if planned.expected or planned.attempts or checksum not in _KNOWN_WITHOUT_READING:
        return None
    inside = target.stage_copy(temporary, source, planned.entry)
    if inside is None:
        return None
    where.side = Side.DESTINATION
    kept = original(inside.entry, inside.attributes, planned.unkept)
    lost = keep(inside.file.set_metadata, *kept, toolbox)
    return inside.file, Written(
        entry=inside.entry,
        xxh3_128=b"",
        checksum=inside.md5,
        lost=lost,
    )


def _stage_symlink(
    planned: PlannedFile,
    temporary: bytes,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    where: Where,
) -> tuple[StagedFile, Written]:
    entry = source.stat(planned.entry.name)
    attributes = source.attributes(planned.entry.name)
    hasher = Hasher(toolbox.plan.checksum)
    hasher.update(memoryview(entry.link_target))
    where.side = Side.DESTINATION
    file = target.stage_symlink(temporary, entry.link_target)
    lost = keep(file.set_metadata, entry, attributes, toolbox)
    return file, Written(
        entry=entry, xxh3_128=hasher.xxh3_128(), checksum=hasher.checksum(), lost=lost
    )


def _published(
    published: Published, planned: PlannedFile, source: Folder, target: Folder, toolbox: Toolbox
) -> Finished:
    """The file was published before a crash, or the same one stands there already."""
    lost = b""
    if published.outcome is not Outcome.IDENTICAL:
        # It is ours. Setting the metadata again says what of it was lost.
        def set_metadata(metadata: Metadata) -> tuple[str, ...]:
            return target.set_metadata(published.name, metadata)

        attributes = source.attributes(planned.entry.name)
        lost = keep(set_metadata, published.entry, attributes, toolbox)
    return Finished(
        entry=published.entry,
        outcome=published.outcome,
        target_name=published.name,
        xxh3_128=published.xxh3_128,
        checksum=published.checksum,
        lost=lost,
    )


def _is_in_memory(planned: PlannedFile, destination: StorageHandler) -> bool:
    """Whether the file waits in memory as a rule until it is published."""
    return planned.entry.size <= destination.capabilities.staged_in_memory_bytes


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
