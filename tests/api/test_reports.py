"""Manifests over HTTP: every file, in three forms that say the same."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from sqlalchemy import insert, update

from longshore.database.connection import writing
from longshore.database.tables.tasks import task_executions, tasks
from longshore.domain.manifest import COLUMNS, FileRecord, Header, unescape
from longshore.domain.manifest_chain import Found, Problem, Summary, verified
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.services import manifest_parquet
from longshore.services.context import Context
from tests.api.client import TestClient
from tests.records import add_records, failure, record

API = "/api/v2"
EXECUTION = 1_700_000_000_000_000_000
REPORT = f"{API}/task_executions/{EXECUTION}/report"
FORMS = ["jsonl", "csv", "parquet"]
FACTS = {
    "sources": [
        {"storage": {"kind": "nas_share", "id": 1}, "path": "/", "target": "/", "destination": 0}
    ],
    "destinations": [{"storage": {"kind": "nas_share", "id": 2}}],
    "options": {"file_checksum": "md5"},
    "metadata": {"project": "x"},
}
ODD = b'dir/"odd", =1\\\n\xff.txt'


def add_execution(context: Context, **more: Any) -> None:
    row = {
        "id": EXECUTION, "task_id": 1, "owner_id": 1000, "name": "nightly",
        "workflow_type": "offline_archive", "workflow_action": "copy", "source_type": None,
        "destination_type": None, "priority": 5, "status": "finished_with_warnings",
        "reason": None, "log_time": 1_700_000_009, "job_started": 1_700_000_000,
        "job_finished": 1_700_000_009, "to_process_size": 7, "processed_size": 7,
        "to_process_files": 1, "processed_files": 1, "finalized_files": 1, "failed_files": 0,
        "estimation_time": None, "bandwidth": 100, "active_seconds": 9.0, "plan": b"",
        "facts": json.dumps(FACTS),
    }  # fmt: skip
    with writing(context.database.state) as connection:
        connection.execute(insert(task_executions), [row | more])


def recorded(number: int, path: bytes | None = None, **more: Any) -> tuple[int, Record, None]:
    values = {
        "target_path": b"t/%d" % number, "checksum": b"\1\2", "xxh3_128": b"\xab" * 16,
        "entry": {"mtime_ns": 1_600_000_000_123_456_789},
    }  # fmt: skip
    return number, record(number, path or b"d/%d" % number, **(values | more)), None


def add_files(context: Context, files: list[tuple[int, Record, None]]) -> None:
    with writing(context.database.journal) as connection:
        add_records(connection, EXECUTION, files)


NOTHING: dict[str, Any] = {"target_path": b"", "checksum": b"", "xxh3_128": b""}
FAILED = NOTHING | {
    "outcome": Outcome.FAILED, "failure": failure("open d/2: not\nallowed"), "attempts": 4,
}  # fmt: skip
REFUSED = NOTHING | {"outcome": Outcome.REFUSED, "callback_id": 8}


@pytest.fixture
def finished(context: Context) -> None:
    """An execution with a file of every kind of outcome, and more than two blocks of them."""
    add_execution(context)
    rows = [recorded(2, **FAILED), recorded(3, **REFUSED), recorded(1, ODD)]
    rows += [recorded(number) for number in range(10, 2300)]
    add_files(context, rows)


def found_in(body: bytes, form: str) -> list[Found]:
    if form == "parquet":
        return list(verified(manifest_parquet.lines_of(io.BytesIO(body))))
    return list(verified(body.splitlines(keepends=True)))


def read(client: TestClient, form: str, **query: Any) -> list[Found]:
    answer = client.get(REPORT, params={"format": form, **query})
    assert answer.status_code == 200, answer.text
    return found_in(answer.content, form)


def records_of(found: list[Found]) -> list[FileRecord]:
    return [each for each in found if isinstance(each, FileRecord)]


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("form", FORMS)
def test_a_report_has_every_file_in_the_order_of_work(admin: TestClient, form: str) -> None:
    header, *records, summary = read(admin, form)
    assert isinstance(header, Header)
    assert (header.final, header.full) == (True, True)
    assert header.execution["id"] == str(EXECUTION)
    assert header.execution["job_finished"] == "2023-11-14T22:13:29Z"
    assert (header.sources, header.destinations) == (FACTS["sources"], FACTS["destinations"])
    assert header.facts["metadata"] == {"project": "x"}
    assert isinstance(summary, Summary)
    assert (summary.records, summary.blocks) == (2293, 5)
    odd, failed, refused, *others = records_of(records)
    assert [each.number for each in others] == list(range(10, 2300))
    assert unescape(odd.path) == b"/" + ODD
    assert (odd.outcome, odd.source, odd.destination, odd.kind) == ("copied", 0, 0, "file")
    assert (odd.size, odd.mtime_ns) == (7, 1_600_000_000_123_456_789)
    assert (odd.target_path, odd.checksum_type, odd.checksum) == ("/t/1", "md5", "0102")
    assert (odd.xxh3_128, odd.finished_ns) == ("ab" * 16, 1_700_000_001_000_000_000)
    assert (failed.outcome, failed.error_kind, failed.error_stage, failed.error_side) == (
        "failed", "permission", "transfer", "source",
    )  # fmt: skip
    assert (failed.error_text, failed.attempts) == ("open d/2: not\\nallowed", 4)
    assert (refused.outcome, refused.callback_id, refused.xxh3_128) == ("refused", 8, None)


@pytest.mark.usefixtures("finished")
def test_all_forms_hold_the_same_records(admin: TestClient) -> None:
    lines, table, columns = (records_of(read(admin, form)) for form in FORMS)
    assert lines == table == columns


@pytest.mark.usefixtures("finished")
def test_tables_open_with_the_ordinary_tools(admin: TestClient) -> None:
    text = admin.get(REPORT, params={"format": "csv"}).text
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert len(rows) == 2293
    assert rows[1]["error_kind"] == "permission"
    body = admin.get(REPORT, params={"format": "parquet"}).content
    table = pyarrow.parquet.read_table(io.BytesIO(body))
    assert table.column_names == list(COLUMNS)
    assert table.num_rows == 2293
    assert pyarrow.compute.sum(table["size"]).as_py() == 2293 * 7


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("form", FORMS)
def test_a_report_of_failures_has_only_those(admin: TestClient, form: str) -> None:
    found = read(admin, form, full_report="false")
    assert [each.number for each in records_of(found)] == [2]
    assert isinstance(found[0], Header)
    assert found[0].full is False


def test_the_option_full_report_is_the_default(admin: TestClient, context: Context) -> None:
    add_execution(context, facts=json.dumps(FACTS | {"options": {"full_report": "0"}}))
    add_files(context, [recorded(1), recorded(2, **FAILED)])
    assert [each.number for each in records_of(read(admin, "jsonl"))] == [2]
    assert len(records_of(read(admin, "jsonl", full_report="1"))) == 2


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("form", FORMS)
def test_a_finished_report_has_a_name_and_a_tag_that_spares_sending_it_again(
    admin: TestClient, form: str
) -> None:
    answer = admin.get(REPORT, params={"format": form})
    name = f'attachment; filename="longshore-{EXECUTION}.{form}"'
    assert answer.headers["content-disposition"] == name
    again = admin.get(REPORT, params={"format": form})
    assert again.content == answer.content
    tag = answer.headers["etag"]
    assert again.headers["etag"] == tag
    if form != "parquet":
        assert tag.strip('"').partition("-")[2] in answer.text, "the hash of the first block"
    known = admin.get(REPORT, params={"format": form}, headers={"If-None-Match": f'"x", {tag}'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    other = admin.get(
        REPORT, params={"format": form, "full_report": "0"}, headers={"If-None-Match": tag}
    )
    assert other.status_code == 200


@pytest.mark.parametrize("status", ["in_progress", "paused", "in_queue", "stopped_by_system"])
def test_a_report_before_the_end_says_so_and_is_not_kept(
    admin: TestClient, context: Context, status: str
) -> None:
    task = admin.post(f"{API}/tasks", json={"name": "t"}).json()["id"]
    with writing(context.database.state) as connection:
        connection.execute(update(tasks).values(execution_id=EXECUTION, status=status))
    add_execution(context, status=status, task_id=task, job_finished=None)
    add_files(context, [recorded(1)])
    answer = admin.get(REPORT)
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    header, _, summary = found_in(answer.content, "jsonl")
    assert isinstance(header, Header)
    assert isinstance(summary, Summary)
    assert header.final is False


def test_an_execution_stopped_by_the_system_that_nobody_can_resume_is_final(
    admin: TestClient, context: Context
) -> None:
    add_execution(context, status="stopped_by_system")
    assert "etag" in admin.get(REPORT).headers


def test_an_execution_without_files_has_an_empty_report(
    admin: TestClient, context: Context
) -> None:
    add_execution(context, facts=None)
    for form in FORMS:
        assert [type(each) for each in read(admin, form)] == [Header, Summary]


def test_removed_records_are_not_found(admin: TestClient, context: Context) -> None:
    add_execution(context, outcomes_removed=1_700_000_100)
    answer = admin.get(REPORT)
    assert answer.status_code == 404
    assert answer.json()["details"] == {"report": [{"error": "not_found"}]}


def test_a_wrong_format_is_invalid(admin: TestClient, context: Context) -> None:
    add_execution(context)
    answer = admin.get(REPORT, params={"format": "xml"})
    assert answer.status_code == 422
    assert answer.json()["details"] == {"format": [{"error": "invalid", "value": "xml"}]}


def test_parquet_without_pyarrow_is_refused_with_the_remedy(
    admin: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_execution(context)
    monkeypatch.setattr(manifest_parquet, "is_available", lambda: False)
    answer = admin.get(REPORT, params={"format": "parquet"})
    assert answer.status_code == 422
    assert "longshore[parquet]" in answer.json()["messages"][0]


def test_reports_are_for_the_owner_and_for_administrators(
    admin: TestClient, user: TestClient, context: Context
) -> None:
    add_execution(context)
    assert admin.get(REPORT).status_code == 200
    assert user.get(REPORT).status_code == 404
    task = admin.post(f"{API}/tasks", json={"name": "t"}).json()["id"]
    below = f"{API}/tasks/{task}/task_executions/{EXECUTION}/report"
    assert admin.get(below).status_code == 200
    assert (
        admin.get(f"{API}/tasks/{task + 1}/task_executions/{EXECUTION}/report").status_code == 404
    )


@pytest.mark.usefixtures("finished")
def test_a_changed_row_of_a_parquet_file_is_found(admin: TestClient, tmp_path: Path) -> None:
    body = admin.get(REPORT, params={"format": "parquet"}).content
    table = pyarrow.parquet.read_table(io.BytesIO(body))
    kept = table.schema.with_metadata(
        pyarrow.parquet.ParquetFile(io.BytesIO(body)).metadata.metadata
    )
    for name, changed in {
        "one row less": table.slice(1),
        "one row more": pyarrow.concat_tables([table, table.slice(5, 1)]),
        "cut": table.slice(0, 1500),
        "edited": table.set_column(
            table.column_names.index("size"), "size", pyarrow.compute.add(table["size"], 1)
        ),
    }.items():
        file = tmp_path / name
        pyarrow.parquet.write_table(changed.cast(kept).replace_schema_metadata(kept.metadata), file)
        with file.open("rb") as opened:
            found = list(verified(manifest_parquet.lines_of(opened)))
        assert [each for each in found if isinstance(each, Problem)], name


OPERATORS = {
    "failed": {2},
    "=failed": {2},
    "!=copied": {2, 3},
    "><failed|refused": {2, 3},
    "!><copied|failed": {3},
    "~%ed": {1, 2, 3},
    "~FAIL%": {2},
    "!~%ai%": {1, 3},
    ">failed": set(),
    "<failed": {1, 3},
    ">=refused": {2, 3},
    "<=copied": {1},
    "nothing": set(),
    "!=nothing": {1, 2, 3},
}


@pytest.mark.parametrize(("written", "wanted"), OPERATORS.items())
def test_files_are_filtered_by_outcome(
    admin: TestClient, context: Context, written: str, wanted: set[int]
) -> None:
    add_execution(context)
    add_files(context, [recorded(1), recorded(2, **FAILED), recorded(3, **REFUSED)])
    answer = admin.get(
        f"{API}/task_executions/{EXECUTION}/files", params={"outcome": written}
    ).json()
    assert {each["number"] for each in answer["files"]} == wanted
    assert answer["count"] == len(wanted)
