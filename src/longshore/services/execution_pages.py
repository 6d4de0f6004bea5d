"""Pages of what became of an execution's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Engine

from longshore.database import nodes, recorded_files
from longshore.database.connection import looking, reading
from longshore.database.execution_files import Search, matching
from longshore.database.query import Page
from longshore.database.recorded_files import FILES_AT_ONCE, RecordedFile
from longshore.services.listing import ROWS_AT_ONCE, Listing

SHOWN_AT_ONCE = 500  # files whose nodes are looked up together


@dataclass(frozen=True, slots=True)
class ExecutionFile:
    """A file of an execution, and where the catalogue has it."""

    recorded: RecordedFile
    parent_id: int | None
    root_id: int | None


def page_of(engine: Engine, wanted: Search, page: Page) -> Listing:
    """The page of the wanted files, in the order of their numbers."""
    if wanted.is_counted:
        return _counted(engine, wanted, page)
    return _looked_through(engine, wanted, page)


def shown(engine: Engine, files: Iterator[RecordedFile]) -> Iterator[ExecutionFile]:
    """The files with their positions in the catalogue, looked up as they are taken."""
    while some := list(islice(files, SHOWN_AT_ONCE)):
        with looking(engine) as connection:
            ids = {each.file_id for each in some if each.file_id is not None}
            known = nodes.positions(connection, sorted(ids))
        for each in some:
            yield ExecutionFile(each, *known.get(each.file_id or 0, (None, None)))


def _counted(engine: Engine, wanted: Search, page: Page) -> Listing:
    """The page where the number of files in each block is on record."""
    key, outcomes = wanted.execution_id, wanted.outcomes
    with reading(engine) as connection:
        total = recorded_files.count(connection, key, outcomes)
        if page.limit == 0 or page.offset >= total:
            return Listing(total, iter(()))
        start = recorded_files.place_of(connection, key, page.offset, outcomes)
    return Listing(total, _rows(engine, wanted, page, start))


def _looked_through(engine: Engine, wanted: Search, page: Page) -> Listing:
    """The page where all blocks have to be looked into: they are, once for a short page."""
    at_hand = page.limit is not None and page.limit <= ROWS_AT_ONCE
    end = page.offset + (page.limit or 0) if at_hand else 0
    kept: list[RecordedFile] = []
    start: tuple[int, int] | None = None
    total = 0
    for first_number, files in matching(engine, wanted):
        if start is None and total + len(files) > page.offset:
            start = (first_number - 1, page.offset - total)
        kept += files[max(0, page.offset - total) : max(0, end - total)]
        total += len(files)
    if at_hand or start is None:
        return Listing(total, shown(engine, iter(kept)))
    return Listing(total, _rows(engine, wanted, page, start))


def _rows(
    engine: Engine, wanted: Search, page: Page, start: tuple[int, int]
) -> Iterator[ExecutionFile]:
    """The rows of the page, read as they are taken."""
    behind, skip = start
    most = FILES_AT_ONCE if page.limit is None else min(FILES_AT_ONCE, skip + page.limit)
    found = _flat(matching(engine, wanted, behind, files=most))
    return shown(engine, islice(found, skip, None if page.limit is None else skip + page.limit))


def _flat(found: Iterator[tuple[int, Sequence[RecordedFile]]]) -> Iterator[RecordedFile]:
    for _, files in found:
        yield from files
