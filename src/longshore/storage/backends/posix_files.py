"""Open files of a POSIX storage: the source that is read, the staged file that becomes one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.posix_attributes import read_attributes
from longshore.storage.backends.posix_calls import rename_exclusively
from longshore.storage.backends.posix_errors import refusal
from longshore.storage.backends.posix_metadata import Target, apply_metadata, entry_from_stat
from longshore.storage.backends.posix_names import check_name
from longshore.storage.handler import Metadata, SourceFile, StagedFile

if TYPE_CHECKING:
    from longshore.storage.backends.posix_folder import PosixFolder

# What a file system answers that cannot rename exclusively (NFS, older FUSE).
_NO_EXCLUSIVE_RENAME: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class PosixSourceFile(SourceFile):
    """A regular file held open by its descriptor."""

    def __init__(self, folder: PosixFolder, name: bytes, descriptor: int) -> None:
        self._path = folder.path
        self._name = name
        self._descriptor = descriptor

    def stat(self) -> Entry:
        try:
            return entry_from_stat(self._name, os.fstat(self._descriptor))
        except OSError as error:
            raise refusal(error, "look at", paths.join(self._path, self._name)) from error

    def read_into(self, buffer: memoryview, offset: int) -> int:
        try:
            return os.preadv(self._descriptor, (buffer,), offset)
        except OSError as error:
            raise refusal(error, "read", paths.join(self._path, self._name)) from error

    def attributes(self) -> dict[bytes, bytes]:
        try:
            return read_attributes(self._descriptor)
        except OSError as error:
            path = paths.join(self._path, self._name)
            raise refusal(error, "read attributes of", path) from error

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        try:
            yield from data_ranges(self._descriptor, start, end)
        except OSError as error:
            path = paths.join(self._path, self._name)
            raise refusal(error, "look for holes of", path) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Staged(StagedFile):
    """What staged files and staged symbolic links share: their way to the final name, or out."""

    def __init__(self, folder: PosixFolder, name: bytes) -> None:
        self._folder = folder
        self._name = name
        self._published = False

    def commit(self, name: bytes, *, replace: bool) -> None:
        check_name(name, "publish")
        holder = self._folder.descriptor
        try:
            if replace:
                os.rename(self._name, name, src_dir_fd=holder, dst_dir_fd=holder)
            else:
                _publish_exclusively(holder, self._name, name)
        except OSError as error:
            raise self._folder.refusal(error, "publish", name) from error
        self._published = True
        self.close()

    def abort(self) -> None:
        self.close()
        if self._published:
            return
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._folder.descriptor)
        except OSError as error:
            raise self._folder.refusal(error, "remove", self._name) from error

    def _path(self) -> bytes:
        return paths.join(self._folder.path, self._name)


class PosixStagedFile(_Staged):
    """A regular file under its temporary name."""

    def __init__(self, folder: PosixFolder, name: bytes, descriptor: int) -> None:
        super().__init__(folder, name)
        self._descriptor = descriptor

    def write(self, data: memoryview, offset: int) -> None:
        try:
            written = os.pwrite(self._descriptor, data, offset)
            while written < len(data):  # one call takes at most 2 GiB, or what a quota leaves
                written += os.pwrite(self._descriptor, data[written:], offset + written)
        except OSError as error:
            raise refusal(error, "write", self._path()) from error

    def read_into(self, buffer: memoryview, offset: int) -> int:
        try:
            return os.preadv(self._descriptor, (buffer,), offset)
        except OSError as error:
            raise refusal(error, "read back", self._path()) from error

    def size(self) -> int:
        try:
            return os.fstat(self._descriptor).st_size
        except OSError as error:
            raise refusal(error, "look at", self._path()) from error

    def set_size(self, size: int) -> None:
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            raise refusal(error, "set size of", self._path()) from error

    def drop_cache(self) -> None:
        try:
            # Pages that are not written yet cannot be forgotten.
            os.fdatasync(self._descriptor)
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise refusal(error, "write to the medium", self._path()) from error

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        try:
            return apply_metadata(Target(self._descriptor), metadata)
        except OSError as error:
            raise refusal(error, "set metadata of", self._path()) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.close(descriptor)
            except OSError as error:  # network file systems tell of lost writes here
                raise refusal(error, "close", self._path()) from error


class _StagedName(_Staged):
    """A staged name that is no file of its own: nothing can be written to it."""

    def write(self, data: memoryview, offset: int) -> None:
        raise self._not_a_file("write")

    def read_into(self, buffer: memoryview, offset: int) -> int:
        raise self._not_a_file("read back")

    def close(self) -> None:
        """Nothing is held."""

    def _not_a_file(self, deed: str) -> StorageError:
        kind, cause = ErrorKind.UNSUPPORTED, "a staged link has no content of its own"
        return StorageError(kind, RetryClass.NEVER, deed, self._path(), cause)


class PosixStagedLink(_StagedName):
    """A further name of a published file, still a temporary one."""

    def size(self) -> int:
        try:
            return os.lstat(self._name, dir_fd=self._folder.descriptor).st_size
        except OSError as error:
            raise self._folder.refusal(error, "look at", self._name) from error

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        raise self._not_a_file("set metadata of")

    def commit(self, name: bytes, *, replace: bool) -> None:
        super().commit(name, replace=replace)
        if replace:
            # Renaming onto another name of the same file leaves both names standing.
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder.descriptor)


class PosixStagedSymlink(_StagedName):
    """A symbolic link under its temporary name."""

    def __init__(self, folder: PosixFolder, name: bytes, target: bytes) -> None:
        super().__init__(folder, name)
        self._target = target

    def size(self) -> int:
        return len(self._target)

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        try:
            return apply_metadata(Target(self._name, folder=self._folder.descriptor), metadata)
        except OSError as error:
            raise self._folder.refusal(error, "set metadata of", self._name) from error


def data_ranges(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The ranges between `start` and `end` for which the file system holds data."""
    while start < end:
        try:
            data = os.lseek(descriptor, start, os.SEEK_DATA)
            hole = os.lseek(descriptor, data, os.SEEK_HOLE) if data < end else end
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end of the file
                return
            if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:
                raise
            data, hole = start, end  # a file system that does not know
        if data < end:
            yield data, min(hole, end)
        start = hole


def _publish_exclusively(folder: int, name: bytes, final: bytes) -> None:
    try:
        rename_exclusively(folder, name, final)
    except OSError as error:
        if error.errno not in _NO_EXCLUSIVE_RENAME:
            raise
        _link_and_unlink(folder, name, final)


def _link_and_unlink(folder: int, name: bytes, final: bytes) -> None:
    """The older way to the same end: a link never replaces anything either."""
    try:
        os.link(name, final, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        # A server whose answer was lost, or a crash, leaves our own link standing.
        if not _same_file(folder, name, final):
            raise
    os.unlink(name, dir_fd=folder)


def _same_file(folder: int, name: bytes, other: bytes) -> bool:
    one, two = os.lstat(name, dir_fd=folder), os.lstat(other, dir_fd=folder)
    return os.path.samestat(one, two)
