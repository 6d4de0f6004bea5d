"""Copying or comparing many files of two folders at once, where two storages offer it.

A shortcut beside the interface of `handler`, for what dominates with small files: the calls per
file. It takes only what is usual. Whatever is not, and every error, is left to the caller, who
takes the ordinary way for that file; so errors have one home, and both ways have one result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from longshore.domain.entry import Entry
from longshore.storage.handler import StagedFile
from longshore.storage.small_files import SmallFile


class BulkOrder(NamedTuple):
    """How the files of one call are staged."""

    verify: bool  # read back and compare
    from_medium: bool  # make the system forget what it wrote before
    keep_times: bool
    size_maximum: int  # bytes; larger files are left to the caller
    seconds: float  # no further file is begun after them
    all_new: bool = False  # none of them is to replace a file


BulkStaged = tuple[Entry, bytes, int]
"""A file fully written under its temporary name, with its metadata: the source as it was read, its
XXH3-128, and what the destination does not keep of it, for `lost_fields`; 0 = nothing."""


class BulkPublisher(ABC):
    """Publishes what was staged in one folder, which has to stay open."""

    files_maximum: int
    """In one call."""

    @abstractmethod
    def lost_fields(self, lost: int) -> tuple[str, ...]:
        """The names of the fields, as `StagedFile.set_metadata` gives them."""

    @abstractmethod
    def publish(
        self, temporary_names: Sequence[bytes], names: Sequence[bytes], replace: Sequence[bool]
    ) -> int:
        """Give staged files their final names; how many of the first have theirs now.

        As `StagedFile.commit`; the file behind them is the caller's, still under its staged name.
        """

    @abstractmethod
    def staged_file(self, temporary_name: bytes) -> StagedFile:
        """One of the staged files, closed, for the ordinary way: it is there under that name."""

    @abstractmethod
    def discard(self, temporary_names: Sequence[bytes]) -> None:
        """Remove staged files that are not published. Raises StorageError."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is staged and not published; it need not be there any longer."""


class BulkCopier(BulkPublisher):
    """From one opened folder to another; both have to stay open."""

    @abstractmethod
    def stage(
        self, names: Sequence[bytes], temporary_names: Sequence[bytes], order: BulkOrder
    ) -> list[BulkStaged]:
        """Stage files in this order; at least the first is tried. Returns those that are staged.

        The file behind them is the caller's, unless the time is up; nothing of it is left over.
        """


class BulkWriter(BulkPublisher):
    """From memory to an opened folder."""

    @abstractmethod
    def write(
        self, files: Sequence[SmallFile], temporary_names: Sequence[bytes], order: BulkOrder
    ) -> list[BulkStaged]:
        """Stage files with this content in this order; as `BulkCopier.stage`."""


class Compared(NamedTuple):
    """Some names of a folder beside those of another, in the order of the names."""

    files: int  # the same in both, so that nobody has to look at them one by one
    size: int  # of all of them, in bytes
    names: tuple[bytes, bytes]  # the first and the last of them
    entries: bytes  # their entries, as msgpack of list[Entry]
    digest: bytes  # XXH3-128 of what a catalogue keeps of them, see pipeline.comparing
    others: list[tuple[Entry, Entry | None]]
    """All that is anything else: a name, and what has this name in the other folder. Files and
    symbolic links only are looked for there."""

    last: bytes  # the last of the names
    more: bool  # there may be names behind it


class FolderComparer(ABC):
    """Lists a folder beside another one, in which files may lie already; both stay open."""

    @abstractmethod
    def take(self, count: int) -> Compared:
        """The next names, at most so many. Raises StorageError as `Folder.entries` does."""
