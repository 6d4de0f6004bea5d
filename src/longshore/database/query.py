"""What listings and paths ask for, as SQL: the parts of it that other modules use.

values        the text of a filter  ──> a value of the column's type
patterns      `%` and `_`           ──> what each database matches by
expressions   what the two databases write differently
filters       operators and values  ──> clauses
pages         filters, order, limit, offset
lookup        a number or a name in a path ──> an id
"""

from longshore.database.expressions import among
from longshore.database.filters import (
    PATTERN_CHARACTERS_MAXIMUM,
    Filterable,
    Filterables,
    Related,
    computed,
    conditions,
    unindexed,
)
from longshore.database.lookup import find_id
from longshore.database.pages import Page, Sort, count, order, paged
from longshore.database.values import (
    INTEGER_MAXIMUM,
    Kind,
    read_date,
    read_integer,
    read_text,
)

__all__ = [
    "INTEGER_MAXIMUM",
    "PATTERN_CHARACTERS_MAXIMUM",
    "Filterable",
    "Filterables",
    "Kind",
    "Page",
    "Related",
    "Sort",
    "among",
    "computed",
    "conditions",
    "count",
    "find_id",
    "order",
    "paged",
    "read_date",
    "read_integer",
    "read_text",
    "unindexed",
]
