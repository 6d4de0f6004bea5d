"""Writing the content of a file: hashed while it passes, holes left out, read back, compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import xxhash

from longshore.domain.entry import Entry, is_unchanged
from longshore.domain.errors import ErrorKind, RetryClass, Side, Stage, StorageError
from longshore.domain.storage import Capabilities
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.keeping import HOLES, keep, metadata_to_keep, original, warn_of
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.handler import Folder, Intent, SourceFile, StagedFile

Update = Callable[[memoryview], None]

_ZEROS = memoryview(bytes(1024 * 1024))


@dataclass(slots=True)
class Where:
    """The step and the end that an error just now would belong to."""

    stage: Stage = Stage.TRANSFER
    side: Side = Side.SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is known of a file that was written: the source as it was read, and its hashes."""

    entry: Entry
    xxh3_128: bytes
    checksum: bytes
    lost: bytes = b""  # what the destination does not keep, for the catalogue


def write_file(
    reader: SourceFile,
    entry: Entry,
    source: int,
    folder: Folder,
    temporary: bytes,
    target_name: bytes,
    path: bytes,
    toolbox: Toolbox,
    where: Where,
    *,
    replace: bool = False,
    unkept: bytes = b"",
    resume: bool = False,
) -> tuple[StagedFile, Written]:
    """Stage the opened source, verified and with its metadata; the staged file comes back closed.

    `target_name` is the name that it is to be published under, if that is free or `replace` says
    that it need not be. `path` is that of the source, for errors; `unkept` is what the source does
    not bear itself. With `resume` nothing is sent again of which the destination knows that it has
    it from an earlier attempt.
    """
    hasher = Hasher(toolbox.plan.checksum)
    where.side = Side.SOURCE
    attributes = reader.attributes()
    where.side = Side.DESTINATION
    kept = original(entry, attributes, unkept)
    intent = Intent(target_name, metadata_to_keep(*kept, toolbox), replace)
    resume = resume and keeps_parts(entry, source, toolbox)
    with folder.stage(temporary, size=entry.size, resume=resume, intent=intent) as file:
        holes = has_holes(entry, source, toolbox)
        copy_range(
            reader, file, 0, entry.size, hasher.update, toolbox.buffer, where, path, holes=holes
        )
        if holes:
            fill_up(file, entry.size)
        elif entry.allocated_bytes < entry.size:
            warn_of_filled_holes(reader, entry, source, toolbox)
        where.side = Side.SOURCE
        check_unchanged(reader, entry, path, toolbox.sources[source].capabilities)
        where.side = Side.DESTINATION
        if toolbox.plan.verify and not confirms_content(source, toolbox):
            where.stage = Stage.VERIFY
            _read_back(file, entry.size, hasher, path, toolbox)
        lost = keep(file.set_metadata, *kept, toolbox)
    return file, Written(
        entry=entry, xxh3_128=hasher.xxh3_128(), checksum=hasher.checksum(), lost=lost
    )


def has_holes(entry: Entry, source: int, toolbox: Toolbox) -> bool:
    """Whether it pays to look for holes that the destination can keep."""
    return (
        entry.allocated_bytes < entry.size
        and toolbox.sources[source].capabilities.sparse
        and toolbox.destination_of(source).capabilities.sparse
    )


def confirms_content(source: int, toolbox: Toolbox) -> bool:
    """Whether the destination answers for what was written, and nothing staged is read back."""
    return toolbox.destination_of(source).capabilities.confirms_content


def keeps_parts(entry: Entry, source: int, toolbox: Toolbox) -> bool:
    """Whether the destination keeps parts of a file of that size, and knows their content."""
    capabilities = toolbox.destination_of(source).capabilities
    return capabilities.confirms_content and entry.size > capabilities.staged_in_memory_bytes


def warn_of_filled_holes(reader: SourceFile, entry: Entry, source: int, toolbox: Toolbox) -> None:
    """Tell once when the destination keeps zeros where the source has holes."""
    if not toolbox.sources[source].capabilities.sparse:
        return
    # A file system that compresses allocates less than the size, too.
    if list(reader.data_ranges(0, entry.size)) != [(0, entry.size)]:
        warn_of(HOLES, toolbox)


def copy_range(
    reader: SourceFile,
    file: StagedFile,
    start: int,
    end: int,
    update: Update,
    buffer: memoryview,
    where: Where,
    path: bytes,
    *,
    holes: bool,
) -> None:
    """Copy the bytes from `start` up to `end`; kind `short_read` if the source ends before.

    With `holes` only data is read and written; the hash sees the zeros of the holes all the same.
    """
    if not holes:
        return _copy_data(reader, file, start, end, update, buffer, where, path)
    where.side = Side.SOURCE
    for first, last in reader.data_ranges(start, end):
        hash_zeros(update, first - start)
        _copy_data(reader, file, first, last, update, buffer, where, path)
        where.side = Side.SOURCE
        start = last
    return hash_zeros(update, end - start)


def fill_up(file: StagedFile, size: int) -> None:
    """Give the staged file the hole at its end, if there is one."""
    if file.size() < size:
        file.set_size(size)


def hash_zeros(update: Update, count: int) -> None:
    """Hash so many zeros without reading them."""
    while count > 0:
        update(_ZEROS[:count])
        count -= len(_ZEROS)


def check_unchanged(
    reader: SourceFile, before: Entry, path: bytes, capabilities: Capabilities
) -> None:
    """Raises kind `changed_while_read` if the opened file is not what it was before reading."""
    if not is_unchanged(before, reader.stat(), change_times=capabilities.change_times):
        raise StorageError(
            ErrorKind.CHANGED_WHILE_READ,
            RetryClass.NOW,
            "read",
            path,
            "it was changed while it was read",
        )


def mismatch(path: bytes) -> StorageError:
    """The error for a destination that does not give back what was written."""
    return StorageError(
        ErrorKind.CHECKSUM_MISMATCH,
        RetryClass.LATER,
        "verify",
        path,
        "what was read back is not what was written",
    )


def _copy_data(
    reader: SourceFile,
    file: StagedFile,
    start: int,
    end: int,
    update: Update,
    buffer: memoryview,
    where: Where,
    path: bytes,
) -> None:
    offset = start
    while offset < end:
        where.side = Side.SOURCE
        count = reader.read_into(buffer[: min(len(buffer), end - offset)], offset)
        if count == 0:
            cause = f"it ends after {offset} of {end} bytes"
            raise StorageError(ErrorKind.SHORT_READ, RetryClass.NOW, "read", path, cause)
        data = buffer[:count]
        update(data)
        where.side = Side.DESTINATION
        file.write(data, offset)
        offset += count


def _read_back(file: StagedFile, size: int, hasher: Hasher, path: bytes, toolbox: Toolbox) -> None:
    """Read the staged file back. Raises kind `checksum_mismatch`."""
    if toolbox.plan.verify_from_medium:
        file.drop_cache()
    found = xxhash.xxh3_128()
    buffer = toolbox.buffer
    offset = 0
    while count := file.read_into(buffer, offset):
        found.update(buffer[:count])
        offset += count
        if count < len(buffer) and offset == size:
            break
    if offset != size or found.digest() != hasher.xxh3_128():
        raise mismatch(path)
