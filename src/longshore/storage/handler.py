"""The interface of every storage, and what it promises.

    StorageHandler ── open_folder(path) ──> Folder ── open(name) ───────> SourceFile
                                              │  └─── stage(temporary) ──> StagedFile
                                              └────── entries(), stat(name), make_folder(), …

- A handler belongs to one process, and to one thread unless its capability `shared_by_threads`
  says otherwise. Opening one is cheap and does no I/O; the
  first deed that needs the storage raises `StorageUnavailable` when it is not there.
- Paths are bytes, relative to the storage's root, as `domain.paths` defines them. A handler never
  leaves its root, whatever symbolic links lie inside it.
- Every method raises `StorageError` (or its subclass `StorageUnavailable`) and no other exception
  for what the storage refuses. Its retry class is the backend's own verdict.
- Nothing appears under its final name before `StagedFile.commit`; after it the whole content and
  metadata are there. Nothing is durable before `make_durable` returns.
- Every deed may be repeated after a crash: staging the same temporary name again starts over (or
  goes on, when asked to), removing what is gone raises kind `not_found`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.domain.storage import Capabilities, StorageReference

if TYPE_CHECKING:
    from longshore.storage.bulk import BulkCopier, BulkWriter, FolderComparer
    from longshore.storage.small_files import SmallFile, SmallFiles

TEMPORARY_PREFIX = b".longshore-"
"""Names that begin so are staged files of a run: no listing shows them and no task moves them."""


class Metadata(msgspec.Struct, frozen=True, array_like=True):
    """What is set on a written file or folder. None leaves the storage's own value."""

    mode: int | None = None  # permission bits, 0 to 0o7777
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    atime_ns: int | None = None
    attributes: Mapping[bytes, bytes] | None = None
    """Extended attributes, POSIX ACLs included, by their whole names (`user.comment`). They are
    set besides others that are there, but ACLs that are not among them are taken away."""

    ctime_ns: int | None = None
    """When the original was changed. Only kept where it is a mere note: no file system lets it be
    set, and none reports it as lost."""


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """What a staged file is to become, for storages that have to know it from the beginning.

    `StagedFile.set_metadata` and `commit` still decide; what differs then costs such a storage a
    copy of its own.
    """

    name: bytes  # the final name
    metadata: Metadata
    replace: bool = False  # it is to take the place of what has this name


ATTRIBUTE_FIELD = "attribute "
"""What `set_metadata` puts before the name of an attribute that was not kept."""


def attribute_field(name: bytes) -> str:
    """How `set_metadata` names an attribute that was not kept."""
    return ATTRIBUTE_FIELD + name.decode("utf-8", "surrogateescape")


def attribute_of_field(field: str) -> bytes | None:
    """The attribute that such a name stands for; None for the other fields."""
    if not field.startswith(ATTRIBUTE_FIELD):
        return None
    return field.removeprefix(ATTRIBUTE_FIELD).encode("utf-8", "surrogateescape")


class Space(msgspec.Struct, frozen=True):
    """Room on a storage, in bytes."""

    total_bytes: int
    free_bytes: int


class _Closing(ABC):
    """Something that holds a resource until `close`, which may be called twice."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class SourceFile(_Closing):
    """A regular file opened for reading."""

    @abstractmethod
    def stat(self) -> Entry:
        """The opened file as it is now (not whatever bears its name by now)."""

    @abstractmethod
    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read from the offset on into the buffer (not an empty one); the number of bytes got.

        It may be fewer than there is room for, also before the end; 0 says that the end is there.
        """

    def attributes(self) -> Mapping[bytes, bytes]:
        """The extended attributes that belong to the file, POSIX ACLs included, by name.

        What the storage makes up itself (labels of its policy, layout) is left out.
        """
        return {}

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where there is data from `start` up to `end`, ascending; the rest reads as zeros."""
        if start < end:
            yield start, end


class StagedFile(_Closing):
    """A file being written under its temporary name. `close` keeps it, `abort` removes it."""

    @abstractmethod
    def write(self, data: memoryview, offset: int) -> None:
        """Write all of the data at the offset; never fewer bytes."""

    @abstractmethod
    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read back what the storage holds, for verification; as `SourceFile.read_into`."""

    @abstractmethod
    def size(self) -> int:
        """Bytes the staged file holds now (up to the highest offset written)."""

    def set_size(self, size: int) -> None:
        """Make the file so long; what was never written reads as zeros. Needs ability `sparse`."""
        raise StorageError(
            ErrorKind.UNSUPPORTED, RetryClass.NEVER, "set size of", b"", "it keeps no holes"
        )

    def drop_cache(self) -> None:
        """Write the content to the medium and forget it, so that `read_into` reads the medium.

        Best effort: where the system has no such deed nothing happens.
        """
        return

    def token(self) -> bytes:
        """What another `stage` of the same name needs to go on with this file, besides its name.

        Fixed from the beginning, and known to the journal before anything is written; b"" where
        the name is enough. Object stores give the id of their upload.
        """
        return b""

    def piece_bytes(self) -> int:
        """What was written lasts beyond `close` in whole pieces of this length, a power of two.

        They count from the start of the file. Object stores give the length of their parts.
        """
        return 1

    @abstractmethod
    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        """Set what the storage keeps; the names of the fields that it could not keep.

        Attributes are named one by one, as `attribute_field` does.
        """

    @abstractmethod
    def commit(self, name: bytes, *, replace: bool) -> None:
        """Publish under the final name in the same folder, atomically, and close.

        Without `replace` an existing name raises kind `exists` and the staged file stays, so that
        `commit` may be called again with another name. With it the old content is replaced; a
        folder in the way raises kind `is_a_folder`.
        """

    def content_md5(self) -> bytes:
        """The MD5 of the whole content that the storage compares; b"" where it has none of it.

        Once the file is committed the storage has confirmed it.
        """
        return b""

    @abstractmethod
    def abort(self) -> None:
        """Close and remove the staged file, unless it was committed. Already gone is no error."""


class CopyInside(NamedTuple):
    """A copy that a storage is to make by itself, at the latest in `commit`.

    Only `set_metadata`, `commit`, `abort`, `size` and `close` of the file are to be called.
    `commit` raises kind `stale` if the source is not what it was when this was staged, and kind
    `checksum_mismatch` if the copy is not what the source was.
    """

    file: StagedFile
    entry: Entry  # the source as it is now
    attributes: Mapping[bytes, bytes]  # of the source
    md5: bytes  # of the content


class Folder(_Closing):
    """One folder of a storage, held open, so that nobody can swap it for another meanwhile."""

    path: bytes

    @abstractmethod
    def entries(self, *, after: bytes = b"") -> Iterator[Entry]:
        """Every name greater than `after`, sorted by bytes, temporary names left out.

        A name that vanishes during the listing is left out. A name whose metadata cannot be read
        comes as kind SPECIAL with mode 0.
        """

    def outlines(self, *, after: bytes = b"") -> Iterator[Entry]:
        """As `entries`; files may be outlines (`Entry.is_outline`), where that is cheaper."""
        return self.entries(after=after)

    def completed(self, outlines: Sequence[Entry]) -> list[Entry | None]:
        """The whole entries of what `outlines` gave; None for a name that has vanished."""
        return list(outlines)

    @abstractmethod
    def stat(self, name: bytes) -> Entry:
        """One name; symbolic links are not followed. Kind `not_found` when there is none."""

    def content_md5(self, name: bytes) -> bytes:
        """The MD5 that the storage tells of a file without reading it; b"" where it knows none."""
        return b""

    @abstractmethod
    def open(self, name: bytes) -> SourceFile:
        """A regular file for reading; anything else raises kind `special_file`."""

    @abstractmethod
    def stage(
        self,
        temporary_name: bytes,
        *,
        size: int,
        resume: bool = False,
        intent: Intent | None = None,
        token: bytes = b"",
    ) -> StagedFile:
        """A staged file of `size` bytes to come: empty, or with `resume` as it was left.

        The name must begin with TEMPORARY_PREFIX. No room for `size` may be raised here. `token`
        is what `StagedFile.token` gave when the file that is resumed was staged first. Without it
        a storage that has to know what a file is to become may begin anew when that has changed.
        """

    @abstractmethod
    def stage_symlink(self, temporary_name: bytes, target: bytes) -> StagedFile:
        """A staged symbolic link; its `write` and `read_into` are not to be called."""

    def stage_link(self, temporary_name: bytes, of_path: bytes) -> StagedFile:
        """A staged further name of the published file at the path (from the storage's root).

        Only `commit`, `abort`, `size` and `close` of it are to be called. Kind `not_found` when
        there is no such file, `unsupported` when it cannot get this name (another file system
        below the root, too many names).
        """
        raise StorageError(
            ErrorKind.UNSUPPORTED, RetryClass.NEVER, "link", of_path, "it keeps no hard links"
        )

    def stage_copy(self, temporary_name: bytes, source: Folder, entry: Entry) -> CopyInside | None:
        """A staged file whose content the storage itself copies from a file of another folder.

        None where it cannot, where it could not confirm the content, and where that would not pay.
        Wrappers offer none: what stands between caller and storage must see every byte.
        """
        return None

    def attributes(self, name: bytes) -> Mapping[bytes, bytes]:
        """As `SourceFile.attributes`, of any name here (b"" = this folder); links not followed."""
        return {}

    def bulk_copier(self, target: Folder) -> BulkCopier | None:
        """What copies many small files of this folder to the target at once, if anything does.

        Wrappers offer none: what stands between caller and storage must see every file.
        """
        return None

    def bulk_writer(self) -> BulkWriter | None:
        """What writes many small files to this folder at once, if anything does.

        Wrappers offer none, as with `bulk_copier`.
        """
        return None

    def read_small(self, names: Sequence[bytes], bytes_maximum: int) -> list[SmallFile]:
        """The first of these files, each whole. The one behind them is for the ordinary way.

        For files that are usual, of so many bytes at most. Wrappers read none.
        """
        return []

    def comparer(self, other: Folder, *, after: bytes, resolution: int) -> FolderComparer | None:
        """What lists this folder beside the other one, names greater than `after`, at once.

        None where nothing does that, also where the other folder has no such names.
        `resolution` is the step in nanoseconds in which the other storage keeps times.
        """
        return None

    @abstractmethod
    def staged_names(self) -> list[bytes]:
        """The temporary names in this folder, sorted."""

    @abstractmethod
    def make_folder(self, name: bytes) -> bool:
        """Make sure that the folder is there; whether it was made now.

        Anything but a folder in its place raises kind `not_a_folder`.
        """

    @abstractmethod
    def set_metadata(self, name: bytes, metadata: Metadata) -> tuple[str, ...]:
        """Set metadata of a published name (b"" = this folder); the fields that were not kept."""

    @abstractmethod
    def remove(self, name: bytes) -> None:
        """Remove a file or symbolic link."""

    @abstractmethod
    def remove_folder(self, name: bytes) -> None:
        """Remove an empty folder; kind `not_empty` otherwise."""


class StorageHandler(_Closing):
    """One storage: NAS share, container, bucket or tape."""

    reference: StorageReference
    capabilities: Capabilities

    @abstractmethod
    def check(self, *, writable: bool) -> None:
        """Return if the storage is there (and can be written); else StorageUnavailable says why."""

    @abstractmethod
    def space(self) -> Space:
        """The room there is now."""

    @abstractmethod
    def open_folder(self, path: bytes, *, create: bool = False) -> Folder:
        """The folder; `create` makes missing ones on the way. No symbolic link is followed."""

    @abstractmethod
    def make_durable(self) -> None:
        """Everything written and published so far survives a power loss once this returns."""

    def small_files(self) -> SmallFiles | None:
        """What reads and writes whole small files of several folders at once, if anything does.

        Wrappers offer none: what stands between caller and storage must see every file.
        """
        return None

    def share_of(self, path: bytes) -> int:
        """Which of several storages behind this one has the path; 0 where there is only one."""
        return 0
