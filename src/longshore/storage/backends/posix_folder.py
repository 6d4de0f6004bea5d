"""One folder of a POSIX storage. Every deed is relative to the held descriptor."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends import posix_attributes, posix_bulk, posix_listing
from longshore.storage.backends.posix_compare import PosixFolderComparer
from longshore.storage.backends.posix_files import (
    PosixSourceFile,
    PosixStagedFile,
    PosixStagedLink,
    PosixStagedSymlink,
)
from longshore.storage.backends.posix_metadata import Target, apply_metadata, entry_at
from longshore.storage.backends.posix_names import (
    check_name,
    check_temporary_name,
    name_invalid,
)
from longshore.storage.backends.posix_stage import create_link, create_or_resume, create_symlink
from longshore.storage.handler import (
    TEMPORARY_PREFIX,
    Folder,
    Intent,
    Metadata,
    SourceFile,
    StagedFile,
)

if TYPE_CHECKING:
    from longshore.native import loops
    from longshore.storage.backends.posix import PosixStorage
    from longshore.storage.bulk import BulkCopier, BulkWriter, FolderComparer
    from longshore.storage.small_files import SmallFile

# A named pipe without a writer must not hold the mover up, a terminal must not take it over.
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class PosixFolder(Folder):
    """A folder held open by its descriptor, which it owns."""

    def __init__(self, storage: PosixStorage, path: bytes, descriptor: int) -> None:
        self.path = path
        self._storage = storage
        self._descriptor = descriptor
        self._device: int | None = None  # of the file system written to; asked once
        self._hands_down: bool | None = None  # access lists, to what is made here; asked once

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # Looking

    def entries(self, *, after: bytes = b"") -> Iterator[Entry]:
        if self._storage.lists_natively:
            return posix_listing.entries_natively(self, self._names_natively(after))
        return posix_listing.entries(self, after, self._storage.temporary_folder)

    def stat(self, name: bytes) -> Entry:
        check_name(name, "look at")
        try:
            return entry_at(self._descriptor, name)
        except OSError as error:
            raise self.refusal(error, "look at", name) from error

    def open(self, name: bytes) -> SourceFile:
        check_name(name, "open")
        try:
            descriptor = self._storage.open_unobtrusively(name, _READ_FLAGS, self._descriptor)
        except OSError as error:
            raise self._open_refusal(error, name) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self.not_regular("open", name)
        return PosixSourceFile(self, name, descriptor)

    def attributes(self, name: bytes) -> dict[bytes, bytes]:
        try:
            if not name:
                return posix_attributes.read_attributes(self._descriptor)
            check_name(name, "read attributes of")
            path = b"/proc/self/fd/%d/%s" % (self._descriptor, name)
            return posix_attributes.read_attributes(path, follow=False)
        except OSError as error:
            raise self.refusal(error, "read attributes of", name) from error

    def staged_names(self) -> list[bytes]:
        found = chain.from_iterable(posix_listing.names(self))
        return sorted(name for name in found if name.startswith(TEMPORARY_PREFIX))

    def bulk_copier(self, target: Folder) -> BulkCopier | None:
        if not (isinstance(target, PosixFolder) and self._may_copy_natively(target)):
            return None
        target.note_change()
        return posix_bulk.PosixBulkCopier(self, target)

    def bulk_writer(self) -> BulkWriter | None:
        if not self._storage.copies_natively or self.hands_down_access_lists():
            return None
        self.note_change()
        return posix_bulk.PosixBulkWriter(self)

    def read_small(self, names: Sequence[bytes], bytes_maximum: int) -> list[SmallFile]:
        if not self._storage.copies_natively:
            return []
        return posix_bulk.read_small(self, names, bytes_maximum)

    def comparer(self, other: Folder, *, after: bytes, resolution: int) -> FolderComparer | None:
        if not (isinstance(other, PosixFolder) and self._storage.copies_natively):
            return None
        theirs = other._names_natively(after)
        try:
            if not theirs:
                return None
        except StorageError:  # what is wrong with it is told when it is listed alone
            return None
        return PosixFolderComparer(self, self._names_natively(after), other, theirs, resolution)

    # Changing

    def stage(
        self,
        temporary_name: bytes,
        *,
        size: int,
        resume: bool = False,
        intent: Intent | None = None,
        token: bytes = b"",
    ) -> StagedFile:
        check_temporary_name(temporary_name)
        self.note_change()
        try:
            descriptor = create_or_resume(self._descriptor, temporary_name, size, resume=resume)
        except OSError as error:
            raise self.refusal(error, "stage", temporary_name) from error
        staged = PosixStagedFile(self, temporary_name, descriptor)
        self._take_away_inherited(descriptor, temporary_name)
        return staged

    def stage_link(self, temporary_name: bytes, of_path: bytes) -> StagedFile:
        check_temporary_name(temporary_name)
        parent, name = paths.split(of_path)
        check_name(name, "link")
        self.note_change()
        holder = self._storage.open_folder(parent)
        with holder:
            assert isinstance(holder, PosixFolder)
            if holder.stat(name).kind is not EntryKind.FILE:
                raise holder.not_regular("link", name)
            try:
                create_link(holder.descriptor, name, self._descriptor, temporary_name)
            except OSError as error:
                raise self.refusal(error, "link", temporary_name) from error
        return PosixStagedLink(self, temporary_name)

    def stage_symlink(self, temporary_name: bytes, target: bytes) -> StagedFile:
        check_temporary_name(temporary_name)
        if not target or b"\0" in target:
            raise name_invalid("stage link", temporary_name, "no such target can be stored")
        self.note_change()
        try:
            create_symlink(self._descriptor, temporary_name, target)
        except OSError as error:
            raise self.refusal(error, "stage link", temporary_name) from error
        return PosixStagedSymlink(self, temporary_name, target)

    def make_folder(self, name: bytes) -> bool:
        check_name(name, "make folder")
        self.note_change()
        try:
            os.mkdir(name, dir_fd=self._descriptor)
        except FileExistsError as error:
            if self.stat(name).kind is EntryKind.FOLDER:
                return False
            standing = os.strerror(errno.ENOTDIR)
            kind, path = ErrorKind.NOT_A_FOLDER, paths.join(self.path, name)
            raise StorageError(kind, RetryClass.NEVER, "make folder", path, standing) from error
        except OSError as error:
            raise self.refusal(error, "make folder", name) from error
        return True

    def set_metadata(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        self.note_change()
        try:
            if not name:
                return self._set_own_metadata(metadata)
            check_name(name, "set metadata of")
            return self._set_metadata_of(name, metadata)
        except OSError as error:
            raise self.refusal(error, "set metadata of", name) from error

    def remove(self, name: bytes) -> None:
        check_name(name, "remove")
        self.note_change()
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except OSError as error:
            raise self.refusal(error, "remove", name) from error

    def remove_folder(self, name: bytes) -> None:
        check_name(name, "remove folder")
        self.note_change()
        try:
            os.rmdir(name, dir_fd=self._descriptor)
        except FileExistsError as error:  # some systems say so for "not empty"
            full = OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            raise self.refusal(full, "remove folder", name) from error
        except OSError as error:
            raise self.refusal(error, "remove folder", name) from error

    # For the storage and the files of this folder

    def refusal(self, error: OSError, deed: str, name: bytes) -> StorageError:
        """The error for a deed that named something in this folder."""
        return self._storage.refusal(error, deed, paths.join(self.path, name), names=True)

    def note_change(self) -> None:
        """Tell the storage which file system has to be made durable later."""
        if self._device is None:
            try:
                self._device = os.fstat(self._descriptor).st_dev
            except OSError as error:
                raise self.refusal(error, "use folder", b"") from error
        self._storage.note_change(self._device, self._descriptor)

    def not_regular(self, deed: str, name: bytes) -> StorageError:
        """The error for a name that is no regular file."""
        kind, path = ErrorKind.SPECIAL_FILE, paths.join(self.path, name)
        return StorageError(kind, RetryClass.NEVER, deed, path, "not a regular file")

    @property
    def descriptor(self) -> int:
        """The held folder; -1 once closed."""
        return self._descriptor

    def hands_down_access_lists(self) -> bool:
        """Whether files that are made here get an access list that nobody asked for."""
        if self._hands_down is None:
            try:
                self._hands_down = posix_attributes.has_default_access_list(self._descriptor)
            except OSError as error:
                raise self.refusal(error, "use folder", b"") from error
        return self._hands_down

    # Inside

    def _may_copy_natively(self, target: PosixFolder) -> bool:
        both = self._storage.copies_natively and target._storage.copies_natively
        return both and not target.hands_down_access_lists()

    def _names_natively(self, after: bytes) -> loops.Listing:
        return posix_listing.names_natively(self, after, self._storage.temporary_folder)

    def _open_refusal(self, error: OSError, name: bytes) -> StorageError:
        try:
            standing = os.lstat(name, dir_fd=self._descriptor)
        except OSError:
            return self.refusal(error, "open", name)
        if stat.S_ISREG(standing.st_mode):
            return self.refusal(error, "open", name)
        return self.not_regular("open", name)

    def _set_own_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        if metadata.attributes is not None:
            posix_attributes.take_away_others(self._descriptor, metadata.attributes)
            self._hands_down = None
        return apply_metadata(Target(self._descriptor), metadata)

    def _take_away_inherited(self, descriptor: int, name: bytes) -> None:
        """A staged file has no access list but the one that it will be given."""
        try:
            if self.hands_down_access_lists():
                posix_attributes.take_away(descriptor, [posix_attributes.ACCESS_LIST])
        except OSError as error:
            raise self.refusal(error, "stage", name) from error

    def _set_metadata_of(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        # O_PATH needs no permission on the file and wakes no device. What it yields takes no
        # fchmod, but its name under /proc leads to exactly the opened file.
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._descriptor)
        try:
            if stat.S_ISLNK(os.fstat(descriptor).st_mode):
                return apply_metadata(Target(name, folder=self._descriptor), metadata)
            place = b"/proc/self/fd/%d" % descriptor
            if metadata.attributes is not None:
                posix_attributes.take_away_others(place, metadata.attributes)
            return apply_metadata(Target(place), metadata)
        finally:
            os.close(descriptor)
