"""Records of files, as tests put them into the journal and look at them there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from longshore.database import recorded_files
from longshore.database.connection import Database, reading
from longshore.database.record_blocks import put_records
from longshore.database.recorded_files import RecordedFile
from longshore.database.tables.engine import record_blocks
from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.domain.outcome import Outcome
from longshore.domain.record import PLACES_PER_WORK, Record

PAGE_FILES = 700  # not a divisor of the files in a block


def files_on_record(database: Database, execution_id: int) -> list[RecordedFile]:
    """All files that the execution has on record, in their order."""
    with reading(database.journal) as connection:
        return list(_all(connection, execution_id))


def every_file_on_record(database: Database) -> list[RecordedFile]:
    """The files that all executions have on record."""
    with reading(database.journal) as connection:
        keys = connection.execute(select(record_blocks.c.execution_id).distinct()).scalars()
        return [file for key in sorted(keys) for file in _all(connection, key)]


def _all(connection: Connection, execution_id: int) -> Iterator[RecordedFile]:
    number = -1
    while page := recorded_files.files_after(connection, execution_id, number, limit=PAGE_FILES):
        yield from page
        number = page[-1].number


def path_of(file: RecordedFile) -> bytes:
    """Its path in the source storage."""
    return paths.join(file.record.folder, file.record.entry.name)


@dataclass(frozen=True, slots=True)
class FailedFile:
    path: bytes
    error_kind: ErrorKind
    attempts: int


def failed_on_record(database: Database) -> FailedFile:
    """The one file that failed."""
    found = every_file_on_record(database)
    (failed,) = (each for each in found if each.record.outcome is Outcome.FAILED)
    assert failed.record.failure is not None
    return FailedFile(path_of(failed), failed.record.failure.kind, failed.record.attempts)


def record(number: int, path: bytes = b"folder/file", **more: Any) -> Record:
    """The record of a copied file; `entry` and `error` may have parts of theirs."""
    folder, name = paths.split(path)
    entry = {"kind": EntryKind.FILE, "size": 7, "mode": 0, "uid": 0, "gid": 0}
    times = {"mtime_ns": 1_600_000_000_000_000_000, "atime_ns": 0, "ctime_ns": 0}
    values: dict[str, Any] = {
        "source": 0, "outcome": Outcome.COPIED, "target_path": path, "xxh3_128": b"",
        "checksum": b"", "failure": None, "callback_id": 0, "attempts": 1,
        "finished_ns": 1_700_000_001_000_000_000,
    }  # fmt: skip
    described = Entry(name=name, **(entry | times | more.pop("entry", {})))
    place = number % PLACES_PER_WORK
    return Record(place=place, folder=folder, entry=described, **(values | more))


def failure(text: str = "open a: not allowed") -> FileFailure:
    return FileFailure(ErrorKind.PERMISSION, Stage.TRANSFER, Side.SOURCE, text)


def add_records(
    connection: Connection,
    execution_id: int,
    records: Iterable[tuple[int, Record, int | None]],
    *,
    checksum_kind: str | None = "md5",
) -> None:
    """Put records with these numbers, and ids of files, into the journal."""
    by_work = groupby(sorted(records, key=_number), lambda each: each[0] // PLACES_PER_WORK)
    for work_id, group in by_work:
        _, kept, file_ids = zip(*group, strict=True)
        put_records(
            connection, execution_id, work_id, kept, list(file_ids), checksum_kind=checksum_kind
        )


def _number(given: tuple[int, Record, int | None]) -> int:
    return given[0]
