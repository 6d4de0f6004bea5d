"""What the functions of one slice work with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import xxhash

from longshore.callbacks import FilterChain
from longshore.domain.entry import Entry
from longshore.domain.errors import FileFailure, RetryClass, Side, Stage, StorageError
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.hooks import FileRequest
from longshore.pipeline.listing import KeptListings
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.replies import UnsoundCopy
from longshore.pipeline.messages.work import CopyGroup, PlannedFile
from longshore.storage.handler import TEMPORARY_PREFIX, StorageHandler

BUFFER_BYTES = 512 * 1024
"""Of each mover. What was read is still in the processor's cache when it is hashed and written;
larger reads gained nothing on tmpfs and ext4, and those of 4 MiB cost a tenth more."""
WARNINGS_MAXIMUM = 20  # different texts kept per slice: a warning is told once per kind


Dispatch = Callable[[FileRequest], FileRequest | None]


@dataclass(slots=True)
class Toolbox:
    """Plan, storages, clock and buffer of one slice. It lives as long as the slice."""

    plan: ExecutionPlan
    work_id: int
    sources: list[StorageHandler]  # by index of the plan's sources
    destinations: list[StorageHandler]  # by index of the plan's destinations
    chain: Callable[[], FilterChain | None]
    deadline: float
    monotonic: Callable[[], float]
    time_ns: Callable[[], int]
    buffer: memoryview
    passes: dict[bytes, Any]  # unfinished passes over big files, by staged name
    listings: KeptListings  # folders that a slice ended inside of
    anchors: dict[bytes, Any]  # what is known of copies that hard links are made from, by path
    random: Random = field(default_factory=Random)  # spreads attempts that would coincide
    warnings: list[str] = field(default_factory=list)
    unsound: list[UnsoundCopy] = field(default_factory=list)  # that gave way to others
    dispatch: Dispatch | None = None  # the plug-ins, where any looks at single files

    def destination_of(self, source: int) -> StorageHandler:
        """Where the files of this source go."""
        return self.destinations[self.plan.sources[source].destination]

    def resolution_of(self, source: int) -> int:
        """The step in nanoseconds in which the source's destination keeps times."""
        return self.destination_of(source).capabilities.time_resolution_nanoseconds

    def make_durable(self, sources: Iterable[int]) -> None:
        """Let everything written for these sources survive a power loss."""
        for index in {self.plan.sources[source].destination for source in sources}:
            self.destinations[index].make_durable()

    def time_is_up(self) -> bool:
        return self.monotonic() >= self.deadline

    def warn(self, text: str) -> None:
        if text not in self.warnings and len(self.warnings) < WARNINGS_MAXIMUM:
            self.warnings.append(text)

    def temporary_name(self, group: CopyGroup, planned: PlannedFile) -> bytes:
        """The staged name of a file: the same for every attempt, whatever batch it is in.

        Several files may come to one name in one folder at the same time, from several sources or
        because a plug-in wants it so; therefore where the file comes from stands in it.
        """
        return self.temporary_names(group, (planned,))[0]

    def temporary_names(self, group: CopyGroup, files: Iterable[PlannedFile]) -> list[bytes]:
        """As `temporary_name`, of several files."""
        prefix = TEMPORARY_PREFIX + b"%x-%x-" % (self.plan.execution_id, group.source)
        folder, hashed = group.folder, xxhash.xxh3_128_hexdigest
        return [
            prefix + hashed(b"%b/%b//%b" % (folder, each.entry.name, each.target_name)).encode()
            for each in files
        ]

    def record(
        self,
        place: int,
        source: int,
        folder: bytes,
        entry: Entry,
        outcome: Outcome,
        *,
        target_path: bytes = b"",
        xxh3_128: bytes = b"",
        checksum: bytes = b"",
        lost: bytes = b"",
        failure: FileFailure | None = None,
        callback_id: int = 0,
        attempts: int = 1,
    ) -> Record:
        return Record(
            place,
            source,
            folder,
            entry,
            outcome,
            target_path,
            xxh3_128,
            checksum,
            failure,
            callback_id,
            attempts,
            self.time_ns(),
            lost,
            self.share_of(source, target_path) if target_path else 0,
        )

    def share_of(self, source: int, path: bytes) -> int:
        """Which of the storages of the source's destination has the path."""
        return self.destination_of(source).share_of(path)


def failure_of(error: StorageError, stage: Stage, side: Side) -> FileFailure:
    """The error as a value that stays with its file."""
    return FileFailure(error.kind, stage, side, str(error))


def may_try_again(error: StorageError) -> bool:
    return error.retry is not RetryClass.NEVER
