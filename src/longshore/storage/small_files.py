"""Whole small files of many folders at once, where a storage offers that.

A shortcut beside the interface of `handler`, for storages where each request waits long: one thread
has many of them under way. It takes only what is usual. Whatever is not, and every error, is left
to the caller, who takes the ordinary way for that file; so errors have one home, and both ways
have one result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from longshore.domain.entry import Entry
from longshore.storage.handler import Folder, Metadata


class SmallFile(NamedTuple):
    """A whole regular file as it was read, without attributes that would have to move with it."""

    entry: Entry
    content: bytes
    xxh3_128: bytes = b""  # where whoever read it has made that


class Wanted(NamedTuple):
    """A file to be read; `tag` is whatever its result is to be known by.

    `size` are its bytes as far as anybody knows.
    """

    folder: Folder
    name: bytes
    tag: object
    size: int = 0


class NewFile(NamedTuple):
    """A file to be written under its final name; `tag` is whatever its result is to be known by."""

    folder: Folder
    name: bytes
    content: bytes
    metadata: Metadata
    replace: bool  # what has the name, if anything; else only if nothing has it
    tag: object


class SmallFiles(ABC):
    """Reads and writes small files of folders of one storage, in whatever order they get through.

    Files are taken one by one, so that only what is under way is in memory; not each has to be. A
    result that says no is one for the ordinary way, and so is a file without any. While either is
    under way its thread is to ask nothing else of the storage. Raises StorageUnavailable.
    """

    bytes_maximum: int
    """Of one file."""

    creates: bool
    """Whether `write` can do without `replace`."""

    @abstractmethod
    def prepare(self, folder: Folder) -> bool:
        """Find out what has to be known before files are written to the folder; False: none can.

        To be called first, in any thread. Raises StorageError.
        """

    @abstractmethod
    def read(self, wanted: Iterable[Wanted]) -> Iterator[tuple[Wanted, SmallFile | None]]:
        """Read files; None for one that is unusual or could not be read."""

    @abstractmethod
    def write(self, files: Iterable[NewFile]) -> Iterator[tuple[NewFile, bytes | None]]:
        """Write and publish files, confirmed by the storage; None for one that was not.

        The others come with the MD5 that has confirmed them, b"" where it was something else.
        """
