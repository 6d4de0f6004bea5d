"""What is put to a script at once: the files of one folder, or files from anywhere.

Only the facts that a script names are sent: to encode and decode all of them for each of a hundred
million files would cost more than a simple script's decision.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from longshore.domain.entry import Entry, kind_of_mode

from .values import FileInfo
from .worker.messages import FACTS, NAME_END, Batch

ALL_FACTS = frozenset(FACTS)

_NUMBERS: dict[str, Callable[[Sequence[Entry]], list[int]]] = {
    "mode": lambda entries: [entry.mode for entry in entries],
    "uid": lambda entries: [entry.uid for entry in entries],
    "gid": lambda entries: [entry.gid for entry in entries],
    "size": lambda entries: [entry.size for entry in entries],
    "atime": lambda entries: [entry.atime_ns for entry in entries],
    "mtime": lambda entries: [entry.mtime_ns for entry in entries],
    "ctime": lambda entries: [entry.ctime_ns for entry in entries],
}

_encode = msgspec.msgpack.Encoder().encode


class CannotBeSent(Exception):
    """Some file's facts fit into no message, or those of all together not into this one."""


def named_facts(script: str) -> frozenset[str]:
    """The facts a script's text speaks of, in either language; more than it uses does no harm.

    A script that asks for another one all the same (by a name it puts together) gets all of them.
    """
    text = script.lower()
    return frozenset(fact for fact in FACTS if fact in text)


@dataclass(frozen=True, slots=True)
class Question:
    """Files in the order of their answers.

    `prefix` and an entry's name are the path of its file.
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

    def encoded(self, facts: Collection[str], *, group_files: int, bytes_maximum: int) -> bytes:
        """The body of a BATCH with these facts; CannotBeSent where that is not possible."""
        if len(self) > 1 and len(self) * len(self.prefix) > bytes_maximum:
            raise CannotBeSent  # the worker puts the prefix before every name
        batch = Batch(
            files=len(self),
            group_files=group_files,
            prefix=self.prefix,
            names=self._names() if "path" in facts else None,
            numbers={name: of(self.entries) for name, of in _NUMBERS.items() if name in facts},
            metadata=dict(self.metadata) if "metadata" in facts else None,
        )
        try:
            body = _encode(batch)
        except (UnicodeEncodeError, OverflowError):
            raise CannotBeSent from None
        if len(body) > bytes_maximum:
            raise CannotBeSent
        return body

    def _names(self) -> bytes:
        names = NAME_END.join([entry.name for entry in self.entries])
        is_clear = names.count(NAME_END) == len(self) - 1 and NAME_END not in self.prefix
        if len(self) > 1 and not is_clear:
            raise CannotBeSent
        return names

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
