"""Records of files in blocks: written once, in order, found by outcome, folder and number."""

from __future__ import annotations

import random

import pytest
import sqlalchemy as sa
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from longshore.database import migrate as migrations
from longshore.database import recorded_files
from longshore.database.connection import Database, reading, writing
from longshore.database.record_blocks import (
    BLOCK_FILES_MAXIMUM,
    Block,
    Format,
    file_ids_of,
    pack_ids,
    put_records,
    records_of,
)
from longshore.database.recorded_files import Place
from longshore.database.tables.catalogue import nodes
from longshore.database.tables.engine import record_blocks
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.domain.outcome import Outcome
from longshore.domain.record import PLACES_PER_WORK, UNKNOWN_SOURCE, Record
from tests.records import files_on_record, path_of, record

EXECUTION = 1_700_000_000_000_000_000
MANY = 2 * BLOCK_FILES_MAXIMUM + 300


def put(database: Database, work_id: int, records: list[Record]) -> None:
    with writing(database.journal) as connection:
        ids = [work_id * PLACES_PER_WORK + each.place for each in records]
        put_records(connection, EXECUTION, work_id, records, ids)


def blocks_on_record(database: Database) -> list[tuple[int, int]]:
    with reading(database.journal) as connection:
        columns = (record_blocks.c.first_number, record_blocks.c.files)
        rows = connection.execute(select(*columns).order_by(record_blocks.c.first_number))
        return [(first_number, files) for first_number, files in rows]


# -------------------------------------------------------------------------------- writing


def test_the_records_of_a_reply_are_one_block_whatever_their_order(database: Database) -> None:
    records = [record(place, b"d/%d" % place) for place in range(100)]
    shuffled = random.Random(1).sample(records, k=len(records))
    put(database, 3, shuffled)
    assert blocks_on_record(database) == [(3 * PLACES_PER_WORK, 100)]
    found = files_on_record(database, EXECUTION)
    assert [each.record for each in found] == records
    assert [each.number for each in found] == [3 * PLACES_PER_WORK + n for n in range(100)]
    assert [each.file_id for each in found] == [each.number for each in found]


def test_slices_of_one_work_item_stay_in_the_order_of_their_places(database: Database) -> None:
    records = [record(place) for place in range(20)]
    put(database, 1, [each for each in records if each.place not in {4, 5, 11}])
    put(database, 1, [records[11]])
    put(database, 2, [record(0)])
    put(database, 1, [records[4], records[5]])
    assert [files for _, files in blocks_on_record(database)] == [4, 2, 5, 1, 8, 1]
    found = [each.number for each in files_on_record(database, EXECUTION)]
    assert found == [*range(PLACES_PER_WORK, PLACES_PER_WORK + 20), 2 * PLACES_PER_WORK]


def test_many_records_of_one_reply_are_several_blocks(database: Database) -> None:
    put(database, 1, [record(place) for place in range(MANY)])
    assert [files for _, files in blocks_on_record(database)] == [
        BLOCK_FILES_MAXIMUM,
        BLOCK_FILES_MAXIMUM,
        300,
    ]


def test_a_block_is_never_written_twice(database: Database) -> None:
    put(database, 1, [record(0), record(1)])
    with pytest.raises(IntegrityError):
        put(database, 1, [record(0)])


@pytest.mark.parametrize(
    "ids",
    [
        [None],
        [None, None],
        [5],
        [5, 6, 7],
        [None, 5, 6, None, None, 3, 2, 1],
        [1, 2, 3, None],
        [7, 9, 9, 8, 10],
        [1, 5, 3],
    ],
)
def test_ids_of_files_come_back_as_they_were(ids: list[int | None]) -> None:
    block = Block(1, len(ids), Format.RECORDS, None, pack_ids(ids), b"")
    assert file_ids_of(block) == ids


def test_ids_of_new_files_take_no_room() -> None:
    packed = pack_ids(list(range(10**12, 10**12 + 1000)))
    assert packed is not None
    assert len(packed) < 16


FIRST_VERSION = bytes.fromhex(
    "919e0701c403612f629ec4026eff0105cd81a401020304060b02c402746f0c0d07c40174c40178c4"
    "016394a774696d656f7574a87472616e7366657202a3776879080409c4016c01"
)
"""These bytes are on the disks of users: whoever changes a record appends to it."""


def test_blocks_of_the_first_version_are_readable_for_ever() -> None:
    found = records_of(Block(7, 1, 1, None, None, FIRST_VERSION))
    entry = Entry(b"n\xff", EntryKind.FILE, 5, 0o100644, 1, 2, 3, 4, 6, 11, 2, b"to", 12, 13)
    why = FileFailure(ErrorKind.TIMEOUT, Stage.TRANSFER, Side.DESTINATION, "why")
    first = Record(7, 1, b"a/b", entry, Outcome.FAILED, b"t", b"x", b"c", why, 8, 4, 9, b"l", 1)
    assert list(found) == [first]


# -------------------------------------------------------------------------------- reading


OUTCOMES = [Outcome.COPIED, Outcome.FAILED, Outcome.COPIED, Outcome.REFUSED, Outcome.IDENTICAL]


@pytest.fixture
def filled(database: Database) -> list[Record]:
    """Records of two work items, in several blocks of every size; their numbers are in order."""
    records = [
        record(place, b"d%d/f%05d" % (place // 100, place), outcome=OUTCOMES[place % 5])
        for place in range(MANY)
    ]
    kept = [each for each in records if each.place not in {7, 9, BLOCK_FILES_MAXIMUM}]
    put(database, 1, kept)
    put(database, 2, kept)
    return kept * 2


@pytest.mark.parametrize("outcomes", [None, {Outcome.FAILED}, {Outcome.REFUSED, Outcome.COPIED}])
@pytest.mark.parametrize("limit", [1000, 1700, 10_000])
def test_pages_have_every_file_once(
    database: Database, filled: list[Record], limit: int, outcomes: set[Outcome] | None
) -> None:
    wanted = [each for each in filled if outcomes is None or each.outcome in outcomes]
    found: list[Record] = []
    number = -1
    with reading(database.journal) as connection:
        while page := recorded_files.files_after(
            connection, EXECUTION, number, limit=limit, outcomes=outcomes
        ):
            found += [each.record for each in page]
            number = page[-1].number
            assert len(page) == limit or len(found) == len(wanted)
        assert found == wanted
        assert recorded_files.count(connection, EXECUTION, outcomes) == len(wanted)


@pytest.mark.parametrize("outcomes", [None, {Outcome.FAILED}, {Outcome.REFUSED, Outcome.COPIED}])
def test_the_header_tables_know_where_an_offset_is(
    database: Database, filled: list[Record], outcomes: set[Outcome] | None
) -> None:
    wanted = [each for each in filled if outcomes is None or each.outcome in outcomes]
    offsets = {0, 1, 6, 7, 8, 500, 999, 1000, 1001, len(wanted) // 2, len(wanted) - 1}
    with reading(database.journal) as connection:
        for offset in offsets & set(range(len(wanted))):
            behind, skip = recorded_files.place_of(connection, EXECUTION, offset, outcomes)
            blocks = recorded_files.next_blocks(
                connection, EXECUTION, behind, outcomes=outcomes, files=skip + 1
            )
            files = [file for block in blocks for file in recorded_files.files_of(block, outcomes)]
            assert files[skip].record == wanted[offset]


def test_blocks_are_found_by_a_folder_and_a_name(database: Database, filled: list[Record]) -> None:
    with reading(database.journal) as connection:
        for place, wanted in (
            (Place(b"d3", b"f00350", b"f00350"), {b"d3/f00350"}),
            (Place(b"d3"), {each for each in map(_path, filled) if each.startswith(b"d3/")}),
        ):
            blocks = recorded_files.next_blocks(connection, EXECUTION, -1, places=[place])
            assert [block.files for block in blocks] == [990, 990]
            found = {_path(each) for block in blocks for each in records_of(block)}
            assert wanted <= found
        for place in (Place(b"d3", b"x", b"x"), Place(b"nowhere")):
            assert recorded_files.next_blocks(connection, EXECUTION, -1, places=[place]) == []
        assert recorded_files.next_blocks(connection, EXECUTION, -1, places=[]) == []


def _path(each: Record) -> bytes:
    return each.folder + b"/" + each.entry.name


def test_blocks_are_found_by_indexes(database: Database, filled: list[Record]) -> None:
    base = f"FROM record_outcomes WHERE execution_id = {EXECUTION} AND outcome = 0"
    inside = f"SELECT first_number FROM record_folders WHERE execution_id = {EXECUTION}"
    queries = [
        f"SELECT first_number, files {base} AND first_number > 5 ORDER BY first_number LIMIT 9",
        f"SELECT max(first_number) {base} AND first_number <= 5",
        f"SELECT files {base} AND first_number IN ({inside} AND folder_key = 5)",
    ]
    with writing(database.journal) as connection:
        connection.execute(text("ANALYZE"))
        for query in queries:
            if database.is_sqlite:
                plan = str(connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).all())
                assert "PRIMARY KEY" in plan, plan
                assert "SCAN record" not in plan, plan
            else:
                # The planner may prefer another way over so few rows; it has to be able to.
                connection.execute(text("SET LOCAL enable_seqscan = off"))
                plan = str(connection.execute(text(f"EXPLAIN {query}")).all())
                assert "pk_record_outcomes" in plan, plan


# ----------------------------------------------------------------------------- migration


def old_row(number: int, **more: object) -> dict[str, object]:
    row = {
        "execution_id": EXECUTION, "number": number, "file_id": None, "path": b"d/%d" % number,
        "kind": 1, "size": number, "mtime_ns": number, "outcome": 1, "target_path": None,
        "checksum_kind": None, "checksum": None, "xxh3_128": None, "error_kind": None,
        "error_stage": None, "error_side": None, "error_text": None, "callback_id": None,
        "attempts": 1, "finished_ns": 5, "source": None,
    }  # fmt: skip
    return row | more


OLD_FILES = sa.table("execution_files", *map(sa.column, old_row(0)))


def old_rows() -> list[dict[str, object]]:
    node = {
        "file_id": 70, "path": b"top", "outcome": 4, "target_path": b"t/top", "xxh3_128": b"x" * 16,
        "checksum_kind": "md5", "checksum": b"m", "source": 2,
    }  # fmt: skip
    failed = {
        "outcome": 7, "path": b"a/b/\xff", "error_kind": "timeout", "error_stage": "transfer",
        "error_side": 2, "error_text": "why", "callback_id": 9, "attempts": 4,
    }  # fmt: skip
    last = PLACES_PER_WORK - 1
    return [
        old_row(last - 1, **node),
        old_row(last, **failed),
        *(old_row(last + 1 + place, file_id=100 + place) for place in range(2500)),
        old_row(9 * PLACES_PER_WORK, checksum_kind="md5", checksum=b"m"),
        old_row(9 * PLACES_PER_WORK + 1, checksum_kind="sha256", checksum=b"s"),
        old_row(9 * PLACES_PER_WORK + 3),
        old_row(5, execution_id=EXECUTION + 1, kind=2, path=b""),
    ]


def test_rows_of_an_earlier_schema_become_blocks(empty_database: Database) -> None:
    rows = old_rows()
    node = {
        "id": 70, "root_id": 1, "parent_id": 1, "name": b"top", "kind": 3, "size": 0,
        "mode": 0o120777, "uid": 1, "gid": 2, "mtime_ns": 3, "atime_ns": 4, "ctime_ns": 5,
        "state": 1, "link_target": b"to",
    }  # fmt: skip
    with writing(empty_database.journal) as connection:
        migrations.upgrade("journal", None, connection, to="0004")
        connection.execute(insert(OLD_FILES), rows)
        connection.execute(insert(nodes), [node])
    migrations.migrate(empty_database)
    found = files_on_record(empty_database, EXECUTION)
    wanted = [row for row in rows if row["execution_id"] == EXECUTION]
    assert [each.number for each in found] == [row["number"] for row in wanted]
    for file, row in zip(found, wanted, strict=True):
        kept, why = file.record, file.record.failure
        assert row == {
            "execution_id": EXECUTION, "number": file.number, "file_id": file.file_id,
            "path": path_of(file), "kind": kept.entry.kind, "size": kept.entry.size,
            "mtime_ns": kept.entry.mtime_ns, "outcome": kept.outcome,
            "target_path": kept.target_path or None, "checksum_kind": file.checksum_kind,
            "checksum": kept.checksum or None, "xxh3_128": kept.xxh3_128 or None,
            "error_kind": why and why.kind, "error_stage": why and why.stage,
            "error_side": why and why.side, "error_text": why and why.text,
            "callback_id": kept.callback_id or None, "attempts": kept.attempts,
            "finished_ns": kept.finished_ns,
            "source": None if kept.source == UNKNOWN_SOURCE else kept.source,
        }  # fmt: skip
    top, failed = (each.record.entry for each in found[:2])
    assert (top.mode, top.uid, top.gid, top.atime_ns, top.ctime_ns) == (0o120777, 1, 2, 4, 5)
    assert top.link_target == b"to"
    assert failed.mode == 0
    assert [files for _, files in blocks_on_record(empty_database)] == [
        1, 2, 1000, 1000, 500, 1, 1, 1,
    ]  # fmt: skip
    check_headers(empty_database)


def check_headers(database: Database) -> None:
    """The header tables say what the blocks hold."""
    with reading(database.journal) as connection:
        for outcome in (None, *Outcome):
            chosen = None if outcome is None else {outcome}
            files = files_on_record(database, EXECUTION)
            count = sum(outcome in {None, each.record.outcome} for each in files)
            assert recorded_files.count(connection, EXECUTION, chosen) == count
        for path in (b"top", b"a/b/\xff"):
            folder, _, name = path.rpartition(b"/")
            place = Place(folder, name, name)
            blocks = recorded_files.next_blocks(connection, EXECUTION, -1, places=[place])
            assert len(blocks) == 1
