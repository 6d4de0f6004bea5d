"""A storage that hands every deed on to another one: the ground of all wrappers.

A wrapper overrides the deeds it changes, and the three `wrap_*` methods where it needs to stand
between the caller and a folder, a source file or a staged file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from longshore.domain.entry import Entry
from longshore.storage.handler import (
    Folder,
    Intent,
    Metadata,
    SourceFile,
    Space,
    StagedFile,
    StorageHandler,
)


class ForwardingSourceFile(SourceFile):
    """Hands on to `inner`."""

    def __init__(self, inner: SourceFile) -> None:
        self.inner = inner

    def stat(self) -> Entry:
        return self.inner.stat()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return self.inner.read_into(buffer, offset)

    def attributes(self) -> Mapping[bytes, bytes]:
        return self.inner.attributes()

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        return self.inner.data_ranges(start, end)

    def close(self) -> None:
        self.inner.close()


class ForwardingStagedFile(StagedFile):
    """Hands on to `inner`."""

    def __init__(self, inner: StagedFile) -> None:
        self.inner = inner

    def write(self, data: memoryview, offset: int) -> None:
        self.inner.write(data, offset)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return self.inner.read_into(buffer, offset)

    def size(self) -> int:
        return self.inner.size()

    def token(self) -> bytes:
        return self.inner.token()

    def piece_bytes(self) -> int:
        return self.inner.piece_bytes()

    def set_size(self, size: int) -> None:
        self.inner.set_size(size)

    def drop_cache(self) -> None:
        self.inner.drop_cache()

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        return self.inner.set_metadata(metadata)

    def commit(self, name: bytes, *, replace: bool) -> None:
        self.inner.commit(name, replace=replace)

    def content_md5(self) -> bytes:
        return self.inner.content_md5()

    def abort(self) -> None:
        self.inner.abort()

    def close(self) -> None:
        self.inner.close()


class ForwardingFolder(Folder):
    """Hands on to `inner`."""

    def __init__(self, inner: Folder) -> None:
        self.inner = inner
        self.path = inner.path

    def wrap_source(self, name: bytes, source: SourceFile) -> SourceFile:
        """What the caller gets for an opened file of that name."""
        return source

    def wrap_staged(self, temporary_name: bytes, staged: StagedFile) -> StagedFile:
        """What the caller gets for a staged file of that temporary name."""
        return staged

    def entries(self, *, after: bytes = b"") -> Iterator[Entry]:
        return self.inner.entries(after=after)

    def outlines(self, *, after: bytes = b"") -> Iterator[Entry]:
        return self.inner.outlines(after=after)

    def completed(self, outlines: Sequence[Entry]) -> list[Entry | None]:
        return self.inner.completed(outlines)

    def stat(self, name: bytes) -> Entry:
        return self.inner.stat(name)

    def content_md5(self, name: bytes) -> bytes:
        return self.inner.content_md5(name)

    def open(self, name: bytes) -> SourceFile:
        return self.wrap_source(name, self.inner.open(name))

    def stage(
        self,
        temporary_name: bytes,
        *,
        size: int,
        resume: bool = False,
        intent: Intent | None = None,
        token: bytes = b"",
    ) -> StagedFile:
        staged = self.inner.stage(
            temporary_name, size=size, resume=resume, intent=intent, token=token
        )
        return self.wrap_staged(temporary_name, staged)

    def stage_symlink(self, temporary_name: bytes, target: bytes) -> StagedFile:
        return self.wrap_staged(temporary_name, self.inner.stage_symlink(temporary_name, target))

    def stage_link(self, temporary_name: bytes, of_path: bytes) -> StagedFile:
        return self.wrap_staged(temporary_name, self.inner.stage_link(temporary_name, of_path))

    def attributes(self, name: bytes) -> Mapping[bytes, bytes]:
        return self.inner.attributes(name)

    def staged_names(self) -> list[bytes]:
        return self.inner.staged_names()

    def make_folder(self, name: bytes) -> bool:
        return self.inner.make_folder(name)

    def set_metadata(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        return self.inner.set_metadata(name, metadata)

    def remove(self, name: bytes) -> None:
        self.inner.remove(name)

    def remove_folder(self, name: bytes) -> None:
        self.inner.remove_folder(name)

    def close(self) -> None:
        self.inner.close()


class ForwardingStorage(StorageHandler):
    """Hands on to `inner`, whose name and abilities it bears."""

    def __init__(self, inner: StorageHandler) -> None:
        self.inner = inner
        self.reference = inner.reference
        self.capabilities = inner.capabilities

    def wrap_folder(self, folder: Folder) -> Folder:
        """What the caller gets for an opened folder."""
        return folder

    def check(self, *, writable: bool) -> None:
        self.inner.check(writable=writable)

    def space(self) -> Space:
        return self.inner.space()

    def open_folder(self, path: bytes, *, create: bool = False) -> Folder:
        return self.wrap_folder(self.inner.open_folder(path, create=create))

    def make_durable(self) -> None:
        self.inner.make_durable()

    def close(self) -> None:
        self.inner.close()
