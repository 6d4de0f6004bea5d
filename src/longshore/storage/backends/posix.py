"""Storage on a folder that the operating system has mounted: local disks, NFS, SMB, StorNext.

    PosixStorage ── holds the root's descriptor
      └─ PosixFolder ── holds its own, found name by name from the root, symbolic links refused
           ├─ PosixSourceFile
           └─ PosixStagedFile, PosixStagedSymlink

Nothing is ever reached by a path from outside, so that whoever may write into the storage cannot
lead a mover out of it by swapping a folder for a symbolic link. The root itself is what the
operator named, symbolic links included. File names are the system's own bytes; nothing is encoded.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from threading import RLock
from typing import Final

from longshore.domain import paths
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.domain.storage import Capabilities, StorageReference
from longshore.native import can_copy, can_list
from longshore.storage.backends.posix_calls import open_beneath, sync_file_system
from longshore.storage.backends.posix_errors import ROOT_SUSPECTS, refusal, root_unavailable
from longshore.storage.backends.posix_folder import PosixFolder
from longshore.storage.backends.posix_names import check_name
from longshore.storage.handler import Folder, Space, StorageHandler

FILE_SYSTEMS_MAXIMUM: Final = 64
"""File systems inside one storage (mounts, subvolumes) that wait for `make_durable`, each with an
open descriptor. One more makes the others durable at once."""

_CAPABILITIES: Final = Capabilities(
    atomic_replace=True,
    exclusive_create=True,
    symlinks=True,
    permissions=True,
    ownership=True,
    time_resolution_nanoseconds=1,
    ranged_write=True,
    parallel_operations=1,
    shared_by_threads=True,
    name_bytes_maximum=paths.NAME_BYTES_MAXIMUM,
    extended_attributes=True,
    access_lists=True,
    sparse=True,
    hard_links=True,
    change_times=True,
)

_ROOT_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER_FLAGS: Final = _ROOT_FLAGS | os.O_NOFOLLOW
NAMES_WALKED: Final = 3  # in a path: for so few a call for each name is as quick
_PASSAGE_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PosixStorage(StorageHandler):
    """The storage under `root`, an absolute path.

    With `own_durability` False `make_durable` does nothing: for storages whose content need not
    survive a power loss, or where somebody else sees to it. With `native` the inner loops in C are
    used as far as there are any. Names of folders too big for memory are kept in
    `temporary_folder` while they are listed; None: in the system's for such files.
    """

    def __init__(
        self,
        reference: StorageReference,
        root: bytes,
        *,
        own_durability: bool = True,
        native: bool = True,
        temporary_folder: str | None = None,
    ) -> None:
        self.reference = reference
        self.temporary_folder = temporary_folder
        self.lists_natively = native and can_list
        self.copies_natively = native and can_copy
        self.capabilities = _CAPABILITIES
        self._path = root
        self._own_durability = own_durability
        self._lock = RLock()  # of the descriptors: folders of several threads note their changes
        self._descriptor = -1
        self._device = -1  # of the root
        self._changed: dict[int, int] = {}  # other devices -> a descriptor on that file system
        self._without_atime = os.O_NOATIME

    def close(self) -> None:
        self._forget_changes()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def check(self, *, writable: bool) -> None:
        lost = self._loss()
        if lost is not None:
            raise lost
        self._check_access(os.R_OK | os.X_OK, "it may not be read")
        if writable:
            if os.fstatvfs(self._root()).f_flag & os.ST_RDONLY:
                raise self._unavailable(ErrorKind.READ_ONLY, "it is mounted read-only")
            self._check_access(os.W_OK, "it may not be written")

    def space(self) -> Space:
        root = self._root()
        try:
            volume = os.fstatvfs(root)
        except OSError as error:
            raise root_unavailable(error, self._path) from error
        return Space(volume.f_blocks * volume.f_frsize, volume.f_bavail * volume.f_frsize)

    def open_folder(self, path: bytes, *, create: bool = False) -> Folder:
        names = paths.names(path)
        for name in names:
            check_name(name, "open folder")
        if create and (lost := self._loss()) is not None:
            raise lost  # what is held open goes on taking files, wherever it has gone
        folder = PosixFolder(self, path, self._walk(names, create))
        if create:
            folder.note_change()
        return folder

    def make_durable(self) -> None:
        if not self._own_durability:
            return
        # The root's file system even without a change of ours: other handlers may have written.
        for descriptor in (self._root(), *self._changed.values()):
            try:
                sync_file_system(descriptor)
            except OSError as error:
                raise self._not_durable(error) from error
        self._forget_changes()

    # For the folders of this storage

    def refusal(
        self, error: OSError, deed: str, path: bytes, *, names: bool = False
    ) -> StorageError:
        """The error for a deed; it says so when in truth the whole storage is gone."""
        lost = self._loss() if error.errno in ROOT_SUSPECTS else None
        return lost or refusal(error, deed, path, names=names)

    def note_change(self, device: int, descriptor: int) -> None:
        """Remember the file system that the descriptor lies on for `make_durable`."""
        if device == self._device or device in self._changed:
            return
        with self._lock:
            if device in self._changed:
                return
            if len(self._changed) >= FILE_SYSTEMS_MAXIMUM:
                self.make_durable()
            try:
                self._changed[device] = os.dup(descriptor)
            except OSError as error:
                raise refusal(error, "use storage folder", self._path) from error

    def open_unobtrusively(self, name: bytes, flags: int, folder: int) -> int:
        """A descriptor whose reads leave the access time alone, where this user may ask for it."""
        if self._without_atime:
            with suppress(PermissionError):
                return os.open(name, flags | self._without_atime, dir_fd=folder)
            descriptor = os.open(name, flags, dir_fd=folder)
            # Only owners may ask for it. Asking again for each file of others would cost a call.
            self._without_atime = 0
            return descriptor
        return os.open(name, flags, dir_fd=folder)

    # Inside

    def _root(self) -> int:
        descriptor = self._descriptor
        return descriptor if descriptor >= 0 else self._open_root()

    def _open_root(self) -> int:
        with self._lock:
            if self._descriptor >= 0:  # another thread was faster
                return self._descriptor
            try:
                self._descriptor = os.open(self._path, _ROOT_FLAGS)
                self._device = os.fstat(self._descriptor).st_dev
            except OSError as error:
                raise root_unavailable(error, self._path) from error
            except ValueError as error:
                raise self._unavailable(ErrorKind.NAME_INVALID, str(error)) from error
            return self._descriptor

    def _walk(self, names: list[bytes], create: bool) -> int:
        """A new descriptor of the folder at the end; those on the way are closed again."""
        passed, holder = self._begin(names)
        for depth, name in enumerate(names[passed:], start=passed + 1):
            flags = _FOLDER_FLAGS if depth == len(names) else _PASSAGE_FLAGS
            try:
                following = _enter(name, flags, holder, create)
            except OSError as error:
                path = paths.join(*names[:depth])
                raise self.refusal(error, "open folder", path, names=True) from error
            finally:
                os.close(holder)
            holder = following
        return holder

    def _begin(self, names: list[bytes]) -> tuple[int, int]:
        """How many of the names are behind us, and a descriptor of where they lead.

        In a long path that is the last folder but one, in a single call; if it cannot be opened so,
        all names are walked, which makes what is missing and tells which one is the trouble.
        """
        root = self._root()
        if len(names) > NAMES_WALKED:
            with suppress(OSError):
                above = b"/".join(names[:-1])
                return len(names) - 1, open_beneath(root, above, _PASSAGE_FLAGS)
        return 0, self._duplicate(root) if names else self._again(root)

    def _duplicate(self, root: int) -> int:
        try:
            return os.dup(root)
        except OSError as error:  # another thread has just found the storage gone
            raise self.refusal(error, "open folder", b"") from error

    def _again(self, root: int) -> int:
        """The root opened anew: a duplicate would share its place in the listing."""
        try:
            return os.open(b".", _FOLDER_FLAGS, dir_fd=root)
        except OSError as error:
            raise self.refusal(error, "open folder", b"") from error

    def _loss(self) -> StorageUnavailable | None:
        """Why the root is not there any more, or None while it is."""
        with self._lock:
            return self._look_for_loss()

    def _look_for_loss(self) -> StorageUnavailable | None:
        try:
            held = os.fstat(self._root())
            standing = os.stat(self._path)
        except StorageUnavailable as error:
            return error
        except OSError as error:
            self.close()
            return root_unavailable(error, self._path)
        if not stat.S_ISDIR(standing.st_mode):
            self.close()
            return self._unavailable(ErrorKind.NOT_A_FOLDER, os.strerror(errno.ENOTDIR))
        if not os.path.samestat(held, standing):
            self.close()  # unmounted, or mounted over: the next deed looks for it anew
            return self._unavailable(ErrorKind.STALE, "another folder has taken its place")
        return None

    def _check_access(self, mode: int, cause: str) -> None:
        if not os.access(b".", mode, dir_fd=self._root(), effective_ids=True):
            raise self._unavailable(ErrorKind.PERMISSION, cause)

    def _unavailable(self, kind: ErrorKind, cause: str) -> StorageUnavailable:
        return StorageUnavailable(kind, RetryClass.LATER, "use storage folder", self._path, cause)

    def _not_durable(self, error: OSError) -> StorageError:
        known = refusal(error, "make durable", self._path)
        if isinstance(known, StorageUnavailable):
            return known
        kind, cause = ErrorKind.INPUT_OUTPUT, os.strerror(error.errno or 0)
        return StorageError(kind, RetryClass.LATER, "make durable", self._path, cause)

    def _forget_changes(self) -> None:
        for descriptor in self._changed.values():
            os.close(descriptor)
        self._changed.clear()


def _enter(name: bytes, flags: int, holder: int, create: bool) -> int:
    try:
        return os.open(name, flags, dir_fd=holder)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another mover was faster
        os.mkdir(name, dir_fd=holder)
    return os.open(name, flags, dir_fd=holder)
