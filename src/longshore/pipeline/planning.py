"""Deciding what happens to each file, by comparing two sorted listings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.domain.task import ConflictResolution, WorkflowAction
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.work import CopyMode, ScanFolder
from longshore.storage.handler import Folder, StorageHandler

Verdict = CopyMode | Outcome
"""Copy it in this mode, or it is finished already with this outcome."""


class Standing:
    """What stands in the destination folder, asked for in the order of the names.

    The folder is listed once, whatever the number of files, and not before somebody asks. A folder
    that is missing or cannot be listed counts as empty: what is wrong with it is told file by file
    when they are written.
    """

    def __init__(self, storage: StorageHandler, path: bytes, *, after: bytes) -> None:
        self.folder: Folder | None = None
        self.is_missing = False
        self.failure: StorageError | None = None  # why the rest of it could not be listed
        self._after: bytes | None = after  # None once it is being listed
        self._entries: Iterator[Entry] = iter(())
        self._next: Entry | None = None
        try:
            self.folder = storage.open_folder(path)
        except StorageUnavailable:
            raise
        except StorageError as error:
            self.is_missing = error.kind is ErrorKind.NOT_FOUND

    @classmethod
    def of_one(cls, storage: StorageHandler, path: bytes, name: bytes) -> Standing:
        """For a single name: the folder is not listed."""
        standing = cls(storage, path, after=b"")
        standing._after = None
        if standing.folder is not None:
            try:
                standing._next = standing.folder.stat(name)
            except StorageUnavailable:
                raise
            except StorageError:
                standing._next = None
        return standing

    def at(self, name: bytes) -> Entry | None:
        """The entry of that name, maybe an outline. Names have to be asked for in order."""
        self._begin()
        try:
            while self._next is not None and self._next.name < name:
                self._next = next(self._entries, None)
        except StorageError as error:
            self.failure = error
            raise
        return self._next if self._next is not None and self._next.name == name else None

    def all_at(self, names: Sequence[bytes]) -> list[Entry | None]:
        """The whole entries of these names, ascending and behind all that were asked for before."""
        found = [self.at(name) for name in names]
        outlines = [entry for entry in found if entry is not None and entry.is_outline]
        if not outlines or self.folder is None:
            return found
        try:
            whole = self.folder.completed(outlines)
        except StorageError as error:
            self.failure = error
            raise
        by_name = {each.name: entry for each, entry in zip(outlines, whole, strict=True)}
        return [entry and by_name.get(entry.name, entry) for entry in found]

    def is_at_end(self) -> bool:
        """Whether nothing stands there under any name that is still asked for."""
        self._begin()
        return self._next is None

    def close(self) -> None:
        if self.folder is not None:
            self.folder.close()

    def _begin(self) -> None:
        """Start listing, unless that is done."""
        if self._after is None or self.folder is None:
            return
        after, self._after = self._after, None
        try:
            self._entries = self.folder.outlines(after=after)
            self._next = next(self._entries, None)
        except StorageUnavailable as error:
            self.failure = error
            raise
        except StorageError:
            self._next = None


def verdict(entry: Entry, standing: Entry | None, plan: ExecutionPlan, resolution: int) -> Verdict:
    """What to do with a file, given what stands under its name (semantics, section 5).

    `resolution` is the step in nanoseconds in which the destination keeps times.
    """
    if standing is None:
        return CopyMode.NEW
    if identical(entry, standing, resolution):
        # Before the source of a move goes, equal bytes have been seen, not only equal times.
        must_compare = plan.action is WorkflowAction.MOVE and entry.kind is EntryKind.FILE
        return CopyMode.COMPARE if must_compare else Outcome.IDENTICAL
    if _worth_comparing(entry, standing, plan):
        return CopyMode.COMPARE
    return by_rule(plan.conflict)


def verdict_in_place(plan: ExecutionPlan, entry: Entry) -> Verdict:
    """What to do with a file that goes nowhere: erase it, check it, or only take note of it."""
    if plan.action is WorkflowAction.RESTORE:
        return CopyMode.CHECK
    if plan.action is WorkflowAction.CACHE_CLEANING:
        return CopyMode.NEW
    if plan.action is WorkflowAction.ERASE:
        return Outcome.ERASED if plan.soft_erase else CopyMode.NEW
    to_check = plan.checksum is not ChecksumKind.NONE and entry.kind is EntryKind.FILE
    return CopyMode.NEW if to_check else Outcome.FOUND


def by_rule(conflict: ConflictResolution) -> Verdict:
    """What the task's conflict rule says about a different file in the way."""
    if conflict is ConflictResolution.IGNORE:
        return Outcome.KEPT
    return CopyMode.OVERWRITE if conflict is ConflictResolution.OVERWRITE else CopyMode.RENAME


def replaces(mode: CopyMode, plan: ExecutionPlan) -> bool:
    """Whether the file is to take the place of whatever has its name by then."""
    return mode is CopyMode.OVERWRITE or by_rule(plan.conflict) is CopyMode.OVERWRITE


def target_name(plan: ExecutionPlan, folder: ScanFolder, entry: Entry) -> bytes:
    """The name that an entry of the folder gets at the destination."""
    return name_of_only(plan, folder) if folder.only else entry.name


def name_of_only(plan: ExecutionPlan, folder: ScanFolder) -> bytes:
    """The name that the one entry gets to which the folder is limited."""
    if folder.chosen is not None:
        return folder.chosen.target_name
    return plan.sources[folder.source].target_name or folder.only


def identical(entry: Entry, standing: Entry, resolution: int) -> bool:
    """Same kind, and the same size and time, or the same target of a symbolic link."""
    if entry.kind is not standing.kind:
        return False
    if entry.kind is EntryKind.SYMLINK:
        return entry.link_target == standing.link_target
    return entry.size == standing.size and same_time(entry.mtime_ns, standing.mtime_ns, resolution)


def same_time(one_ns: int, other_ns: int, resolution: int) -> bool:
    """Whether two times are the same as far as the storage keeps them."""
    return abs(one_ns - other_ns) < resolution


def _worth_comparing(entry: Entry, standing: Entry, plan: ExecutionPlan) -> bool:
    return (
        (plan.checksum is not ChecksumKind.NONE or plan.reset_file_date)
        and entry.kind is EntryKind.FILE
        and standing.kind is EntryKind.FILE
        and entry.size == standing.size
    )
