"""Copying the files of a batch several at a time, for storages where each operation waits long.

    folders are opened ahead ──> files, one to a thread: stage, hash, verify ──> publish at once,
                                                                                 where that is safe
    results come out in the order of the batch, one by one, in the caller's thread

What is under way is bounded in files and in bytes, so memory does not grow with the files' sizes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from longshore import faults
from longshore.domain.errors import Side, Stage, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.pipeline import transfer
from longshore.pipeline.crew import WAITING_PER_THREAD, operations_of
from longshore.pipeline.messages.work import CopyGroup, PlannedFile
from longshore.pipeline.publish import publish_or_again
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.pipeline.transfer import Again, Finished, Staged
from longshore.storage.handler import Folder, StorageHandler

THREAD_BUFFER_BYTES = 1024 * 1024  # one per thread: most files there are smaller
BYTES_UNDER_WAY_MAXIMUM = 64 * 1024 * 1024
"""The sizes of all files that threads have begun, together. A bigger file goes alone. What a
storage keeps in memory of staged files, and reads ahead, comes to about as much again."""

FOLDERS_AHEAD = 8  # opened before their files are wanted; opening one takes several requests


@dataclass(frozen=True, slots=True)
class Published:
    """A file that was staged and published by one thread."""

    staged: Staged
    result: Finished | Again


Result = Staged | Published | Finished | Again


@dataclass(frozen=True, slots=True)
class Opened:
    """The two folders of a group. The target stays open for what is staged in it."""

    source: Folder
    target: Folder


def operations_at_once(groups: Sequence[CopyGroup], toolbox: Toolbox) -> int:
    """How many files of these groups are worth copying at the same time; 1: one after another."""
    return min(
        (
            operations_of(toolbox.sources[group.source], toolbox.destination_of(group.source))
            for group in groups
        ),
        default=1,
    )


@dataclass(slots=True)
class Together:
    """The files of one slice, `width` at a time. Only `results` is called, by one thread, once."""

    toolbox: Toolbox
    width: int
    is_fresh: Callable[[PlannedFile], bool]
    is_over: Callable[[], bool]  # whether no further file is to be begun
    opened: list[Folder]  # takes in the folders that have to be closed in the end
    _own: threading.local = field(default_factory=threading.local)
    _under_way: deque[tuple[CopyGroup, PlannedFile, Future[Result]]] = field(default_factory=deque)
    _bytes: int = 0

    def results(
        self, groups: Sequence[CopyGroup]
    ) -> Iterator[tuple[CopyGroup, PlannedFile, Result]]:
        """What became of each file that was begun, in the order of the batch.

        A storage that is gone raises StorageUnavailable after the results of what was under way.
        """
        with ThreadPoolExecutor(self.width + 1, "copy") as crew:
            try:
                for group, opening in self._opened(groups, crew):
                    if self._ends():
                        break
                    yield from self._group(group, opening, crew)
                while self._under_way:
                    yield from self._oldest()
            except StorageUnavailable:
                yield from self._rest()
                raise
            finally:
                crew.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------------ in the caller's thread

    def _opened(
        self, groups: Sequence[CopyGroup], crew: ThreadPoolExecutor
    ) -> Iterator[tuple[CopyGroup, Future[Opened | tuple[StorageError, Side]]]]:
        """Each group with its folders, which are opened while files of groups before are copied."""
        ahead: deque[tuple[CopyGroup, Future[Opened | tuple[StorageError, Side]]]] = deque()
        for group in groups:
            ahead.append((group, crew.submit(self._open, group)))
            if len(ahead) > FOLDERS_AHEAD:
                yield ahead.popleft()
        yield from ahead

    def _group(
        self,
        group: CopyGroup,
        opening: Future[Opened | tuple[StorageError, Side]],
        crew: ThreadPoolExecutor,
    ) -> Iterator[tuple[CopyGroup, PlannedFile, Result]]:
        folders = opening.result()
        if not isinstance(folders, Opened):
            for planned in group.files:
                yield group, planned, _not_opened(planned, *folders)
            return
        for planned in group.files:
            size = planned.entry.size
            while self._under_way and not self._has_room(size):
                yield from self._oldest()
            if self._ends():
                return
            self._bytes += size
            begun = crew.submit(self._copy, group, planned, folders)
            self._under_way.append((group, planned, begun))
            while self._under_way and self._under_way[0][2].done():
                yield from self._oldest()

    def _ends(self) -> bool:
        """Whether no further file is begun. One at least is, however slow its storage."""
        return self.is_over() or (bool(self._under_way) and self.toolbox.time_is_up())

    def _has_room(self, size: int) -> bool:
        if len(self._under_way) >= self.width * WAITING_PER_THREAD:
            return False
        return self._bytes + size <= BYTES_UNDER_WAY_MAXIMUM

    def _oldest(self) -> Iterator[tuple[CopyGroup, PlannedFile, Result]]:
        group, planned, begun = self._under_way.popleft()
        self._bytes -= planned.entry.size
        yield group, planned, begun.result()

    def _rest(self) -> Iterator[tuple[CopyGroup, PlannedFile, Result]]:
        """What can still be told when a storage is gone: nothing more is begun."""
        for _, _, begun in self._under_way:
            begun.cancel()
        while self._under_way:
            try:
                yield from self._oldest()
            except (StorageUnavailable, CancelledError):
                continue

    # ------------------------------------------------------------------ in the crew's threads

    def _open(self, group: CopyGroup) -> Opened | tuple[StorageError, Side]:
        side = Side.SOURCE
        try:
            source = self.toolbox.sources[group.source].open_folder(group.folder)
            self.opened.append(source)
            side = Side.DESTINATION
            destination = self.toolbox.destination_of(group.source)
            target = destination.open_folder(group.target, create=True)
            self.opened.append(target)
        except StorageUnavailable:
            raise
        except StorageError as error:
            return error, side
        return Opened(source, target)

    def _copy(self, group: CopyGroup, planned: PlannedFile, folders: Opened) -> Result:
        toolbox = self._toolbox()
        faults.at("mover.file", planned.entry.name)
        fresh = self.is_fresh(planned)
        result = transfer.transfer(
            planned, group, folders.source, folders.target, toolbox, fresh=fresh
        )
        if not isinstance(result, Staged):
            return result
        faults.at("mover.staged")
        if not _publishes_at_once(toolbox.destination_of(group.source)):
            return result
        faults.at("mover.before_publish")
        return Published(result, publish_or_again(result, toolbox))

    def _toolbox(self) -> Toolbox:
        """The slice's toolbox with a buffer of this thread's own."""
        found: Toolbox | None = getattr(self._own, "toolbox", None)
        if found is None:
            buffer = memoryview(bytearray(THREAD_BUFFER_BYTES))
            found = self._own.toolbox = replace(self.toolbox, buffer=buffer)
        return found


def _publishes_at_once(destination: StorageHandler) -> bool:
    """Whether a file is published by the thread that has staged it.

    Where staged files wait in memory they are durable once they are published, not before, and a
    batch of them is too much to wait for each other.
    """
    return destination.capabilities.staged_in_memory_bytes > 0


def _not_opened(planned: PlannedFile, error: StorageError, side: Side) -> Finished | Again:
    failure = failure_of(error, Stage.TRANSFER, side)
    if may_try_again(error):
        return Again(failure)
    return Finished(entry=planned.entry, outcome=Outcome.FAILED, failure=failure)
