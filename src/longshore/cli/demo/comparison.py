"""Comparing the archived tree with the source itself, and both with what the server says of them.

A file matches when content, mode, time and link target are equal at both ends, the report has the
checksum of that content, and the catalogue has its size and a copy of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import xxhash

from longshore.client import CatalogueFile, ExecutionFile
from longshore.domain import paths

BUFFER_BYTES = 1024 * 1024  # read at once while hashing

Report = Mapping[str, ExecutionFile]
Catalogue = Mapping[str, CatalogueFile]


@dataclass(slots=True)
class Comparison:
    """What was found equal, what failed on the server's own record, and what differs."""

    files: int = 0
    bytes: int = 0
    folders: int = 0
    absent: int = 0  # left out by the callback, and indeed not there
    failures: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def problems(self) -> int:
        return len(self.failures) + len(self.differences)

    @property
    def matches(self) -> bool:
        return not self.problems


def compare(
    source: bytes,
    archive: bytes,
    report: Report,
    catalogue: Catalogue,
    *,
    left_out: Callable[[bytes], bool],
) -> Comparison:
    """Compare everything below the two folders; `left_out` is the rule of the callback."""
    comparing = _Comparing(source, archive, report, catalogue, left_out)
    return comparing.run()


@dataclass(slots=True)
class _Comparing:
    source: bytes
    archive: bytes
    report: Report
    catalogue: Catalogue
    left_out: Callable[[bytes], bool]
    result: Comparison = field(default_factory=Comparison)
    expected: set[str] = field(default_factory=set)  # what the archive and the catalogue hold
    seen: set[str] = field(default_factory=set)  # everything of the source

    def run(self) -> Comparison:
        self.result.failures = [
            f"{path}: {file.error.text if file.error else 'without a reason'}"
            for path, file in self.report.items()
            if file.outcome == "failed"
        ]
        for path, found in _below(self.source):
            self._compare(path, found)
        present = {_shown(path): "the archive" for path, _ in _below(self.archive)}
        for where, names in (
            ("the archive", present.keys()),
            ("the catalogue", self.catalogue.keys()),
        ):
            self._differ_all(names - self.expected, f"should not be in {where}")
        self._differ_all(self.report.keys() - self.seen, "is in the report, but not in the source")
        return self.result

    # ------------------------------------------------------------------ one name

    def _compare(self, path: bytes, found: os.stat_result) -> None:
        name = _shown(path)
        self.seen.add(name)
        is_folder = stat.S_ISDIR(found.st_mode)
        recorded = self.report.get(name)
        if recorded is not None and recorded.outcome == "failed":
            if is_folder:
                self.expected.add(name)  # it was found, only its names were not
            return
        if not is_folder and self.left_out(path):
            self._compare_left_out(name, recorded)
            return
        self.expected.add(name)
        differences = [*self._of_archive(path, found), *self._of_record(name, found)]
        if not is_folder:
            differences += self._of_content(path, found, recorded)
        self.result.differences += [f"{name}: {what}" for what in differences]
        if not differences:
            self._count(found)

    def _compare_left_out(self, name: str, recorded: ExecutionFile | None) -> None:
        """Absence from the archive and the catalogue is checked with everything unexpected."""
        if recorded is None or recorded.outcome != "refused":
            self.result.differences.append(f"{name}: the report does not say it was left out")
        else:
            self.result.absent += 1

    def _count(self, found: os.stat_result) -> None:
        if stat.S_ISDIR(found.st_mode):
            self.result.folders += 1
        else:
            self.result.files += 1
            self.result.bytes += found.st_size

    def _of_archive(self, path: bytes, found: os.stat_result) -> Iterator[str]:
        """Differences of what `stat` shows."""
        try:
            archived = os.lstat(os.path.join(self.archive, path))
        except OSError as error:
            yield f"cannot be found in the archive: {error.strerror}"
            return
        expected = _mode_to_expect(found, archived)
        if archived.st_mode != expected:
            yield f"its mode is {archived.st_mode:o} instead of {expected:o}"
        if archived.st_mtime_ns != found.st_mtime_ns:
            yield f"its time is {archived.st_mtime_ns} instead of {found.st_mtime_ns} ns"

    def _of_record(self, name: str, found: os.stat_result) -> Iterator[str]:
        """Differences of what the catalogue shows."""
        file = self.catalogue.get(name)
        if file is None:
            yield "is not in the catalogue"
            return
        is_folder = stat.S_ISDIR(found.st_mode)
        if (file.type == "folder") != is_folder:
            yield f"is a {file.type} in the catalogue"
        elif not is_folder and file.size != found.st_size:
            yield f"has {file.size} bytes in the catalogue instead of {found.st_size}"
        elif not is_folder and file.offline != 1:
            yield f"has {file.offline} copies on secondary storage instead of one"

    def _of_content(
        self, path: bytes, found: os.stat_result, recorded: ExecutionFile | None
    ) -> Iterator[str]:
        """Differences between source, archive and recorded checksum."""
        try:
            here = _checksum(os.path.join(self.source, path), found)
            there = _checksum(os.path.join(self.archive, path), found)
        except OSError as error:
            yield f"cannot be compared: {error.strerror}"
            return
        if here != there:
            yield f"its content has the checksum {there} instead of {here}"
        if recorded is None or recorded.checksum != here:
            yield f"the report does not have its checksum {here}"

    def _differ_all(self, names: set[str], what: str) -> None:
        self.result.differences += [f"{name}: {what}" for name in sorted(names)]


def _below(root: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every name below the folder by its relative path; links are not followed.

    A folder that cannot be read has no names: the report says so.
    """
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            yield os.path.relpath(path, root), os.lstat(path)


def _mode_to_expect(found: os.stat_result, archived: os.stat_result) -> int:
    """The source's mode; a setuid bit must not survive a change of owner."""
    mode = found.st_mode
    if archived.st_uid != found.st_uid:
        mode &= ~stat.S_ISUID
    if archived.st_gid != found.st_gid:
        mode &= ~stat.S_ISGID
    return mode


def _checksum(path: bytes, found: os.stat_result) -> str:
    """Of a file's bytes, or of a link's target."""
    if stat.S_ISLNK(found.st_mode):
        return xxhash.xxh64(os.readlink(path)).hexdigest()
    hasher = xxhash.xxh64()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(BUFFER_BYTES):
            hasher.update(piece)
    return hasher.hexdigest()


def _shown(path: bytes) -> str:
    """The path as the API writes it."""
    return f"/{paths.to_text(path)}"
