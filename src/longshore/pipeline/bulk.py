"""Copying the small and usual files of a group many at a time, where its storages offer that.

What is not usual is for `transfer` and `publish`, which say what has to come of every file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile

from longshore import faults
from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.record import Record
from longshore.domain.segments import SEGMENT_BYTES
from longshore.pipeline.content import Written
from longshore.pipeline.keeping import metadata_of, note_lost
from longshore.pipeline.messages.work import CopyGroup, CopyMode, PlannedFile
from longshore.pipeline.published import OUTCOMES
from longshore.pipeline.toolbox import Toolbox
from longshore.pipeline.transfer import Again, Finished, Staged
from longshore.storage.bulk import (
    BulkCopier,
    BulkOrder,
    BulkPublisher,
    BulkStaged,
    BulkWriter,
)
from longshore.storage.handler import Folder
from longshore.storage.small_files import SmallFile

_FAULT_POINTS = ("mover.file", "mover.staged", "mover.published")
"""Reached between the files of a folder: somebody who watches them gets one file at a time."""


def open_bulk(
    group: CopyGroup, source: Folder, target: Folder, toolbox: Toolbox
) -> CopiedStage | None:
    """The way to stage many files at once; None where each has to be staged by itself.

    Only for batches that nobody has begun before: nothing is looked for at the destination.
    """
    if not takes_many(toolbox):
        return None
    copier = source.bulk_copier(target)
    return None if copier is None else CopiedStage(group, target, copier, toolbox)


def takes_many(toolbox: Toolbox) -> bool:
    """Whether files may be taken many at a time, and nobody needs to see each."""
    return toolbox.plan.checksum is ChecksumKind.NONE and not faults.are_watched(_FAULT_POINTS)


def order_of(files: Sequence[PlannedFile], toolbox: Toolbox) -> BulkOrder:
    """How these files are to be staged."""
    plan = toolbox.plan
    return BulkOrder(
        verify=plan.verify,
        from_medium=plan.verify_from_medium,
        keep_times=not plan.reset_file_date,
        size_maximum=SEGMENT_BYTES,
        seconds=toolbox.deadline - toolbox.monotonic(),
        all_new=all(planned.mode is CopyMode.NEW for planned in files),
    )


@dataclass(slots=True, eq=False)
class BulkStage:
    """Staged files of one group, waiting to be published."""

    group: CopyGroup
    target: Folder
    publisher: BulkPublisher
    toolbox: Toolbox
    files: list[PlannedFile] = field(default_factory=list)
    temporaries: list[bytes] = field(default_factory=list)
    staged: list[BulkStaged] = field(default_factory=list)
    others: dict[int, Finished | Again] = field(default_factory=dict)
    """What became of the files that were published by the ordinary way, by their index."""

    def add(
        self, files: Sequence[PlannedFile], temporaries: list[bytes], staged: list[BulkStaged]
    ) -> None:
        """Take in the first of the files, as many as are staged."""
        count = len(staged)
        self.files += files[:count]
        self.temporaries += temporaries[:count]
        self.staged += staged

    # ------------------------------------------------------------------ publishing

    def publish(self, publish_one: Callable[[Staged], Finished | Again]) -> None:
        """Publish all files; those that cannot be published here by the ordinary way."""
        first = 0
        while first < len(self.files):
            wanted = slice(first, first + self.publisher.files_maximum)
            files = self.files[wanted]
            names = [planned.target_name for planned in files]
            replace = [planned.mode is CopyMode.OVERWRITE for planned in files]
            count = self.publisher.publish(self.temporaries[wanted], names, replace)
            first += count
            if count < len(files):
                self.others[first] = publish_one(self._staged(first))
                first += 1

    def records(self) -> list[Record]:
        """What became of the files that were published here, as `copying.record_of` makes it.

        All in one place and step by step as cheap as possible: there may be millions.
        """
        group, others, now = self.group, self.others, self.toolbox.time_ns()
        source, folder = group.source, group.folder
        above = group.target + b"/" if group.target else b""
        return [
            Record(
                planned.place,
                source,
                folder,
                entry,
                OUTCOMES[planned.mode],
                above + planned.target_name,
                xxh3_128,
                b"",
                None,
                0,
                1,
                now,
                self._lost(entry, lost) if lost else b"",
            )
            for index, (planned, (entry, xxh3_128, lost)) in enumerate(
                zip(self.files, self.staged, strict=True)
            )
            if index not in others
        ]

    def size_change(self) -> int:
        """By how many bytes the files that were published here differ from what the scan found."""
        found = sum(planned.entry.size for planned in self.files)
        changed = sum(entry.size for entry, _, _ in self.staged) - found
        for index in self.others:
            changed -= self.staged[index][0].size - self.files[index].entry.size
        return changed

    def abort(self) -> None:
        """Remove all files that are not published."""
        self.publisher.discard(self.temporaries)

    def close(self) -> None:
        """Let go of what is not published."""
        self.publisher.close()

    def _staged(self, index: int) -> Staged:
        entry, xxh3_128, lost = self.staged[index]
        planned = self.files[index]
        return Staged(
            group=self.group,
            planned=planned,
            mode=planned.mode,
            target=self.target,
            file=self.publisher.staged_file(self.temporaries[index]),
            written=Written(
                entry=entry,
                xxh3_128=xxh3_128,
                checksum=b"",
                lost=self._lost(entry, lost) if lost else b"",
            ),
            bytes_copied=entry.size,
        )

    def _lost(self, entry: Entry, lost: int) -> bytes:
        """What the destination did not keep, for the catalogue; warns of it."""
        fields = self.publisher.lost_fields(lost)
        return note_lost(fields, metadata_of(entry, None), self.toolbox)


@dataclass(slots=True, eq=False)
class CopiedStage(BulkStage):
    """Files that are copied from the folder of the source."""

    publisher: BulkCopier

    def stage(self, first: int) -> int:
        """Stage files from this place of the group on; where the first is that was not staged.

        It is for the ordinary way, unless the time is up.
        """
        while files := self._usual_from(first):
            temporaries = self.toolbox.temporary_names(self.group, files)
            names = [planned.entry.name for planned in files]
            staged = self.publisher.stage(names, temporaries, order_of(files, self.toolbox))
            self.add(files, temporaries, staged)
            first += len(staged)
            if len(staged) < len(files) or self.toolbox.time_is_up():
                break
        return first

    def _usual_from(self, first: int) -> list[PlannedFile]:
        wanted = islice(self.group.files, first, first + self.publisher.files_maximum)
        return list(takewhile(is_usual, wanted))


@dataclass(slots=True, eq=False)
class WrittenStage(BulkStage):
    """Files whose content has come from a store."""

    publisher: BulkWriter

    def write(self, files: Sequence[tuple[PlannedFile, SmallFile]]) -> None:
        """Stage files; one that cannot be staged is left out."""
        while files:
            planned = [each for each, _ in files]
            temporaries = self.toolbox.temporary_names(self.group, planned)
            contents = [small for _, small in files]
            staged = self.publisher.write(contents, temporaries, order_of(planned, self.toolbox))
            self.add(planned, temporaries, staged)
            files = files[len(staged) + 1 :]


def is_usual(planned: PlannedFile) -> bool:
    """Whether the file is one of those that may be taken many at a time."""
    entry = planned.entry
    return (
        entry.links == 1
        and entry.kind is EntryKind.FILE
        and (planned.mode is CopyMode.NEW or planned.mode is CopyMode.OVERWRITE)
        and not (planned.attempts or planned.expected or planned.unkept or planned.further)
    )
