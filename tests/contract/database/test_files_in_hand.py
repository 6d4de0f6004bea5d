"""Files are taken in hand once, on both databases."""

from __future__ import annotations

from longshore.database import files_in_hand
from longshore.database.connection import Database, reading, writing
from longshore.database.files_in_hand import PAGE_IDS, PAGES_AT_ONCE, ids_of_page, page_of

EXECUTION = 1_700_000_000_000_000_002
OTHER = EXECUTION + 1


def take(
    database: Database, file_ids: list[int], execution: int = EXECUTION, at: int = 0
) -> set[int]:
    with writing(database.journal) as connection:
        return files_in_hand.take(connection, execution, at, file_ids)


def in_hand(database: Database, page: int, execution: int = EXECUTION, at: int = 0) -> set[int]:
    with reading(database.journal) as connection:
        return files_in_hand.in_hand(connection, execution, at, page)


def test_a_file_is_taken_once(database: Database) -> None:
    ids = [1, PAGE_IDS - 1, PAGE_IDS, 7 * PAGE_IDS + 3]
    assert take(database, ids) == set(ids)
    assert take(database, [*ids, 2]) == {2}
    assert take(database, []) == set()
    assert in_hand(database, 0) == {1, 2, PAGE_IDS - 1}
    assert in_hand(database, 1) == {PAGE_IDS}
    assert in_hand(database, 2) == set()


def test_executions_and_destinations_have_hands_of_their_own(database: Database) -> None:
    assert take(database, [5], OTHER) == {5}
    assert take(database, [5], OTHER, at=1) == {5}
    assert take(database, [5], OTHER, at=1) == set()
    with writing(database.journal) as connection:
        files_in_hand.forget(connection, OTHER)
    assert in_hand(database, 0, OTHER) == in_hand(database, 0, OTHER, at=1) == set()
    assert take(database, [5], OTHER) == {5}


def test_more_pages_than_one_statement_asks_for_are_taken(database: Database) -> None:
    ids = [number * PAGE_IDS for number in range(PAGES_AT_ONCE * 2 + 1)]
    assert take(database, ids, EXECUTION + 2) == set(ids)
    assert take(database, ids, EXECUTION + 2) == set()


def test_every_id_stands_on_its_page() -> None:
    for file_id in (0, 1, PAGE_IDS - 1, PAGE_IDS, 10**12):
        first, last = ids_of_page(page_of(file_id))
        assert first <= file_id <= last
        assert last - first == PAGE_IDS - 1
