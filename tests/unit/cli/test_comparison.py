"""The demo's comparison: every kind of difference is found, and equal trees have none."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import xxhash

from longshore.cli.demo.comparison import Comparison, compare
from longshore.cli.demo.story import is_left_out
from longshore.client import CatalogueFile, ExecutionFile, FileError

AT = 1_600_000_000_123_456_789


@dataclass
class Archive:
    """A source, its perfect archive, and what a server would say of it."""

    source: Path
    archive: Path
    report: dict[str, ExecutionFile] = field(default_factory=dict)
    catalogue: dict[str, CatalogueFile] = field(default_factory=dict)

    def compare(self) -> Comparison:
        return compare(
            os.fsencode(self.source),
            os.fsencode(self.archive),
            self.report,
            self.catalogue,
            left_out=is_left_out,
        )


@pytest.fixture
def made(tmp_path: Path) -> Archive:
    """A folder with two files and a link, an empty folder, and a file that is left out."""
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "folder" / "a.py").write_bytes(b"content of a")
    (source / "folder" / "b.pyc").write_bytes(b"left out")
    (source / os.fsdecode(b"n\xff\n")).write_bytes(b"strange name")
    (source / "link").symlink_to("folder/a.py")
    for path in (source / "folder", source / "folder" / "a.py"):
        os.utime(path, ns=(AT, AT))
    archive = tmp_path / "archive"
    shutil.copytree(source, archive, symlinks=True, ignore=shutil.ignore_patterns("*.pyc"))
    made = Archive(source, archive)
    for number, (name, target) in enumerate(
        {
            "/folder/a.py": b"content of a",
            "/n\\xff\n": b"strange name",
            "/link": b"folder/a.py",
        }.items()
    ):
        checksum = xxhash.xxh64(target).hexdigest()
        made.report[name] = reported(name, "copied", len(target), checksum=checksum)
        made.catalogue[name] = listed(number, "file", len(target), offline=1)
    made.report["/folder/b.pyc"] = reported("/folder/b.pyc", "refused", 8)
    made.catalogue["/folder"] = listed(10, "folder", 0)
    made.catalogue["/empty"] = listed(11, "folder", 0)
    return made


def reported(
    path: str, outcome: str, size: int, *, checksum: str | None = None, error: str | None = None
) -> ExecutionFile:
    failure = None if error is None else FileError(kind="permission", text=error)
    return ExecutionFile(
        file_path=path, outcome=outcome, size=size, checksum=checksum, error=failure
    )


def listed(number: int, kind: str, size: int, *, offline: int = 0) -> CatalogueFile:
    assert kind in {"file", "folder"}
    return CatalogueFile(
        id=number,
        name="",
        type="file" if kind == "file" else "folder",
        size=size,
        offline=offline,
    )


def test_an_archive_that_equals_its_source_matches(made: Archive) -> None:
    found = made.compare()
    assert (found.failures, found.differences) == ([], [])
    assert found.matches
    assert (found.files, found.folders, found.absent) == (3, 2, 1)
    assert found.bytes == len(b"content of a" + b"strange name" + b"folder/a.py")


def _change_content(made: Archive) -> None:
    path = made.archive / "folder" / "a.py"
    path.write_bytes(b"CONTENT OF A")
    os.utime(path, ns=(AT, AT))


def _change_mode(made: Archive) -> None:
    path = made.archive / "folder" / "a.py"
    path.chmod(stat.S_IMODE(path.stat().st_mode) ^ stat.S_IXUSR)


def _change_link(made: Archive) -> None:
    link = made.archive / "link"
    at = link.lstat().st_mtime_ns
    link.unlink()
    link.symlink_to("folder/b.py")
    os.utime(link, ns=(at, at), follow_symlinks=False)


def _replace_link_by_file(made: Archive) -> None:
    (made.archive / "link").unlink()
    (made.archive / "link").write_bytes(b"content of a")


def _change_time(made: Archive) -> None:
    os.utime(made.archive / "folder" / "a.py", ns=(AT, AT + 1))


def _change_time_of_folder(made: Archive) -> None:
    os.utime(made.archive / "folder", ns=(AT, AT + 1))


def _remove(made: Archive) -> None:
    (made.archive / "link").unlink()


def _remove_empty_folder(made: Archive) -> None:
    (made.archive / "empty").rmdir()


def _archive_what_is_left_out(made: Archive) -> None:
    shutil.copy2(made.source / "folder" / "b.pyc", made.archive / "folder")
    os.utime(made.archive / "folder", ns=(AT, AT))


def _leave_a_staged_file(made: Archive) -> None:
    (made.archive / ".longshore-1").touch()


def _record_another_checksum(made: Archive) -> None:
    made.report["/link"] = reported("/link", "copied", 11, checksum="0" * 16)


def _report_nothing_of_a_file(made: Archive) -> None:
    del made.report["/link"]


def _report_what_is_not_there(made: Archive) -> None:
    made.report["/more"] = reported("/more", "copied", 1)


def _do_not_report_what_is_left_out(made: Archive) -> None:
    del made.report["/folder/b.pyc"]


def _forget_in_the_catalogue(made: Archive) -> None:
    del made.catalogue["/folder"]


def _catalogue_what_is_left_out(made: Archive) -> None:
    made.catalogue["/folder/b.pyc"] = listed(20, "file", 8, offline=1)


def _catalogue_another_size(made: Archive) -> None:
    made.catalogue["/link"] = listed(2, "file", 12, offline=1)


def _catalogue_no_copy(made: Archive) -> None:
    made.catalogue["/link"] = listed(2, "file", 11, offline=0)


@pytest.mark.parametrize(
    ("spoil", "difference"),
    [
        (_change_content, "/folder/a.py: its content has the checksum"),
        (_change_mode, "/folder/a.py: its mode is"),
        (_change_link, "/link: its content has the checksum"),
        (_replace_link_by_file, "/link: its mode is 100"),
        (_change_time, f"/folder/a.py: its time is {AT + 1} instead of {AT} ns"),
        (_change_time_of_folder, f"/folder: its time is {AT + 1} instead of {AT} ns"),
        (_remove, "/link: cannot be found in the archive: No such file or directory"),
        (_remove_empty_folder, "/empty: cannot be found in the archive"),
        (_archive_what_is_left_out, "/folder/b.pyc: should not be in the archive"),
        (_leave_a_staged_file, "/.longshore-1: should not be in the archive"),
        (_record_another_checksum, "/link: the report does not have its checksum"),
        (_report_nothing_of_a_file, "/link: the report does not have its checksum"),
        (_report_what_is_not_there, "/more: is in the report, but not in the source"),
        (_do_not_report_what_is_left_out, "/folder/b.pyc: the report does not say"),
        (_forget_in_the_catalogue, "/folder: is not in the catalogue"),
        (_catalogue_what_is_left_out, "/folder/b.pyc: should not be in the catalogue"),
        (_catalogue_another_size, "/link: has 12 bytes in the catalogue instead of 11"),
        (_catalogue_no_copy, "/link: has 0 copies on secondary storage instead of one"),
    ],
)
def test_every_difference_is_found(
    made: Archive, spoil: Callable[[Archive], None], difference: str
) -> None:
    spoil(made)
    found = made.compare()
    assert not found.matches
    assert any(line.startswith(difference) for line in found.differences), found.differences


def test_a_failed_file_is_shown_with_its_reason_and_not_looked_for(made: Archive) -> None:
    (made.archive / "link").unlink()
    del made.catalogue["/link"]
    made.report["/link"] = reported("/link", "failed", 0, error="open link: not allowed")
    found = made.compare()
    assert (found.failures, found.differences) == (["/link: open link: not allowed"], [])
    assert not found.matches
