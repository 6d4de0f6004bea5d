"""What is put to a script at once: the files of one folder, or files from anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from longshore.domain.entry import Entry, kind_of_mode

from .values import FileInfo

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Question:
    """Files in the order of their answers.

    The entries go to the worker as the storage has listed them: a value made for each of a hundred
    million files would cost as much as the script's decision. `prefix` and an entry's name are the
    path of its file.
    """

    prefix: bytes
    entries: Sequence[Entry]
    metadata: Mapping[int, dict[str, str]] = field(default_factory=dict)  # by index, where any

    @classmethod
    def of_folder(cls, folder: bytes, entries: Sequence[Entry]) -> "Question":
        """About entries of that folder; the storage's root is `/`."""
        return cls(b"/%b/" % folder if folder else b"/", entries)

    @classmethod
    def of_files(cls, files: Sequence[FileInfo]) -> "Question":
        """About files wherever they are."""
        metadata = {index: file.metadata for index, file in enumerate(files) if file.metadata}
        return cls(b"", [_as_entry(file) for file in files], metadata)

    def __len__(self) -> int:
        return len(self.entries)

    def part(self, start: int, end: int | None = None) -> "Question":
        """About the entries from `start` up to `end` only."""
        end = len(self) if end is None else min(end, len(self))
        if (start, end) == (0, len(self)):
            return self
        return self.selection(range(start, end))

    def selection(self, indexes: Sequence[int]) -> "Question":
        """About the entries with these indexes only."""
        if len(indexes) == len(self):
            return self
        entries = [self.entries[index] for index in indexes]
        return Question(self.prefix, entries, self._metadata_of(indexes) if self.metadata else {})

    def encoded(self, group_files: int) -> bytes:
        """The body of a BATCH; UnicodeEncodeError or OverflowError where msgpack cannot."""
        return _encode((group_files, self.prefix, self.entries, self.metadata))

    def _metadata_of(self, indexes: Sequence[int]) -> dict[int, dict[str, str]]:
        places = {new: old for new, old in enumerate(indexes) if old in self.metadata}
        return {new: self.metadata[old] for new, old in places.items()}


def _as_entry(file: FileInfo) -> Entry:
    return Entry(
        name=file.path,
        kind=kind_of_mode(file.mode),
        size=file.size,
        mode=file.mode,
        uid=file.uid,
        gid=file.gid,
        mtime_ns=file.mtime_ns,
        atime_ns=file.atime_ns,
        ctime_ns=file.ctime_ns,
    )
