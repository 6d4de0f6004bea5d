"""Checking a manifest without a server: its chain, and the files that it says were written."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.manifest import (
    LINE_BYTES_MAXIMUM,
    FileRecord,
    Header,
    InvalidManifest,
    unescape,
)
from longshore.domain.manifest_chain import Problem, Summary, verified
from longshore.domain.outcome import WRITTEN, Outcome
from longshore.domain.paths import InvalidPath
from longshore.pipeline.hashing import Hasher
from longshore.services import manifest_parquet

READERS = 4  # files read at once; hashing releases the interpreter lock
WAITING_MAXIMUM = 256  # files handed to the readers in advance
BUFFER_BYTES = 1024 * 1024
DIFFERENCES_HELD_MAXIMUM = 10_000  # kept until it is known whether a later record explains them

_AT_DESTINATION = {outcome.name.lower() for outcome in WRITTEN | {Outcome.IDENTICAL}}


class CannotCheck(InvalidManifest):
    """The check cannot be made as it was asked for."""


@dataclass(slots=True)
class Check:
    """One manifest and, with a root, the destination that it describes."""

    file: Path
    root: Path | None = None
    destination: int | None = None
    header: Header | None = None
    summary: Summary | None = None
    files_read: int = 0
    _differing: list[tuple[FileRecord, str]] = field(default_factory=list)

    def run(self) -> Iterator[str]:
        """Every problem, named. Raises InvalidManifest and OSError where nothing can be said."""
        if self.root is None:
            yield from self._chain()
            return
        with ThreadPoolExecutor(READERS) as readers:
            waiting: deque[tuple[FileRecord, Future[str | None]]] = deque()
            for found in self._found():
                if isinstance(found, str):
                    yield found
                    continue
                waiting.append((found, readers.submit(difference, self.root, found)))
                if len(waiting) >= WAITING_MAXIMUM:
                    yield from self._take(*waiting.popleft())
            for each in waiting:
                yield from self._take(*each)
        yield from self._unexplained()

    def _chain(self) -> Iterator[str]:
        yield from (found for found in self._found() if isinstance(found, str))

    def _found(self) -> Iterator[FileRecord | str]:
        """Problems of the manifest, and the records of files to be read."""
        for found in verified(lines_of(self.file)):
            if isinstance(found, Problem):
                yield found.text
            elif isinstance(found, Header):
                self.header = found
                self._choose_destination(len(found.destinations))
            elif isinstance(found, Summary):
                self.summary = found
            elif self._is_wanted(found):
                yield found

    def _choose_destination(self, number: int) -> None:
        if self.root is None:
            return
        if self.destination is None and number > 1:
            raise CannotCheck(
                f"there are {number} destinations: say with --destination (0 to {number - 1}) "
                "which one lies below the root"
            )
        if self.destination is not None and not 0 <= self.destination < max(1, number):
            raise CannotCheck(f"there is no destination {self.destination}")

    def _is_wanted(self, record: FileRecord) -> bool:
        return (
            record.target_path is not None
            and record.outcome in _AT_DESTINATION
            and (record.destination or 0) == (self.destination or 0)
        )

    def _take(self, record: FileRecord, reading: Future[str | None]) -> Iterator[str]:
        difference = reading.result()
        self.files_read += 1
        if difference is None:
            return
        if len(self._differing) < DIFFERENCES_HELD_MAXIMUM:
            self._differing.append((record, difference))
        else:
            yield f"{record.target_path}: {difference}"

    def _unexplained(self) -> Iterator[str]:
        """Differences, without files over which the same execution wrote others later."""
        if not self._differing:
            return
        last = {record.target_path: record.finished_ns for record, _ in self._differing}
        for found in verified(lines_of(self.file)):
            if isinstance(found, FileRecord) and self._is_wanted(found):
                known = last.get(found.target_path)
                if known is not None:
                    last[found.target_path] = max(known, found.finished_ns)
        for record, difference in self._differing:
            if record.finished_ns >= last[record.target_path]:
                yield f"{record.target_path}: {difference}"


# ------------------------------------------------------------------------------- reading


def lines_of(file: Path) -> Iterator[bytes]:
    """The lines of a manifest in any form. Raises InvalidManifest and OSError."""
    with file.open("rb") as opened:
        is_parquet = opened.read(len(manifest_parquet.MAGIC)) == manifest_parquet.MAGIC
        opened.seek(0)
        if is_parquet:
            if not manifest_parquet.is_available():
                raise CannotCheck("Parquet needs pyarrow: pip install longshore[parquet]")
            yield from manifest_parquet.lines_of(opened)
            return
        while line := opened.readline(LINE_BYTES_MAXIMUM):
            yield line


def difference(root: Path, record: FileRecord) -> str | None:
    """How the file below the root differs from its record; None if it does not."""
    assert record.target_path is not None
    try:
        path = os.path.join(os.fsencode(root), paths.parse(unescape(record.target_path)))
        state = os.lstat(path)
        if stat.S_ISLNK(state.st_mode):
            return _difference_of_link(path, record)
        if record.kind != "file" or not stat.S_ISREG(state.st_mode):
            return f"it is not a {record.kind} any more"
        if state.st_size != record.size:
            return f"it has {state.st_size} bytes instead of {record.size}"
        return _difference_of_content(path, record)
    except FileNotFoundError:
        return "it is missing"
    except (InvalidManifest, InvalidPath) as error:
        return f"its path is no path: {error}"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def _difference_of_link(path: bytes, record: FileRecord) -> str | None:
    if record.kind != "symlink":
        return f"it is not a {record.kind} any more"
    hasher = _hasher(record)
    hasher.update(memoryview(os.readlink(path)))
    return _difference_of_digest(hasher, record)


def _difference_of_content(path: bytes, record: FileRecord) -> str | None:
    hasher = _hasher(record)
    buffer = memoryview(bytearray(min(BUFFER_BYTES, max(1, record.size))))
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hasher.update(buffer[:count])
    return _difference_of_digest(hasher, record)


def _hasher(record: FileRecord) -> Hasher:
    return Hasher(ChecksumKind(record.checksum_type or ChecksumKind.NONE))


def _difference_of_digest(hasher: Hasher, record: FileRecord) -> str | None:
    """Files that were found identical without being read have no checksum on record."""
    for name, wanted, found in (
        ("xxh3-128", record.xxh3_128, hasher.xxh3_128()),
        (record.checksum_type, record.checksum, hasher.checksum()),
    ):
        if wanted is not None and wanted != found.hex():
            return f"its content is another one: {name} is {found.hex()} instead of {wanted}"
    return None
