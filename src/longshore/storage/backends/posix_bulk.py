"""Copying small files between two folders of POSIX storages in the native loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from longshore.native import loops
from longshore.storage.backends.posix_files import PosixStagedFile
from longshore.storage.bulk import BulkCopier, BulkOrder, BulkStaged
from longshore.storage.handler import StagedFile

if TYPE_CHECKING:
    from longshore.storage.backends.posix_folder import PosixFolder

_CLOSED: Final = -1


class PosixBulkCopier(BulkCopier):
    """Calls the loops with the two folders' descriptors, never with a path from outside."""

    files_maximum = 256  # between two looks at the clock of the slice: some milliseconds

    def __init__(self, source: PosixFolder, target: PosixFolder) -> None:
        self._source = source
        self._target = target

    def stage(
        self, names: Sequence[bytes], temporary_names: Sequence[bytes], order: BulkOrder
    ) -> list[BulkStaged]:
        try:
            return loops.stage(
                self._source.descriptor,
                self._target.descriptor,
                names,
                temporary_names,
                _flags(order),
                order.size_maximum,
                order.seconds,
            )
        except ValueError:  # a name that no folder can have: the ordinary way tells which
            return []

    def lost_fields(self, lost: int) -> tuple[str, ...]:
        known = (("uid", loops.LOST_UID), ("gid", loops.LOST_GID))
        return tuple(field for field, mark in known if lost & mark)

    def publish(
        self, temporary_names: Sequence[bytes], names: Sequence[bytes], replace: Sequence[bool]
    ) -> int:
        holder = self._target.descriptor
        try:
            return loops.publish(holder, temporary_names, names, bytes(replace))
        except ValueError:
            return 0

    def staged_file(self, temporary_name: bytes) -> StagedFile:
        return PosixStagedFile(self._target, temporary_name, _CLOSED)


def _flags(order: BulkOrder) -> int:
    return (
        order.verify * loops.VERIFY
        | order.from_medium * loops.FROM_MEDIUM
        | order.keep_times * loops.KEEP_TIMES
    )
