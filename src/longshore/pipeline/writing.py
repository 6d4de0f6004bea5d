"""Writing segments of a big file into its staged file, each with its digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import xxhash

from longshore import faults
from longshore.domain import paths
from longshore.domain.entry import Entry, is_unchanged
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.domain.segments import Layout
from longshore.domain.storage import Capabilities
from longshore.pipeline import content, passes
from longshore.pipeline.content import Where
from longshore.pipeline.keeping import metadata_to_keep, original
from longshore.pipeline.messages.work import CopyGroup, PlannedFile, Segments
from longshore.pipeline.passes import Pass
from longshore.pipeline.planning import replaces
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.handler import Folder, Intent, SourceFile, StagedFile

PART_SEGMENTS = 4
"""Segments in a part: long enough that handing it out does not show. A smaller file stays whole."""

PARTS_WANTED = 4
"""Of a file that is divided at all, so that two or four movers share the smallest ones, too."""


@dataclass(slots=True)
class Writer:
    """Writes segments of one file, for one slice."""

    toolbox: Toolbox
    group: CopyGroup
    planned: PlannedFile
    where: Where
    bytes_copied: int = 0
    carried: Pass | None = field(default=None)  # a pass that what is written counts for

    @property
    def temporary_name(self) -> bytes:
        return self.toolbox.temporary_name(self.group, self.planned)

    @property
    def path(self) -> bytes:
        return paths.join(self.group.folder, self.planned.entry.name)

    def stage(
        self, target: Folder, reader: SourceFile, source: Entry, *, token: bytes, resume: bool
    ) -> StagedFile:
        """Open the staged file, which every mover of this file writes into."""
        kept = original(source, reader.attributes(), self.planned.unkept)
        intent = Intent(
            self.planned.target_name,
            metadata_to_keep(*kept, self.toolbox),
            replaces(self.planned.mode, self.toolbox.plan),
        )
        return target.stage(
            self.temporary_name, size=source.size, resume=resume, intent=intent, token=token
        )

    def write(
        self, reader: SourceFile, file: StagedFile, big: Segments, wanted: Sequence[int]
    ) -> list[bytes]:
        """Write these segments, one after the other, until the slice ends; their digests."""
        source, toolbox = big.source, self.toolbox
        layout = Layout(source.size, big.segment_bytes)
        holes = content.has_holes(source, self.group.source, toolbox)
        if holes:
            # Now, and not when all is written: a pass reads behind the writers.
            content.fill_up(file, source.size)
        digests: list[bytes] = []
        for index in wanted:
            if digests and toolbox.time_is_up():
                break
            faults.at("mover.segment", b"%b:%d" % (self.planned.entry.name, index))
            digests.append(self._write_one(reader, file, layout, index, holes=holes))
        return digests

    def _write_one(
        self, reader: SourceFile, file: StagedFile, layout: Layout, index: int, *, holes: bool
    ) -> bytes:
        start, end = layout.bounds(index)
        digest = xxhash.xxh3_128()
        carried = self.carried if self.carried and self.carried.next == index else None

        def update(data: memoryview) -> None:
            digest.update(data)
            if carried is not None:
                carried.hasher.update(data)

        content.copy_range(
            reader,
            file,
            start,
            end,
            update,
            self.toolbox.buffer,
            self.where,
            self.path,
            holes=holes,
        )
        if carried is not None:
            carried.next += 1
        self.bytes_copied += end - start
        return digest.digest()


def part_segments(layout: Layout, source: int, toolbox: Toolbox) -> int:
    """How many segments a part of the file has; 0 if one mover at a time is to move it all."""
    destination = toolbox.destination_of(source).capabilities
    in_order = destination.sequential_only or toolbox.sources[source].capabilities.sequential_only
    if toolbox.plan.workers == 1 or in_order or not destination.ranged_write:
        return 0
    if layout.count <= PART_SEGMENTS:
        return 0
    return min(PART_SEGMENTS, -(-layout.count // PARTS_WANTED))


def written_without_gap(big: Segments) -> int:
    """The segments that are written, counted from the start of the file up to the first gap."""
    try:
        return big.digests.index(b"")
    except ValueError:
        return len(big.digests)


def carries(source: int, toolbox: Toolbox) -> bool:
    """Whether writing may count for the pass, because nothing has to be read back."""
    return not toolbox.plan.verify or content.confirms_content(source, toolbox)


def take_pass(name: bytes, big: Segments, toolbox: Toolbox) -> Pass:
    """This mover's pass over the staged file."""
    source = big.source
    key = ("staged", big.begun_ns, source.size, source.mtime_ns, source.identity)
    return passes.take(name, key, toolbox)


def is_same_file(before: Entry, now: Entry, capabilities: Capabilities) -> bool:
    """Whether a big file still is the one whose first segment was read."""
    return before.identity == now.identity and is_unchanged(
        before, now, change_times=capabilities.change_times
    )


def changed(path: bytes) -> StorageError:
    """The error for a source that is not the file any more whose first segments were read."""
    cause = "it was changed while it was read"
    return StorageError(ErrorKind.CHANGED_WHILE_READ, RetryClass.NOW, "read", path, cause)


def with_attempt(planned: PlannedFile) -> PlannedFile:
    """The same file, after one more attempt that has failed."""
    return msgspec.structs.replace(planned, attempts=planned.attempts + 1)
