"""Hard links inside one execution: further names of a file become links to its first copy.

    <target of the source>/.longshore-<execution>-links/    made when the first is needed
        .longshore-<hash>       the anchor: the copied file, under a name that follows from the
                                source's device, inode, size and time

Whichever mover comes first copies the file to its anchor; every name, the first one too, is then
published as a link to the anchor. So nobody has to know what other movers do, a mover that died
leaves an anchor behind that the next one finds, and each name is planned, recorded and counted like
any other file. When all is copied, work of the kind LINKS takes the anchors away; the names stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import msgspec
import xxhash

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, Side, Stage, StorageError, StorageUnavailable
from longshore.pipeline.content import Where, Written, write_file
from longshore.pipeline.keeping import keep, without_link
from longshore.pipeline.messages.replies import CleanReply, Lost
from longshore.pipeline.messages.work import LinksWork, PackedWork, PlannedFile, encode
from longshore.pipeline.published import hash_file, look
from longshore.pipeline.toolbox import Toolbox, failure_of
from longshore.storage.handler import (
    TEMPORARY_PREFIX,
    Folder,
    Metadata,
    SourceFile,
    StagedFile,
)

ANCHORS_REMEMBERED = 10_000  # hashes of anchors that a mover keeps, about 5 MB; others are re-read
_FOLDER_MODE = (
    0o700  # the anchors' own modes are those of the files, their folders' may forbid more
)

_decoder = msgspec.msgpack.Decoder(LinksWork)


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the first copy of a file with several names lies."""

    source: int
    folder: bytes
    name: bytes

    @property
    def path(self) -> bytes:
        return paths.join(self.folder, self.name)


def are_kept(entry: Entry, source: int, toolbox: Toolbox) -> bool:
    """Whether the file has several names that are to share one file at the destination, too."""
    return (
        entry.links > 1
        and entry.kind is EntryKind.FILE
        and toolbox.sources[source].capabilities.hard_links
        and toolbox.destination_of(source).capabilities.hard_links
    )


def are_lost(entry: Entry, source: int, toolbox: Toolbox) -> bool:
    """Whether the file has several names that will not share one file at the destination."""
    return (
        entry.links > 1
        and entry.kind is EntryKind.FILE
        and toolbox.sources[source].capabilities.hard_links
        and not toolbox.destination_of(source).capabilities.hard_links
    )


def anchor_of(entry: Entry, source: int, toolbox: Toolbox) -> Anchor:
    """The anchor of the file as it is now: a file that is changed gets another one."""
    key = (source, entry.device, entry.identity, entry.size, entry.mtime_ns)
    name = TEMPORARY_PREFIX + xxhash.xxh3_128_hexdigest(msgspec.msgpack.encode(key)).encode()
    return Anchor(source, _folder_of(source, toolbox), name)


def stage(
    planned: PlannedFile,
    source_index: int,
    temporary: bytes,
    source: Folder,
    target: Folder,
    toolbox: Toolbox,
    where: Where,
) -> tuple[StagedFile, Written, int]:
    """Stage one name of a file that has several; the last value is the bytes copied for it."""
    path = paths.join(source.path, planned.entry.name)
    with source.open(planned.entry.name) as reader:
        entry = reader.stat()
        where.side = Side.DESTINATION
        anchor = anchor_of(entry, source_index, toolbox)
        written, copied = toolbox.anchors.get(anchor.path), 0
        if written is None:
            written, copied = _anchored(reader, entry, source_index, anchor, path, toolbox, where)
        where.side = Side.DESTINATION
        file = link_to(anchor, target, temporary, toolbox)
        if file is None:
            file, written = write_file(
                reader,
                entry,
                source_index,
                target,
                temporary,
                planned.target_name,
                path,
                toolbox,
                where,
            )
            lost = without_link(written.lost, toolbox)
            written, copied = replace(written, lost=lost), entry.size
    return file, replace(written, entry=entry), copied


def link_name(temporary: bytes) -> bytes:
    """The staged name of a link, where the staged file itself has to stay."""
    return temporary + b"-link"


def link_to(
    anchor: Anchor, target: Folder, temporary: bytes, toolbox: Toolbox
) -> StagedFile | None:
    """A staged name of the anchor; None where the destination cannot give it one."""
    try:
        return target.stage_link(temporary, anchor.path)
    except StorageError as error:
        toolbox.anchors.pop(anchor.path, None)
        if error.kind not in {ErrorKind.UNSUPPORTED, ErrorKind.PERMISSION}:
            raise
    return None


class Anchored(Enum):
    """What became of the wish to make a file an anchor."""

    MADE = "made"
    TAKEN = "taken"  # another mover was faster
    IMPOSSIBLE = "impossible"  # the destination refuses


def make_anchor(of_path: bytes, anchor: Anchor, toolbox: Toolbox) -> Anchored:
    """Make a staged file, which has to be durable, the anchor of all names of its source."""
    try:
        with open_folder(anchor, toolbox) as folder:
            staged = folder.stage_link(_temporary(anchor, toolbox), of_path)
            try:
                staged.commit(anchor.name, replace=False)
            finally:
                staged.abort()
    except StorageUnavailable:
        raise
    except StorageError as error:
        return Anchored.TAKEN if error.kind is ErrorKind.EXISTS else Anchored.IMPOSSIBLE
    return Anchored.MADE


def keep_again(
    folder: Folder,
    anchor: Anchor,
    entry: Entry,
    attributes: Mapping[bytes, bytes],
    toolbox: Toolbox,
) -> bytes:
    """What the destination did not keep of an anchor that another mover has made."""

    def set_metadata(metadata: Metadata) -> tuple[str, ...]:
        return folder.set_metadata(anchor.name, metadata)

    return keep(set_metadata, entry, attributes, toolbox)


def open_folder(anchor: Anchor, toolbox: Toolbox) -> Folder:
    """The folder of the anchors, made if it is not there."""
    folder = toolbox.destination_of(anchor.source).open_folder(anchor.folder, create=True)
    folder.set_metadata(b"", Metadata(mode=_FOLDER_MODE))
    return folder


def run(payload: bytes, toolbox: Toolbox) -> CleanReply:
    """Take the anchors of one source away; nothing that is under way may need them any more."""
    work = _decoder.decode(payload)
    removed = 0
    rest = PackedWork(0, 0, payload)
    destination = toolbox.destination_of(work.source)
    try:
        path = _folder_of(work.source, toolbox)
        parent, name = paths.split(path)
        with destination.open_folder(path) as folder:
            for anchor in folder.staged_names():
                if removed and toolbox.time_is_up():
                    return CleanReply(removed, remaining=rest)
                folder.remove(anchor)
                removed += 1
        with destination.open_folder(parent) as above:
            above.remove_folder(name)
    except StorageUnavailable as error:
        failure = failure_of(error, Stage.PUBLISH, Side.DESTINATION)
        return CleanReply(removed, Lost(Side.DESTINATION, failure), rest)
    except StorageError as error:
        if error.kind is not ErrorKind.NOT_FOUND:  # another mover was faster
            toolbox.warn(f"a folder of staged links was left behind: {error}")
    return CleanReply(removed)


def pack(source: int) -> PackedWork:
    """The work that ends the anchors of a source."""
    return PackedWork(0, 0, encode(LinksWork(source)))


# ------------------------------------------------------------------------------- inside


def _anchored(
    reader: SourceFile,
    entry: Entry,
    source: int,
    anchor: Anchor,
    path: bytes,
    toolbox: Toolbox,
    where: Where,
) -> tuple[Written, int]:
    """What is known of the anchor, which is there afterwards, and the bytes copied for it."""
    with open_folder(anchor, toolbox) as folder:
        written, copied = None, 0
        standing = look(folder, anchor.name)
        if standing is not None:
            written = _trusted(reader, entry, folder, anchor, toolbox)
        if written is None:
            temporary = _temporary(anchor, toolbox)
            file, written = write_file(
                reader, entry, source, folder, temporary, anchor.name, path, toolbox, where
            )
            copied = entry.size
            where.side = Side.DESTINATION
            if not _commit(file, anchor, replace=standing is not None):
                others = _trusted(reader, entry, folder, anchor, toolbox)
                written = others or written
    toolbox.anchors[anchor.path] = written
    while len(toolbox.anchors) > ANCHORS_REMEMBERED:
        del toolbox.anchors[next(iter(toolbox.anchors))]
    return written, copied


def _commit(file: StagedFile, anchor: Anchor, *, replace: bool) -> bool:
    """Make the staged file the anchor; False when another mover has been faster."""
    try:
        file.commit(anchor.name, replace=replace)
    except StorageError as error:
        file.abort()
        if error.kind is not ErrorKind.EXISTS:
            raise
        return False
    return True


def _trusted(
    reader: SourceFile, entry: Entry, folder: Folder, anchor: Anchor, toolbox: Toolbox
) -> Written | None:
    """What another mover's anchor holds, if it is the content of the source.

    After a loss of power it may not be: then it was never made durable, nor any name of it.
    """
    with folder.open(anchor.name) as existing:
        found = hash_file(existing, toolbox)
    hasher = hash_file(reader, toolbox)
    if found.xxh3_128() != hasher.xxh3_128():
        return None
    lost = keep_again(folder, anchor, entry, reader.attributes(), toolbox)
    return Written(entry=entry, xxh3_128=hasher.xxh3_128(), checksum=hasher.checksum(), lost=lost)


def _folder_of(source: int, toolbox: Toolbox) -> bytes:
    name = TEMPORARY_PREFIX + b"%x-links" % toolbox.plan.execution_id
    return paths.join(toolbox.plan.sources[source].target, name)


def _temporary(anchor: Anchor, toolbox: Toolbox) -> bytes:
    """A staged name that no other work item uses."""
    return anchor.name + b"-%x" % toolbox.work_id
