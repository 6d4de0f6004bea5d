"""Copying, reading and writing small files of POSIX storages in the native loops."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from longshore.domain.entry import Entry
from longshore.native import loops
from longshore.storage.backends.posix_files import PosixStagedFile
from longshore.storage.backends.posix_stage import create_name
from longshore.storage.bulk import (
    BulkCopier,
    BulkOrder,
    BulkPublisher,
    BulkStaged,
    BulkWriter,
)
from longshore.storage.handler import StagedFile
from longshore.storage.small_files import SmallFile

if TYPE_CHECKING:
    from longshore.storage.backends.posix_folder import PosixFolder

_CLOSED: Final = -1
_NAMED: Final = -1  # as in loops.h

HELD_MAXIMUM: Final = 1 << 20  # of descriptors; the kernel's own limit for one process
HELD_PART: Final = 2
"""Staged files without a name have at most one in so many of the descriptors of a process."""


class _PosixBulk(BulkPublisher):
    """Calls the loops with the descriptors of folders, never with a path from outside."""

    files_maximum = 256  # between two looks at the clock of the slice: some milliseconds

    def __init__(self, target: PosixFolder) -> None:
        self._target = target
        self._unnamed: dict[bytes, int] = {}
        """Temporary names that staged files have not got -> descriptors that hold them."""

    def lost_fields(self, lost: int) -> tuple[str, ...]:
        known = (("uid", loops.LOST_UID), ("gid", loops.LOST_GID))
        return tuple(field for field, mark in known if lost & mark)

    def publish(
        self, temporary_names: Sequence[bytes], names: Sequence[bytes], replace: Sequence[bool]
    ) -> int:
        holder = self._target.descriptor
        descriptors = [self._unnamed.get(name, _NAMED) for name in temporary_names]
        try:
            count = loops.publish(holder, temporary_names, names, bytes(replace), descriptors)
        except ValueError:
            return 0
        for name in temporary_names[:count]:
            self._unnamed.pop(name, None)
        return count

    def staged_file(self, temporary_name: bytes) -> StagedFile:
        descriptor = self._unnamed.get(temporary_name)
        if descriptor is not None:
            try:
                create_name(descriptor, self._target.descriptor, temporary_name)
            except OSError as error:
                raise self._target.refusal(error, "stage", temporary_name) from error
            del self._unnamed[temporary_name]
            os.close(descriptor)
        return PosixStagedFile(self._target, temporary_name, _CLOSED)

    def discard(self, temporary_names: Sequence[bytes]) -> None:
        for name in temporary_names:
            descriptor = self._unnamed.pop(name, None)
            if descriptor is None:
                PosixStagedFile(self._target, name, _CLOSED).abort()
            else:
                os.close(descriptor)

    def close(self) -> None:
        while self._unnamed:
            os.close(self._unnamed.popitem()[1])

    def _hold(self, temporary_names: Sequence[bytes], descriptors: Sequence[int]) -> None:
        """Keep what holds the first of the files, as far as they have no names."""
        held = zip(temporary_names, descriptors, strict=False)
        self._unnamed.update((name, each) for name, each in held if each != _NAMED)


class PosixBulkCopier(_PosixBulk, BulkCopier):
    """From folder to folder."""

    def __init__(self, source: PosixFolder, target: PosixFolder) -> None:
        super().__init__(target)
        self._source = source

    def stage(
        self, names: Sequence[bytes], temporary_names: Sequence[bytes], order: BulkOrder
    ) -> list[BulkStaged]:
        try:
            staged, descriptors = loops.stage(
                self._source.descriptor,
                self._target.descriptor,
                names,
                temporary_names,
                _flags(order),
                order.size_maximum,
                order.seconds,
                _spare_descriptors() if order.all_new else 0,
            )
        except ValueError:  # a name that no folder can have: the ordinary way tells which
            return []
        self._hold(temporary_names, descriptors)
        return staged


class PosixBulkWriter(_PosixBulk, BulkWriter):
    """From memory to a folder."""

    def write(
        self, files: Sequence[SmallFile], temporary_names: Sequence[bytes], order: BulkOrder
    ) -> list[BulkStaged]:
        try:
            written, descriptors = loops.write(
                self._target.descriptor,
                [each.content for each in files],
                temporary_names,
                [_details(each.entry) for each in files],
                _flags(order),
                _spare_descriptors() if order.all_new else 0,
            )
        except (ValueError, OverflowError):  # a name or a number that no folder can have
            return []
        self._hold(temporary_names, descriptors)
        return [(file.entry, *made) for file, made in zip(files, written, strict=False)]


def read_small(folder: PosixFolder, names: Sequence[bytes], bytes_maximum: int) -> list[SmallFile]:
    """As `Folder.read_small` says, by the loops."""
    try:
        return [SmallFile(*each) for each in loops.read(folder.descriptor, names, bytes_maximum)]
    except ValueError:  # a name that no folder can have
        return []


def _details(entry: Entry) -> tuple[int, int, int, int, int]:
    return entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.atime_ns


def _spare_descriptors() -> int:
    """Below which number descriptors may hold staged files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(limit if limit >= 0 else HELD_MAXIMUM, HELD_MAXIMUM) // HELD_PART


def _flags(order: BulkOrder) -> int:
    return (
        order.verify * loops.VERIFY
        | order.from_medium * loops.FROM_MEDIUM
        | order.keep_times * loops.KEEP_TIMES
    )
