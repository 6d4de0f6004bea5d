"""Which files an execution has taken in hand, so that each is worked on once.

A page is a row with one bit for each of a thousand ids that follow each other, so that a million
files are a thousand rows, and to forget them costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection, delete, select

from longshore.database import bulk
from longshore.database.tables.catalogue import files_in_hand

PAGE_IDS = 1024  # ids of a page: 128 bytes, and few enough to look at in one step
PAGES_AT_ONCE = 200  # pages asked for in one statement; each is a parameter

_COLUMNS = files_in_hand.c
_WRITE_OVER = "ON CONFLICT (execution_id, destination, page) DO UPDATE SET bits = excluded.bits"


def page_of(file_id: int) -> int:
    """The page that the id stands on."""
    return file_id // PAGE_IDS


def ids_of_page(page: int) -> tuple[int, int]:
    """The first and the last id of the page."""
    return page * PAGE_IDS, (page + 1) * PAGE_IDS - 1


def take(
    connection: Connection, execution_id: int, destination: int, file_ids: Iterable[int]
) -> set[int]:
    """Take files in hand, for one of the destinations; those that were not in hand before."""
    wanted: dict[int, int] = {}
    for file_id in file_ids:
        page, place = divmod(file_id, PAGE_IDS)
        wanted[page] = wanted.get(page, 0) | 1 << place
    if not wanted:
        return set()
    known = _read(connection, execution_id, destination, wanted)
    changed = {page: bits & ~known.get(page, 0) for page, bits in wanted.items()}
    changed = {page: bits for page, bits in changed.items() if bits}
    if changed:
        _write(
            connection,
            execution_id,
            destination,
            {page: bits | known.get(page, 0) for page, bits in changed.items()},
        )
    return {file_id for page, bits in changed.items() for file_id in _ids(page, bits)}


def in_hand(connection: Connection, execution_id: int, destination: int, page: int) -> set[int]:
    """The files of the page that were taken in hand."""
    bits = _read(connection, execution_id, destination, [page]).get(page, 0)
    return set(_ids(page, bits))


def forget(connection: Connection, execution_id: int) -> None:
    """The execution is over."""
    connection.execute(delete(files_in_hand).where(_COLUMNS.execution_id == execution_id))


# ------------------------------------------------------------------------------- inside


def _read(
    connection: Connection, execution_id: int, destination: int, pages: Iterable[int]
) -> dict[int, int]:
    wanted, found = list(pages), {}
    for start in range(0, len(wanted), PAGES_AT_ONCE):
        query = select(_COLUMNS.page, _COLUMNS.bits).where(
            _COLUMNS.execution_id == execution_id,
            _COLUMNS.destination == destination,
            _COLUMNS.page.in_(wanted[start : start + PAGES_AT_ONCE]),
        )
        for page, bits in connection.execute(query):
            found[page] = int.from_bytes(bits, "little")
    return found


def _write(
    connection: Connection, execution_id: int, destination: int, bits_of: Mapping[int, int]
) -> None:
    columns: dict[str, Sequence[object]] = {
        "page": list(bits_of),
        "bits": [bits.to_bytes(PAGE_IDS // 8, "little") for bits in bits_of.values()],
    }
    fixed = {"execution_id": execution_id, "destination": destination}
    bulk.insert(connection, files_in_hand, columns, fixed=fixed, conflict=_WRITE_OVER)


def _ids(page: int, bits: int) -> Iterator[int]:
    first = page * PAGE_IDS
    while bits:
        lowest = bits & -bits
        yield first + lowest.bit_length() - 1
        bits ^= lowest
