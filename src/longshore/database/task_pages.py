"""Pages of tasks out of very many: which indexes find them, and how they are counted.

A page has a shape: its filters, order and limits without their values. Requests of the same shape
share their statements, which are made once: making one takes longer than carrying it out.

    shape ──> the statement that counts ──> matches ──> a way to find them ──> the statement for it
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import lru_cache
from threading import Lock
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, func, select

from longshore.database.filters import Filter, Shape, named_values, read_filters, shaped_conditions
from longshore.database.pages import LIMIT, OFFSET, Found, windowed
from longshore.database.query import Filterable, Filterables, Page, Sort, computed, order, unindexed
from longshore.database.tables.tasks import task_counts, tasks
from longshore.database.task_counts import DIMENSIONS
from longshore.database.tasks import COLUMNS, FILTERABLES, SORTABLES

SHAPES_MAXIMUM = 500  # whose statements are kept, some 50 KB each; more than consoles ask for
PARTS_KEPT_MAXIMUM = 20  # filters and keys of an order; statements with more of them are not kept

PAGE_ASSUMED = 1_000_000  # rows of a listing without limit
IDS_FIRST_MAXIMUM = 1_000  # rows of a page that is found by its ids
SKIPPED_MAXIMUM = 100  # rows before a page that are read for nothing; of more only the ids

TOTAL_SECONDS = 30.0  # a number of tasks only decides how they are looked for; it may be old
TOTALS_MAXIMUM = 1_000  # users whose number of tasks is remembered; the oldest goes first

_COUNTED: Filterables = {
    name: replace(filterable, expression=task_counts.c[name])
    for name, filterable in FILTERABLES.items()
    if name in DIMENSIONS and isinstance(filterable, Filterable)
}
_UNINDEXED = unindexed(FILTERABLES)
_RANGES_FIRST = unindexed(FILTERABLES, DIMENSIONS)
"""Where a date, size or name is filtered by, its index leaves fewer rows than a status does."""

_UNSORTED = computed(SORTABLES)
_OWNER = "owner"


class Way(Enum):
    """How the rows of a page are found.

    Along the order, a page is full after about limit * tasks / matches rows; by the filters, all
    matches are looked at. Ids come first where many rows are looked at for few: indexes alone may
    do for them.
    """

    ALONG_ORDER = auto()
    ALONG_ORDER_IDS_FIRST = auto()
    BY_FILTERS = auto()
    BY_FILTERS_IDS_FIRST = auto()


_ALONG_ORDER = frozenset({Way.ALONG_ORDER, Way.ALONG_ORDER_IDS_FIRST})
_IDS_FIRST = frozenset({Way.ALONG_ORDER_IDS_FIRST, Way.BY_FILTERS_IDS_FIRST})


@dataclass(frozen=True, slots=True)
class PageShape:
    """All of a page that makes a difference to its statements."""

    of_everybody: bool
    filters: tuple[Shape, ...]
    sort: tuple[Sort, ...]
    has_limit: bool
    has_offset: bool

    @property
    def is_kept(self) -> bool:
        """Whether its statements are small enough to be kept."""
        return len(self.filters) + len(self.sort) <= PARTS_KEPT_MAXIMUM

    @property
    def is_counted(self) -> bool:
        """Whether the kept numbers of tasks say how many match."""
        return all(each.name in _COUNTED for each in self.filters)


class Totals:
    """How many tasks each user had a moment ago. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[int | None, tuple[int, float]] = OrderedDict()
        self._lock = Lock()

    def of(self, owner_id: int | None, now: float, count: Callable[[], int]) -> int:
        """The user's number of tasks (None = everybody's), counted where it is not known."""
        with self._lock:
            number, until = self._known.get(owner_id, (0, now))
        if now < until:
            return number
        number = count()
        with self._lock:
            self._known[owner_id] = number, now + TOTAL_SECONDS
            self._known.move_to_end(owner_id)
            if len(self._known) > TOTALS_MAXIMUM:
                self._known.popitem(last=False)
        return number


class TaskPage:
    """One page of the tasks of a user, or of everybody (None).

    `total` tells about how many tasks there are, whatever the filters.
    """

    def __init__(
        self, owner_id: int | None, page: Page, total: Callable[[Connection], int]
    ) -> None:
        filters = read_filters(FILTERABLES, page.filters)
        self._page = page
        self._total = total
        self._shape = _shape(owner_id is None, filters, page)
        self._values = {_OWNER: owner_id, **named_values(filters)}

    def count(self, connection: Connection) -> int:
        """How many tasks match."""
        return int(connection.execute(_made(_counting, self._shape), self._values).scalar_one())

    def rows(self, connection: Connection, matches: int) -> Found:
        """What finds the rows of the page, of which `count` found so many without its limits."""
        statement = _made(_finding, self._shape, self._way(connection, matches))
        limits = {LIMIT: self._page.limit, OFFSET: self._page.offset}
        return Found(statement, self._values | limits)

    def _way(self, connection: Connection, matches: int) -> Way:
        page = self._page
        reads_ids_well = page.limit is not None and page.limit <= IDS_FIRST_MAXIMUM
        wanted = page.offset + (PAGE_ASSUMED if page.limit is None else page.limit)
        if not self._shape.filters or matches * matches > wanted * self._total(connection):
            skips_far = reads_ids_well and page.offset > SKIPPED_MAXIMUM
            return Way.ALONG_ORDER_IDS_FIRST if skips_far else Way.ALONG_ORDER
        return Way.BY_FILTERS_IDS_FIRST if reads_ids_well else Way.BY_FILTERS


def number_of(connection: Connection, owner_id: int | None) -> int:
    """How many tasks the user has; None = everybody."""
    everything = PageShape(owner_id is None, (), (), False, False)
    return int(connection.execute(_counting(everything), {_OWNER: owner_id}).scalar_one())


def _shape(of_everybody: bool, filters: tuple[Filter, ...], page: Page) -> PageShape:
    return PageShape(
        of_everybody,
        tuple(each.shape for each in filters),
        page.sort,
        has_limit=page.limit is not None,
        has_offset=page.offset > 0,
    )


def _made(maker: Any, shape: PageShape, *more: Way) -> Select[Any]:
    """The statement of a shape, kept from the last time where it may be."""
    statement: Select[Any] = (maker if shape.is_kept else maker.__wrapped__)(shape, *more)
    return statement


@lru_cache(maxsize=SHAPES_MAXIMUM)
def _counting(shape: PageShape) -> Select[Any]:
    """The number of matches; without looking at them where few-valued columns suffice."""
    if shape.is_counted:
        summed = select(func.coalesce(func.sum(task_counts.c.number), 0))
        return _matching(summed, task_counts.c.owner_id, shape, _COUNTED)
    return _matching(
        select(func.count()).select_from(tasks), COLUMNS.owner_id, shape, _RANGES_FIRST
    )


@lru_cache(maxsize=SHAPES_MAXIMUM)
def _finding(shape: PageShape, way: Way) -> Select[Any]:
    """The rows of the page, in their order."""
    found = _along_order(shape) if way in _ALONG_ORDER else _by_filters(shape)
    if way not in _IDS_FIRST:
        return found
    ids = found.with_only_columns(COLUMNS.id, maintain_column_froms=True).correlate(None)
    in_order = order(_UNSORTED, shape.sort, _UNSORTED["id"].expression)
    return select(tasks).where(COLUMNS.id.in_(ids)).order_by(*in_order)


def _along_order(shape: PageShape) -> Select[Any]:
    matching = _matching(select(tasks), COLUMNS.owner_id, shape, _UNINDEXED)
    in_order = matching.order_by(*order(SORTABLES, shape.sort, COLUMNS.id))
    return windowed(in_order, has_limit=shape.has_limit, has_offset=shape.has_offset)


def _by_filters(shape: PageShape) -> Select[Any]:
    filterables = FILTERABLES if shape.is_counted else _RANGES_FIRST
    matching = _matching(select(tasks), COLUMNS.owner_id, shape, filterables)
    in_order = matching.order_by(*order(_UNSORTED, shape.sort, _UNSORTED["id"].expression))
    return windowed(in_order, has_limit=shape.has_limit, has_offset=shape.has_offset)


def _matching(
    statement: Select[Any],
    owner_id: ColumnElement[int],
    shape: PageShape,
    filterables: Filterables,
) -> Select[Any]:
    if not shape.of_everybody:
        statement = statement.where(owner_id == bindparam(_OWNER, type_=BigInteger()))
    return statement.where(shaped_conditions(filterables, shape.filters))
