"""A storage that fails by plan, for tests: the same deeds meet the same faults every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import StorageError, StorageUnavailable
from longshore.storage.handler import (
    Folder,
    Intent,
    Metadata,
    SourceFile,
    Space,
    StagedFile,
    StorageHandler,
)
from longshore.storage.wrappers.faults import (
    Call,
    Corrupt,
    Deed,
    Effect,
    FaultPlan,
    Refuse,
    Truncate,
    of_type,
)
from longshore.storage.wrappers.forwarding import (
    ForwardingFolder,
    ForwardingSourceFile,
    ForwardingStagedFile,
    ForwardingStorage,
)

Hook = Callable[[Deed, bytes], None]
Reader = Callable[[memoryview], int]
Writer = Callable[[memoryview], None]
Result = TypeVar("Result")


def no_hook(deed: Deed, path: bytes) -> None:
    """The hook of a plan without calls."""


class Faults:
    """A plan at work: what every part of one faulty storage shares."""

    def __init__(self, plan: FaultPlan, hook: Hook) -> None:
        self._plan = plan
        self._hook = hook

    def around(self, deed: Deed, path: bytes, act: Callable[[], Result]) -> Result:
        """The deed with its planned refusals and calls."""
        return self._acted(self._due(deed, path), deed, path, act)

    def read(self, deed: Deed, path: bytes, buffer: memoryview, get: Reader) -> int:
        """A read with all of its planned faults."""
        effects = self._due(deed, path)
        truncate, corrupt = of_type(effects, Truncate), of_type(effects, Corrupt)
        room = buffer if truncate is None else buffer[: truncate.bytes]
        got = self._acted(effects, deed, path, lambda: get(room))
        if corrupt and got:
            buffer[corrupt.position % got] ^= 0xFF
        return got

    def write(self, path: bytes, data: memoryview, put: Writer) -> None:
        """A write with all of its planned faults."""
        effects = self._due(Deed.WRITE, path)
        truncate, corrupt = of_type(effects, Truncate), of_type(effects, Corrupt)
        if corrupt and len(data):
            changed = bytearray(data)
            changed[corrupt.position % len(changed)] ^= 0xFF
            data = memoryview(changed)
        kept = data if truncate is None else data[: truncate.bytes]
        self._acted(effects, Deed.WRITE, path, lambda: put(kept))

    def _due(self, deed: Deed, path: bytes) -> list[Effect]:
        effects = self._plan.due(deed, path)
        for effect in effects:
            if isinstance(effect, Call):
                self._hook(deed, path)
        return effects

    def _acted(
        self, effects: list[Effect], deed: Deed, path: bytes, act: Callable[[], Result]
    ) -> Result:
        refuse = of_type(effects, Refuse)
        if refuse is None:
            return act()
        if refuse.done:
            _close(act())
        kind = StorageUnavailable if refuse.whole_storage else StorageError
        raise kind(refuse.kind, refuse.retry, deed.value, path, "injected fault")


def _close(opened: object) -> None:
    """Let go of what a deed opened whose answer the caller never sees."""
    if isinstance(opened, Folder | SourceFile | StagedFile):
        opened.close()


class FaultyStorage(ForwardingStorage):
    """The inner storage with the faults of a plan; `hook` is what `Call` calls."""

    def __init__(self, inner: StorageHandler, plan: FaultPlan, *, hook: Hook = no_hook) -> None:
        super().__init__(inner)
        self._faults = Faults(plan, hook)

    def wrap_folder(self, folder: Folder) -> Folder:
        return _FaultyFolder(folder, self._faults)

    def check(self, *, writable: bool) -> None:
        self._faults.around(Deed.CHECK, b"", lambda: self.inner.check(writable=writable))

    def space(self) -> Space:
        return self._faults.around(Deed.SPACE, b"", self.inner.space)

    def open_folder(self, path: bytes, *, create: bool = False) -> Folder:
        def act() -> Folder:
            return super(FaultyStorage, self).open_folder(path, create=create)

        return self._faults.around(Deed.OPEN_FOLDER, path, act)

    def make_durable(self) -> None:
        self._faults.around(Deed.MAKE_DURABLE, b"", self.inner.make_durable)


class _FaultyFolder(ForwardingFolder):
    def __init__(self, inner: Folder, faults: Faults) -> None:
        super().__init__(inner)
        self._faults = faults

    def _around(self, deed: Deed, name: bytes, act: Callable[[], Result]) -> Result:
        return self._faults.around(deed, paths.join(self.path, name), act)

    def wrap_source(self, name: bytes, source: SourceFile) -> SourceFile:
        return _FaultySourceFile(source, paths.join(self.path, name), self._faults)

    def wrap_staged(self, temporary_name: bytes, staged: StagedFile) -> StagedFile:
        return _FaultyStagedFile(staged, self.path, temporary_name, self._faults)

    def entries(self, *, after: bytes = b"") -> Iterator[Entry]:
        return self._listed(self.inner.entries(after=after))

    def outlines(self, *, after: bytes = b"") -> Iterator[Entry]:
        return self._listed(self.inner.outlines(after=after))

    def _listed(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self._around(Deed.LIST, entry.name, lambda: None)
            yield entry

    def stat(self, name: bytes) -> Entry:
        return self._around(Deed.STAT, name, lambda: self.inner.stat(name))

    def open(self, name: bytes) -> SourceFile:
        return self._around(Deed.OPEN, name, lambda: super(_FaultyFolder, self).open(name))

    def stage(
        self,
        temporary_name: bytes,
        *,
        size: int,
        resume: bool = False,
        intent: Intent | None = None,
        token: bytes = b"",
    ) -> StagedFile:
        def act() -> StagedFile:
            return super(_FaultyFolder, self).stage(
                temporary_name, size=size, resume=resume, intent=intent, token=token
            )

        return self._around(Deed.STAGE, temporary_name, act)

    def stage_symlink(self, temporary_name: bytes, target: bytes) -> StagedFile:
        def act() -> StagedFile:
            return super(_FaultyFolder, self).stage_symlink(temporary_name, target)

        return self._around(Deed.STAGE_SYMLINK, temporary_name, act)

    def stage_link(self, temporary_name: bytes, of_path: bytes) -> StagedFile:
        def act() -> StagedFile:
            return super(_FaultyFolder, self).stage_link(temporary_name, of_path)

        return self._around(Deed.STAGE_LINK, temporary_name, act)

    def attributes(self, name: bytes) -> Mapping[bytes, bytes]:
        return self._around(Deed.ATTRIBUTES, name, lambda: self.inner.attributes(name))

    def staged_names(self) -> list[bytes]:
        return self._around(Deed.STAGED_NAMES, b"", self.inner.staged_names)

    def make_folder(self, name: bytes) -> bool:
        return self._around(Deed.MAKE_FOLDER, name, lambda: self.inner.make_folder(name))

    def set_metadata(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        def act() -> tuple[str, ...]:
            return self.inner.set_metadata(name, metadata)

        return self._around(Deed.SET_METADATA, name, act)

    def remove(self, name: bytes) -> None:
        self._around(Deed.REMOVE, name, lambda: self.inner.remove(name))

    def remove_folder(self, name: bytes) -> None:
        self._around(Deed.REMOVE_FOLDER, name, lambda: self.inner.remove_folder(name))


class _FaultySourceFile(ForwardingSourceFile):
    def __init__(self, inner: SourceFile, path: bytes, faults: Faults) -> None:
        super().__init__(inner)
        self._path = path
        self._faults = faults

    def stat(self) -> Entry:
        return self._faults.around(Deed.SOURCE_STAT, self._path, self.inner.stat)

    def attributes(self) -> Mapping[bytes, bytes]:
        return self._faults.around(Deed.ATTRIBUTES, self._path, self.inner.attributes)

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        def act() -> Iterator[tuple[int, int]]:
            return self.inner.data_ranges(start, end)

        return self._faults.around(Deed.DATA_RANGES, self._path, act)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        def get(room: memoryview) -> int:
            return self.inner.read_into(room, offset)

        return self._faults.read(Deed.READ, self._path, buffer, get)


class _FaultyStagedFile(ForwardingStagedFile):
    def __init__(self, inner: StagedFile, folder: bytes, name: bytes, faults: Faults) -> None:
        super().__init__(inner)
        self._folder = folder
        self._path = paths.join(folder, name)
        self._faults = faults

    def write(self, data: memoryview, offset: int) -> None:
        self._faults.write(self._path, data, lambda kept: self.inner.write(kept, offset))

    def read_into(self, buffer: memoryview, offset: int) -> int:
        def get(room: memoryview) -> int:
            return self.inner.read_into(room, offset)

        return self._faults.read(Deed.READ_BACK, self._path, buffer, get)

    def set_size(self, size: int) -> None:
        self._faults.around(Deed.SET_SIZE, self._path, lambda: self.inner.set_size(size))

    def drop_cache(self) -> None:
        self._faults.around(Deed.DROP_CACHE, self._path, self.inner.drop_cache)

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        def act() -> tuple[str, ...]:
            return self.inner.set_metadata(metadata)

        return self._faults.around(Deed.SET_METADATA, self._path, act)

    def commit(self, name: bytes, *, replace: bool) -> None:
        def act() -> None:
            self.inner.commit(name, replace=replace)

        self._faults.around(Deed.COMMIT, paths.join(self._folder, name), act)

    def abort(self) -> None:
        self._faults.around(Deed.ABORT, self._path, self.inner.abort)
