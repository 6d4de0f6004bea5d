"""The entries of a folder of a POSIX storage in the order of their names, however many there are.

names as the system has them ──> sorted runs ──> in order ──> looked at, a few at a time
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.native import loops
from longshore.storage.backends.posix_metadata import entry_at, entry_from_stat, unreadable_entry
from longshore.storage.backends.posix_runs import RUN_BYTES, block_of, in_order, names_of
from longshore.storage.handler import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from longshore.storage.backends.posix_folder import PosixFolder

_ENCODING: Final = sys.getfilesystemencoding()
_ENCODING_ERRORS: Final = sys.getfilesystemencodeerrors()

_TYPE_BITS: Final = 0o170000

READ_AT_ONCE: Final = 1000  # names: enough that a step costs nothing, few beside a run of them

LOOKED_AT_ONCE: Final = 256
"""Entries that the native loop makes ready: enough that a call costs nothing, few in memory."""


def entries(folder: PosixFolder, after: bytes, temporary_folder: str | None) -> Iterator[Entry]:
    """As `Folder.entries`. The names of a folder too big for memory wait in a temporary file."""
    look = os.lstat
    for block in _blocks(folder, _runs(folder, after), temporary_folder):
        for name in names_of(block):  # only names are kept: metadata would be ten times as much
            try:
                found = look(name, dir_fd=folder.descriptor)
            except OSError:
                entry = listed(folder, name)
            else:
                is_link = found.st_mode & _TYPE_BITS == stat.S_IFLNK
                entry = listed(folder, name) if is_link else entry_from_stat(name, found)
            if entry is not None:
                yield entry


def names_natively(
    folder: PosixFolder, after: bytes, temporary_folder: str | None
) -> loops.Listing:
    """The names greater than `after`, for the native loops; read when the first is asked for."""
    return loops.Listing(_blocks(folder, _runs_natively(folder, after), temporary_folder))


def entries_natively(folder: PosixFolder, listing: loops.Listing) -> Iterator[Entry]:
    """The entries of the names in the listing."""
    while listing:
        found, name = listing.take(folder.descriptor, LOOKED_AT_ONCE)
        yield from found
        if name is not None:
            entry = listed(folder, name)
            if entry is not None:
                yield entry


def listed(folder: PosixFolder, name: bytes) -> Entry | None:
    """The entry for a name in a listing; None when it vanished since."""
    try:
        return entry_at(folder.descriptor, name)
    except FileNotFoundError:
        return None
    except OSError as error:
        refusal = folder.refusal(error, "list", name)
        if isinstance(refusal, StorageUnavailable) or error.errno == errno.EBADF:
            raise refusal from error
        return unreadable_entry(name)


def names(folder: PosixFolder) -> Iterator[list[bytes]]:
    """All names as the system has them, some at a time: there may be millions."""
    try:
        _rewind(folder)
        with os.scandir(folder.descriptor) as found:
            while some := [
                entry.name.encode(_ENCODING, _ENCODING_ERRORS)
                for entry in islice(found, READ_AT_ONCE)
            ]:
                yield some
    except OSError as error:
        raise folder.refusal(error, "list", b"") from error


def _rewind(folder: PosixFolder) -> None:
    """Let the next reading of names begin at the first, whoever has read them before."""
    os.lseek(folder.descriptor, 0, os.SEEK_SET)


# ---------------------------------------------------------------------------- names in order


def _blocks(
    folder: PosixFolder, runs: Iterator[bytes], temporary_folder: str | None
) -> Iterator[bytes]:
    try:
        yield from in_order(runs, temporary_folder)
    except OSError as error:  # of the temporary file: what the folder refuses is told already
        cause = os.strerror(error.errno or errno.EIO)
        text = f"the temporary file for its names: {cause}"
        kind, later = ErrorKind.INPUT_OUTPUT, RetryClass.LATER
        raise StorageError(kind, later, "list", folder.path, text) from error


def _runs_natively(folder: PosixFolder, after: bytes) -> Iterator[bytes]:
    try:
        _rewind(folder)
        is_full = True
        while is_full:
            run = loops.read_names(folder.descriptor, after, TEMPORARY_PREFIX, RUN_BYTES)
            is_full = len(run) >= RUN_BYTES
            yield run
    except OSError as error:
        raise folder.refusal(error, "list", b"") from error


def _runs(folder: PosixFolder, after: bytes) -> Iterator[bytes]:
    run: list[bytes] = []
    size = 0
    for some in names(folder):
        wanted = [name for name in some if name > after and not name.startswith(TEMPORARY_PREFIX)]
        run += wanted
        size += len(wanted) + sum(map(len, wanted))
        if size >= RUN_BYTES:
            yield _sorted_block(run)
            size = 0
    yield _sorted_block(run)


def _sorted_block(run: list[bytes]) -> bytes:
    """The names as a block; the list is empty then."""
    run.sort()
    block = block_of(run)
    run.clear()
    return block
