"""Journal, leases, identifiers and catalogue: what the engine relies on, on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from longshore.database import (
    bulk,
    catalogue,
    copy_rows,
    identifiers,
    journal,
    known_copies,
    leases,
    node_rows,
)
from longshore.database.connection import Database, reading, writing
from longshore.database.journal import Counters, NewWork, WorkState
from longshore.database.leases import LeaseLost
from longshore.database.node_rows import Siblings
from longshore.database.path_keys import path_key
from longshore.database.tables.catalogue import copies, nodes
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.storage import StorageKind, StorageReference

EXECUTION = 1_700_000_000_000_000_001
STORAGE = StorageReference(StorageKind.NAS_SHARE, 3)


def new_work(kind: int = 1, state: WorkState = WorkState.READY) -> NewWork:
    return NewWork(kind=kind, files=1, size=10, payload=b"\x00\xff", state=state)


def entry(name: bytes, size: int = 1) -> Entry:
    return Entry(name, EntryKind.FILE, size, 0o100644, 0, 0, 5, 6, 7)


# -------------------------------------------------------------------------------- journal


def test_work_leaves_the_journal_once(database: Database) -> None:
    with writing(database.journal) as connection:
        (item,) = journal.add_work(connection, EXECUTION, [new_work()])
    with writing(database.journal) as connection:
        assert journal.remove_work(connection, item.id)
    with writing(database.journal) as connection:
        assert not journal.remove_work(connection, item.id)
        assert not journal.replace_work(connection, item)


def test_work_of_a_transaction_that_fails_was_never_there(database: Database) -> None:
    def fail() -> None:
        with writing(database.journal) as connection:
            journal.add_work(connection, EXECUTION, [new_work()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with reading(database.journal) as connection:
        assert journal.executions_with_work(connection) == []


def test_ids_of_work_are_never_used_again(database: Database) -> None:
    with writing(database.journal) as connection:
        first = journal.add_work(connection, EXECUTION, [new_work(), new_work()])
        for item in first:
            journal.remove_work(connection, item.id)
        second = journal.add_work(connection, EXECUTION, [new_work()])
    assert second[0].id > max(item.id for item in first)


def test_ready_work_comes_oldest_first_without_what_is_known(database: Database) -> None:
    with writing(database.journal) as connection:
        added = journal.add_work(connection, EXECUTION, [new_work() for _ in range(5)])
        journal.add_work(connection, EXECUTION, [new_work(kind=2), new_work(state=WorkState.HELD)])
        journal.add_work(connection, EXECUTION + 1, [new_work()])
        known = [added[0].id, added[2].id]
        found = journal.ready_work(connection, EXECUTION, 1, limit=2, without=known)
    assert found == [added[1], added[3]]


def test_held_work_is_counted_apart_and_released(database: Database) -> None:
    with writing(database.journal) as connection:
        journal.add_work(connection, EXECUTION, [new_work(), new_work(3, WorkState.HELD)])
        counts = journal.work_counts(connection, EXECUTION)
        assert counts == {(1, WorkState.READY): 1, (3, WorkState.HELD): 1}
        assert journal.release_held(connection, EXECUTION, 3) == 1
        counts = journal.work_counts(connection, EXECUTION)
    assert counts == {(1, WorkState.READY): 1, (3, WorkState.READY): 1}


def test_work_is_replaced_as_a_whole(database: Database) -> None:
    with writing(database.journal) as connection:
        (item,) = journal.add_work(connection, EXECUTION, [new_work()])
        changed = replace(item, attempts=2, files=7, size=8, payload=b"rest")
        assert journal.replace_work(connection, changed)
        assert journal.ready_work(connection, EXECUTION, 1, limit=9, without=[]) == [changed]


def test_counters_begin_once_and_add_up(database: Database) -> None:
    with writing(database.journal) as connection:
        assert journal.start_counting(connection, EXECUTION)
        journal.count(connection, EXECUTION, Counters(processed_files=2, processed_size=1 << 40))
        journal.count(connection, EXECUTION, Counters(processed_files=1, to_process_size=-5))
        assert not journal.start_counting(connection, EXECUTION)
        sums = journal.read_counters(connection, EXECUTION)
    assert sums == Counters(processed_files=3, processed_size=1 << 40, to_process_size=-5)


# --------------------------------------------------------------------------------- leases


def test_lease_has_one_holder_and_a_new_epoch_for_each(database: Database) -> None:
    with writing(database.journal) as connection:
        first = leases.take(connection, "a:1:1", 10.0)
    with writing(database.journal) as connection:
        second = leases.take(connection, "b:2:2", 20.0)
    assert second.epoch == first.epoch + 1
    with pytest.raises(LeaseLost), writing(database.journal) as connection:
        leases.confirm(connection, first, 99.0)
    with writing(database.journal) as connection:
        leases.confirm(connection, second, 30.0)
        assert leases.read(connection) == replace(second, expires_at=30.0)


def test_what_a_controller_without_lease_has_written_is_rolled_back(database: Database) -> None:
    with writing(database.journal) as connection:
        old = leases.take(connection, "a:1:1", 10.0)
        leases.take(connection, "b:2:2", 20.0)

    def write() -> None:
        with writing(database.journal) as connection:
            journal.add_work(connection, EXECUTION, [new_work()])
            leases.confirm(connection, old, 99.0)

    with pytest.raises(LeaseLost):
        write()
    with reading(database.journal) as connection:
        assert journal.executions_with_work(connection) == []


# ---------------------------------------------------------------------------- identifiers


def test_ranges_of_ids_never_overlap_whoever_asks(database: Database) -> None:
    taken: list[range] = []
    with writing(database.journal) as connection:
        identifiers.reserve(connection, "test", 1)

    def reserve() -> None:
        for count in range(1, 20):
            with writing(database.journal) as connection:
                first = identifiers.reserve(connection, "test", count)
            taken.append(range(first, first + count))

    threads = [threading.Thread(target=reserve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [number for each in taken for number in each]
    assert len(numbers) == len(set(numbers)) == 3 * sum(range(1, 20))


# ------------------------------------------------------------------------------ catalogue


def copy_row(file_id: int, **values: object) -> dict[str, object]:
    path = b"there/\xff"
    return {
        "file_id": file_id,
        "storage_kind": STORAGE.kind.value,
        "storage_id": STORAGE.id,
        "path": path,
        "path_key": path_key(path),
        "size": 1,
        "mtime_ns": 5,
        "checksum_kind": None,
        "checksum": None,
        "xxh3_128": b"x" * 16,
        "live": True,
        "execution_id": EXECUTION,
        "written_ns": 8,
        **values,
    }


def test_files_that_are_put_twice_are_there_once_as_they_are_now(database: Database) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        first = catalogue.put(connection, root, root, [entry(b"a"), entry(b"b")])
        second = catalogue.put(connection, root, root, [entry(b"a", 9), entry(b"c")])
        sizes = dict(
            connection.execute(
                select(nodes.c.name, nodes.c.size).where(nodes.c.parent_id == root)
            ).all()
        )
    assert second[b"a"] == first[b"a"]
    assert {bytes(name): size for name, size in sizes.items()} == {b"a": 9, b"b": 1, b"c": 1}


def test_copies_that_are_recorded_twice_are_there_once(database: Database) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        file_id = catalogue.put(connection, root, root, [entry(b"a")])[b"a"]
        for _ in range(2):
            copy_rows.put_copies(connection, [copy_row(file_id)])
            copy_rows.put_found_copies(connection, [copy_row(file_id, xxh3_128=None)])
        assert connection.execute(select(func.count()).select_from(copies)).scalar_one() == 1
        assert bytes(connection.execute(select(copies.c.xxh3_128)).scalar_one()) == b"x" * 16
        assert known_copies.files_at(connection, STORAGE, [b"there/\xff"]) == {
            b"there/\xff": file_id
        }


def test_of_copies_at_one_place_that_are_put_together_the_last_one_counts(
    database: Database,
) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        file_id = catalogue.put(connection, root, root, [entry(b"a")])[b"a"]
        copy_rows.put_copies(connection, [copy_row(file_id), copy_row(file_id, size=7)])
        assert connection.execute(select(copies.c.size)).scalars().all() == [7]


def test_copy_that_is_found_in_another_state_has_the_checksum_that_was_found_if_any(
    database: Database,
) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        file_id = catalogue.put(connection, root, root, [entry(b"a")])[b"a"]
        copy_rows.put_copies(connection, [copy_row(file_id, live=False)])
        copy_rows.put_found_copies(connection, [copy_row(file_id, xxh3_128=None)])
        found = select(copies.c.live, copies.c.xxh3_128)
        assert connection.execute(found).one() == (True, b"x" * 16)
        copy_rows.put_found_copies(connection, [copy_row(file_id, mtime_ns=6, xxh3_128=None)])
        assert connection.execute(found).one() == (True, None)
        copy_rows.put_found_copies(connection, [copy_row(file_id, mtime_ns=7)])
        assert connection.execute(found).one() == (True, b"x" * 16)


def test_nodes_of_many_folders_are_put_at_once(database: Database) -> None:
    number = bulk.GIVEN_ROWS_MAXIMUM + 10
    names = [b"folder%04d" % each for each in range(number)]
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        above = node_rows.folders(connection, [root] * number, [(root, name) for name in names])
        groups = [Siblings(root, folder, [entry(b"b"), entry(b"a")]) for folder in above]
        first = node_rows.put_all(connection, groups)
        again = node_rows.folders(connection, [root] * number, [(root, name) for name in names])
        changed = [Siblings(root, folder, [entry(b"a", 9), entry(b"c")]) for folder in above]
        second = node_rows.put_all(connection, changed)
        sizes = connection.execute(
            select(nodes.c.name, func.count()).where(nodes.c.size == 9).group_by(nodes.c.name)
        ).all()
    assert again == above
    assert len({node_id for ids in first for node_id in ids}) == 2 * number
    assert [ids[0] for ids in second] == [ids[1] for ids in first]
    assert [(bytes(name), count) for name, count in sizes] == [(b"a", number)]


@pytest.mark.parametrize("number", [1, 26, 126, 237])
@pytest.mark.parametrize("are_even", [True, False], ids=["narrow rows", "wide rows"])
def test_batches_of_any_size_are_written_in_their_order(
    database: Database, number: int, are_even: bool
) -> None:
    """SQLite gets them in statements of several sizes, fewer rows where there are more columns."""
    entries = [
        Entry(b"f%04d" % each, EntryKind.FILE, each, 0o100644, 0 if are_even else each, 0, 1, 1, 1)
        for each in range(number)
    ]
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        (ids,) = node_rows.put_all(connection, [Siblings(root, root, entries)])
        query = select(nodes.c.id, nodes.c.name, nodes.c.size, nodes.c.uid)
        rows = connection.execute(query.where(nodes.c.parent_id == root).order_by(nodes.c.id))
        found = [(row.id, bytes(row.name), row.size, row.uid) for row in rows]
    assert found == [
        (node_id, entry.name, entry.size, entry.uid)
        for node_id, entry in zip(ids, entries, strict=True)
    ]


def test_of_entries_with_one_name_the_last_one_counts(database: Database) -> None:
    """In one group or in several of one folder, whether the catalogue knows the name or not."""
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        for size in (5, 7):
            twice = Siblings(root, root, [entry(b"a", 1), entry(b"b"), entry(b"a", size)])
            once = Siblings(root, root, [entry(b"b", 6), entry(b"c", size)])
            ids = node_rows.put_all(connection, [twice, once, Siblings(root, root, [])])
            assert ids[0][0] == ids[0][2]
            assert ids[0][1] == ids[1][0]
            query = select(nodes.c.id, nodes.c.size).where(nodes.c.parent_id == root)
            sizes = {row.id: row.size for row in connection.execute(query)}
            assert sizes == {ids[0][0]: size, ids[0][1]: 6, ids[1][1]: size}


def test_a_large_batch_of_even_values_is_written_as_it_is(database: Database) -> None:
    number = bulk.EVEN_ROWS_MINIMUM + 1
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        even = [entry(b"even%04d" % each) for each in range(number)]
        odd = [entry(b"odd%04d" % each) for each in range(number)]
        odd[7] = Entry(b"odd0007", EntryKind.SYMLINK, 3, 0o120777, 9, 8, 5, 6, 7)
        put = catalogue.put(connection, root, root, even) | catalogue.put(
            connection, root, root, odd
        )
        columns = (nodes.c.name, nodes.c.kind, nodes.c.mode, nodes.c.uid, nodes.c.gid)
        rows = connection.execute(select(*columns).where(nodes.c.parent_id == root)).all()
    assert len(put) == len(rows) == 2 * number
    for name, *values in rows:
        usual = [1, 0o100644, 0, 0]
        assert values == ([3, 0o120777, 9, 8] if bytes(name) == b"odd0007" else usual)


def test_copy_that_another_file_has_overwritten_is_dead(database: Database) -> None:
    with writing(database.journal) as connection:
        root = catalogue.create_root(connection, "root")
        ids = catalogue.put(connection, root, root, [entry(b"a"), entry(b"b")])
        copy_rows.put_copies(connection, [copy_row(ids[b"a"])])
        copy_rows.end_other_copies(connection, STORAGE, b"there/\xff", ids[b"b"])
        copy_rows.put_copies(connection, [copy_row(ids[b"b"])])
        found = known_copies.files_at(connection, STORAGE, [b"there/\xff"])
    assert found == {b"there/\xff": ids[b"b"]}
