"""The manifest of an execution, written while it is read: in pages, without a long transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Row

from longshore import __version__
from longshore.database import recorded_files, reports, runs
from longshore.database.connection import Database, reading
from longshore.database.recorded_files import RecordedFile
from longshore.domain import paths
from longshore.domain.errors import LongshoreError, Side
from longshore.domain.execution import IDLE, TaskStatus
from longshore.domain.manifest import (
    BLOCK_RECORDS,
    COMMA_SEPARATED,
    FORMAT,
    JSON_LINES,
    VERSION,
    FileRecord,
    Header,
    Layout,
    escape,
)
from longshore.domain.manifest_chain import first_block, written
from longshore.domain.outcome import Outcome
from longshore.domain.record import UNKNOWN_SOURCE
from longshore.domain.task import OptionType
from longshore.services import executions, manifest_parquet
from longshore.services.context import Context
from longshore.services.errors import Kind, NotFound, Problems
from longshore.services.principal import Principal


class Form(StrEnum):
    """How a manifest is written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class OutcomesRemoved(LongshoreError):
    """The records were removed while somebody read them: what was sent has no end."""


_LAYOUTS: dict[Form, Layout] = {
    Form.JSONL: JSON_LINES,
    Form.CSV: COMMA_SEPARATED,
    Form.PARQUET: JSON_LINES,  # its rows are hashed as the lines they would be
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A manifest to be sent. Without an `etag` it may be another one the next time."""

    name: str  # of the file it becomes
    etag: str | None
    pieces: Iterator[bytes]  # of some hundred KB; nothing is read before the first is taken


def report(
    context: Context,
    principal: Principal,
    identifier: str,
    task_identifier: str | None,
    *,
    form: Form,
    full: bool | None,
) -> Report:
    """The execution's manifest; `full` None = as its task's option `full_report` says.

    Raises NotFound, also where its records are removed already, and Invalid.
    """
    if form is Form.PARQUET and not manifest_parquet.is_available():
        problems = Problems()
        note = "this server has no pyarrow, which the extra longshore[parquet] installs"
        problems.add("format", Kind.INVALID, value=form.value, note=note)
        problems.raise_if_any()
    execution_id = executions.show(context, principal, identifier, task_identifier).id
    with reading(context.database.state) as connection:
        row = reports.execution(connection, execution_id)
        final = _is_final(row, shown=runs.shows(connection, execution_id))
    if row.outcomes_removed is not None:
        raise NotFound("report")
    header = _header(row, final=final, full=full)
    blocks = _blocks(context.database, execution_id, header)
    layout = _LAYOUTS[form]
    pieces = (
        manifest_parquet.written(header, blocks)
        if form is Form.PARQUET
        else written(layout, header, blocks)
    )
    etag = f"{form.value}-{first_block(layout, header).sha256}" if final else None
    return Report(name=f"longshore-{execution_id}.{form.value}", etag=etag, pieces=pieces)


def _is_final(row: Row[Any], *, shown: bool) -> bool:
    """Whether no record can be added any more: it is over, and nothing can resume it."""
    status = TaskStatus(row.status)
    return status in IDLE and not (status is TaskStatus.STOPPED_BY_SYSTEM and shown)


# --------------------------------------------------------------------------------- header

_EXECUTION = (
    "task_id", "name", "workflow_type", "workflow_action", "source_type", "destination_type",
    "priority", "status", "reason", "to_process_files", "to_process_size", "processed_files",
    "processed_size", "finalized_files", "failed_files",
)  # fmt: skip


def _header(row: Row[Any], *, final: bool, full: bool | None) -> Header:
    facts: dict[str, Any] = msgspec.json.decode(row.facts) if row.facts else {}
    if full is None:
        full = facts.get("options", {}).get(OptionType.FULL_REPORT.value) != "0"
    execution = {
        "id": str(row.id),
        **{name: getattr(row, name) for name in _EXECUTION},
        "job_started": _date(row.job_started),
        "job_finished": _date(row.job_finished),
    }
    return Header(
        format=FORMAT,
        version=VERSION,
        software=f"longshore {__version__}",
        final=final,
        full=full,
        execution=execution,
        sources=facts.pop("sources", []),
        destinations=facts.pop("destinations", []),
        facts=facts,
    )


def _date(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -------------------------------------------------------------------------------- records


def _blocks(database: Database, execution_id: int, header: Header) -> Iterator[list[FileRecord]]:
    """The records block by block, each read in a transaction of its own."""
    destinations = [source.get("destination") for source in header.sources]
    outcomes = None if header.full else {Outcome.FAILED}
    number = -1
    while True:
        with reading(database.journal) as connection:
            files = recorded_files.files_after(
                connection, execution_id, number, limit=BLOCK_RECORDS, outcomes=outcomes
            )
        if files:
            number = files[-1].number
            yield [_record(each, destinations) for each in files]
        if len(files) < BLOCK_RECORDS:
            break
    with reading(database.state) as connection:
        if reports.outcomes_removed(connection, execution_id):
            raise OutcomesRemoved(f"the records of execution {execution_id} were removed")


def _record(file: RecordedFile, destinations: list[int | None]) -> FileRecord:
    record, entry, failure = file.record, file.record.entry, file.record.failure
    source = None if record.source == UNKNOWN_SOURCE else record.source
    known = source is not None and source < len(destinations)
    return FileRecord(
        number=file.number,
        source=source,
        destination=destinations[record.source] if known else None,
        path=_path(paths.join(record.folder, entry.name)),
        target_path=_path(record.target_path) if record.target_path else None,
        kind=entry.kind.name.lower(),
        outcome=record.outcome.name.lower(),
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        checksum_type=file.checksum_kind,
        checksum=record.checksum.hex() or None,
        xxh3_128=record.xxh3_128.hex() or None,
        error_kind=failure.kind.value if failure else None,
        error_stage=failure.stage.value if failure else None,
        error_side=_SIDES[failure.side] if failure else None,
        error_text=_one_line(failure.text) if failure else None,
        callback_id=record.callback_id or None,
        attempts=record.attempts,
        finished_ns=record.finished_ns,
    )


_SIDES = {side: None if side is Side.NONE else side.name.lower() for side in Side}


def _path(path: bytes) -> str:
    # The slash is how the api shows paths; it also keeps a name such as `=1+1` from being taken
    # for a formula where a table is opened.
    return f"/{escape(path)}"


def _one_line(text: str | None) -> str | None:
    if not text:
        return None
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
