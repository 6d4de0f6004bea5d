"""Several storages as one destination: filled in their order, looked through for what stands.

    a new file      goes to the first storage that is there and has room
    a known name    is found on whichever storage holds it, and is replaced where it is
    full or gone    a storage that refuses is passed over for a while; only when all of them
                    refuse is the whole pool unavailable

A folder may lie on several of them; its listing is that of all. What a file is staged on it is
published on, so publishing stays one step.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.domain.storage import Capabilities
from longshore.storage.handler import (
    Folder,
    Intent,
    Metadata,
    SourceFile,
    Space,
    StagedFile,
    StorageHandler,
)
from longshore.storage.wrappers.forwarding import ForwardingStagedFile
from longshore.storage.wrappers.pool_memory import Leaving, PoolMemory, Refusing

Result = TypeVar("Result")


class PooledStorage(StorageHandler):
    """The storages of a pool as one; its name is that of the first."""

    def __init__(self, storages: Sequence[StorageHandler], memory: PoolMemory) -> None:
        self.reference = storages[0].reference
        self.storages = storages
        self.memory = memory
        self.capabilities = _common([each.capabilities for each in storages])
        self._touched: set[int] = set()

    def close(self) -> None:
        for each in self.storages:
            each.close()

    def check(self, *, writable: bool) -> None:
        refusals: list[StorageUnavailable] = []
        for each in self.storages:
            try:
                return each.check(writable=writable)
            except StorageUnavailable as error:
                refusals.append(error)
        raise refusals[0]

    def space(self) -> Space:
        found = [self.storages[index].space() for index in self.present()]
        total = sum(each.total_bytes for each in found)
        return Space(total, sum(each.free_bytes for each in found))

    def open_folder(self, path: bytes, *, create: bool = False) -> Folder:
        folder = PooledFolder(self, path)
        try:
            if not folder.find() and create:
                folder.make()
        except BaseException:
            folder.close()
            raise
        if not folder.opened:
            cause = "no storage of the pool has it"
            raise StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, "open folder", path, cause)
        return folder

    def make_durable(self) -> None:
        # Those without a deed of ours, too: another mover may have written what we have found.
        refusals: list[StorageUnavailable] = []
        for index in (present := self.present()):
            try:
                self.storages[index].make_durable()
            except StorageUnavailable as error:
                if index in self._touched:
                    with self.refusing(index):
                        raise
                refusals.append(error)
        if len(refusals) == len(present):
            raise refusals[0]
        self._touched.clear()

    def share_of(self, path: bytes) -> int:
        known = self.memory.place(path)
        if known is not None:
            return known
        parent, name = paths.split(path)
        for index in self.present():
            try:
                with self.storages[index].open_folder(parent) as folder:
                    folder.stat(name)
            except StorageError:
                continue
            self.memory.note_place(path, index)
            return index
        return 0

    # For the folders of this storage

    def present(self) -> list[int]:
        """The storages that were not found gone lately; all of them if that would leave none."""
        every = range(len(self.storages))
        return [index for index in every if not self.memory.is_gone(index)] or list(every)

    def note_deed(self, index: int) -> None:
        self._touched.add(index)

    def refusing(self, index: int, *, lasting: bool = False) -> Refusing:
        """A block in which a refusal of the storage makes the next attempt go elsewhere.

        With `lasting`, or where there is no elsewhere, it is raised as it is: who has to wait for
        this storage has to know.
        """
        return Refusing(self.memory, index, 0 if lasting else len(self.storages))

    def leaving(self, index: int, size: int) -> Leaving:
        """A block in which a storage that is full is left for one with room for the whole file.

        Where there is none the refusal is raised as it is: what is written there is worth a wait.
        """
        return Leaving(self.memory, index, lambda: self._has_room_elsewhere(index, size))

    def _has_room_elsewhere(self, index: int, size: int) -> bool:
        return any(
            self._has_room(other, size)
            for other in self.present()
            if other != index and not self.memory.has_refused(other)
        )

    def _has_room(self, index: int, size: int) -> bool:
        try:
            return self.storages[index].space().free_bytes > size
        except StorageError:
            return False


class PooledFolder(Folder):
    """A folder on those storages that have it, opened one by one; more when they are needed."""

    def __init__(self, pool: PooledStorage, path: bytes) -> None:
        self.path = path
        self.opened: dict[int, Folder] = {}
        self._pool = pool

    def close(self) -> None:
        while self.opened:
            self.opened.popitem()[1].close()

    def find(self) -> bool:
        """Open the folder wherever it is; whether it is anywhere."""
        refusals: list[StorageUnavailable] = []
        for index in (present := self._pool.present()):
            try:
                self.opened[index] = self._pool.storages[index].open_folder(self.path)
            except StorageUnavailable as error:
                self._pool.memory.note_refusal(index, error)
                refusals.append(error)
            except StorageError as error:
                if not _is_missing(error):
                    raise
        if len(refusals) == len(present):
            raise refusals[0]
        return bool(self.opened)

    def make(self) -> None:
        """Make the folder on the first storage that takes it."""
        self._on_the_first(lambda folder: None)

    # Looking

    def entries(self, *, after: bytes = b"") -> Iterator[Entry]:
        last: bytes | None = None
        listings = [self._listing(index, after) for index in sorted(self.opened)]
        for entry, index in heapq.merge(*listings, key=lambda pair: pair[0].name):
            if entry.name != last:
                last = entry.name
                self._pool.memory.note_place(paths.join(self.path, entry.name), index)
                yield entry

    def stat(self, name: bytes) -> Entry:
        index, entry = self._look(name, "look at")
        self._pool.memory.note_place(paths.join(self.path, name), index)
        return entry

    def content_md5(self, name: bytes) -> bytes:
        return self.opened[self._look(name, "look at")[0]].content_md5(name)

    def open(self, name: bytes) -> SourceFile:
        return self.opened[self._look(name, "open")[0]].open(name)

    def attributes(self, name: bytes) -> Mapping[bytes, bytes]:
        index = self._look(name, "read attributes of")[0] if name else min(self.opened)
        return self.opened[index].attributes(name)

    def staged_names(self) -> list[bytes]:
        return sorted({name for each in self.opened.values() for name in each.staged_names()})

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
        if resume:
            for index in sorted(self.opened):
                if self._has(index, temporary_name):
                    self._pool.note_deed(index)
                    staged = self.opened[index].stage(
                        temporary_name, size=size, resume=True, intent=intent, token=token
                    )
                    return PooledStagedFile(self, index, staged, lasting_bytes=size)
        preferred = self._standing(intent.name) if intent is not None else None
        index, staged = self._on_the_first(
            lambda folder: folder.stage(temporary_name, size=size, intent=intent),
            preferred=preferred,
            left_over=temporary_name,
        )
        return PooledStagedFile(self, index, staged)

    def stage_symlink(self, temporary_name: bytes, target: bytes) -> StagedFile:
        index, staged = self._on_the_first(
            lambda folder: folder.stage_symlink(temporary_name, target), left_over=temporary_name
        )
        return PooledStagedFile(self, index, staged)

    def stage_link(self, temporary_name: bytes, of_path: bytes) -> StagedFile:
        refusal: StorageError | None = None
        for index in self._pool.present():
            try:
                with self._pool.storages[index].open_folder(paths.split(of_path)[0]) as holder:
                    holder.stat(paths.split(of_path)[1])
                folder = self._opened_on(index)
                return PooledStagedFile(self, index, folder.stage_link(temporary_name, of_path))
            except StorageUnavailable as error:
                self._pool.memory.note_refusal(index, error)
                cause = "the storage that holds it takes no more"
                refusal = StorageError(
                    ErrorKind.UNSUPPORTED, RetryClass.NEVER, "link", of_path, cause
                )
            except StorageError as error:
                if not _is_missing(error) or refusal is None:
                    refusal = error
        assert refusal is not None
        raise refusal

    def make_folder(self, name: bytes) -> bool:
        if self._standing(name) is not None:
            return self.opened[self._look(name, "make folder")[0]].make_folder(name)
        return self._on_the_first(lambda folder: folder.make_folder(name))[1]

    def set_metadata(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        chosen = [self._look(name, "set metadata of")[0]] if name else sorted(self.opened)
        lost: dict[str, None] = {}
        for index in chosen:
            self._pool.note_deed(index)
            lost |= dict.fromkeys(self.opened[index].set_metadata(name, metadata))
        return tuple(lost)

    def remove(self, name: bytes) -> None:
        self._from_all(lambda folder: folder.remove(name), name, "remove")
        self._pool.memory.forget_place(paths.join(self.path, name))

    def remove_folder(self, name: bytes) -> None:
        self._from_all(lambda folder: folder.remove_folder(name), name, "remove folder")

    # For the staged files of this folder

    def commit(self, index: int, staged: StagedFile, name: bytes, *, replace: bool) -> None:
        """Publish where it was staged; the name stands nowhere else afterwards."""
        others = [each for each in self.opened if each != index and self._has(each, name)]
        if others and not replace:
            path, cause = paths.join(self.path, name), "another storage of the pool has it"
            raise StorageError(ErrorKind.EXISTS, RetryClass.NEVER, "publish", path, cause)
        with self.refusing(index):
            staged.commit(name, replace=replace)
        self._pool.memory.note_place(paths.join(self.path, name), index)
        for each in others:
            self._pool.note_deed(each)
            self.opened[each].remove(name)

    def refusing(self, index: int, *, lasting: bool = False) -> Refusing:
        return self._pool.refusing(index, lasting=lasting)

    def leaving(self, index: int, size: int) -> Leaving:
        return self._pool.leaving(index, size)

    # Inside

    def _listing(self, index: int, after: bytes) -> Iterator[tuple[Entry, int]]:
        with self.refusing(index, lasting=True):
            for entry in self.opened[index].entries(after=after):
                yield entry, index

    def _look(self, name: bytes, deed: str) -> tuple[int, Entry]:
        for index in sorted(self.opened):
            try:
                with self.refusing(index, lasting=True):
                    found = self.opened[index].stat(name)
                self._pool.note_deed(index)
                return index, found
            except StorageError as error:
                if not _is_missing(error):
                    raise
        path, cause = paths.join(self.path, name), "no storage of the pool has it"
        raise StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, deed, path, cause)

    def _standing(self, name: bytes) -> int | None:
        """The storage that has the name."""
        try:
            return self._look(name, "look at")[0]
        except StorageError as error:
            if not _is_missing(error):
                raise
        return None

    def _has(self, index: int, name: bytes) -> bool:
        try:
            self.opened[index].stat(name)
        except StorageError as error:
            if not _is_missing(error):
                raise
            return False
        return True

    def _opened_on(self, index: int) -> Folder:
        if index not in self.opened:
            self.opened[index] = self._pool.storages[index].open_folder(self.path, create=True)
        self._pool.note_deed(index)
        return self.opened[index]

    def _on_the_first(
        self,
        deed: Callable[[Folder], Result],
        *,
        preferred: int | None = None,
        left_over: bytes = b"",
    ) -> tuple[int, Result]:
        """Do it on the first storage that takes it: the preferred one, then in their order.

        What an earlier attempt has left under the name `left_over` elsewhere is removed.
        """
        refusal: StorageUnavailable | None = None
        for index in self._in_turn(preferred):
            try:
                result = deed(self._opened_on(index))
            except StorageUnavailable as error:
                self._pool.memory.note_refusal(index, error)
                refusal = refusal or error
            else:
                self._tidy(left_over, index)
                return index, result
        assert refusal is not None
        raise refusal

    def _in_turn(self, preferred: int | None) -> list[int]:
        order = self._pool.memory.in_turn(len(self._pool.storages))
        if preferred is None or self._pool.memory.has_refused(preferred):
            return order
        return [preferred, *(index for index in order if index != preferred)]

    def _tidy(self, left_over: bytes, chosen: int) -> None:
        for index in sorted(self.opened) if left_over else ():
            if index != chosen:
                with suppress(StorageError):  # it is hidden, and mostly not there
                    self.opened[index].remove(left_over)

    def _from_all(self, deed: Callable[[Folder], None], name: bytes, what: str) -> None:
        found = False
        for index in sorted(self.opened):
            self._pool.note_deed(index)
            try:
                deed(self.opened[index])
                found = True
            except StorageError as error:
                if not _is_missing(error):
                    raise
        if not found:
            path, cause = paths.join(self.path, name), "no storage of the pool has it"
            raise StorageError(ErrorKind.NOT_FOUND, RetryClass.NEVER, what, path, cause)


class PooledStagedFile(ForwardingStagedFile):
    """A staged file on one of the storages.

    `lasting_bytes` is the size of a file that goes on there: it is not begun anew lightly.
    """

    def __init__(
        self,
        folder: PooledFolder,
        index: int,
        inner: StagedFile,
        *,
        lasting_bytes: int | None = None,
    ) -> None:
        super().__init__(inner)
        self._folder = folder
        self._index = index
        self._lasting_bytes = lasting_bytes

    def write(self, data: memoryview, offset: int) -> None:
        with self._refusing():
            self.inner.write(data, offset)

    def set_size(self, size: int) -> None:
        with self._refusing():
            self.inner.set_size(size)

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        with self._refusing():
            return self.inner.set_metadata(metadata)

    def commit(self, name: bytes, *, replace: bool) -> None:
        self._folder.commit(self._index, self.inner, name, replace=replace)

    def _refusing(self) -> Refusing | Leaving:
        if self._lasting_bytes is not None:
            return self._folder.leaving(self._index, self._lasting_bytes)
        return self._folder.refusing(self._index)


def _is_missing(error: StorageError) -> bool:
    """Whether the name is not there, and not the whole storage."""
    return error.kind is ErrorKind.NOT_FOUND and not isinstance(error, StorageUnavailable)


def _common(all_of: Sequence[Capabilities]) -> Capabilities:
    """What every one of the storages can do."""
    first = all_of[0]
    return Capabilities(
        atomic_replace=all(each.atomic_replace for each in all_of),
        exclusive_create=all(each.exclusive_create for each in all_of),
        symlinks=all(each.symlinks for each in all_of),
        permissions=all(each.permissions for each in all_of),
        ownership=all(each.ownership for each in all_of),
        time_resolution_nanoseconds=max(each.time_resolution_nanoseconds for each in all_of),
        ranged_write=all(each.ranged_write for each in all_of),
        parallel_operations=first.parallel_operations,
        sequential_only=any(each.sequential_only for each in all_of),
        name_bytes_maximum=min(each.name_bytes_maximum for each in all_of),
        extended_attributes=all(each.extended_attributes for each in all_of),
        access_lists=all(each.access_lists for each in all_of),
        sparse=all(each.sparse for each in all_of),
        hard_links=all(each.hard_links for each in all_of),
        confirms_content=all(each.confirms_content for each in all_of),
        change_times=all(each.change_times for each in all_of),
    )
