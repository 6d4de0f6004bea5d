"""Filters over records of files, evaluated by a database in memory.

Records lie in blocks, which no database can look into. So those of a block or two are put into a
table of a private SQLite database, with the columns that clients filter by, and asked for by the
same clauses as everything else: the language of filters has one implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    NullPool,
    SmallInteger,
    Table,
    case,
    create_engine,
    select,
)

from longshore.database.filters import Filterable, Filterables, conditions
from longshore.database.recorded_files import RecordedFile
from longshore.database.values import Kind
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.outcome import Outcome

_files = Table(
    "files",
    MetaData(),
    Column("place", BigInteger, primary_key=True),
    Column("file_id", BigInteger),
    Column("name", LargeBinary),
    Column("kind", SmallInteger),
    Column("mode", BigInteger),
    Column("size", BigInteger),
    Column("ctime_ns", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("atime_ns", BigInteger),
    Column("gid", BigInteger),
    Column("uid", BigInteger),
    Column("outcome", SmallInteger),
)
_COLUMNS = _files.c

_OUTCOMES = {outcome.name.lower(): outcome.value for outcome in Outcome}


def _date(column: Column[int], *, nullable: bool = True) -> Filterable:
    return Filterable(column, Kind.NANOSECONDS, nullable=nullable)


FILTERABLES: Filterables = {
    "file_id": Filterable(_COLUMNS.file_id, Kind.INTEGER),
    "name": Filterable(_COLUMNS.name, Kind.BYTES, nullable=False),
    "type": Filterable(
        case((_COLUMNS.kind == EntryKind.FOLDER.value, "folder"), else_="file"), nullable=False
    ),
    "permission": Filterable(_COLUMNS.mode, Kind.PERMISSION),
    "size": Filterable(_COLUMNS.size, Kind.INTEGER, nullable=False),
    "change_date": _date(_COLUMNS.ctime_ns),
    "modification_date": _date(_COLUMNS.mtime_ns, nullable=False),
    "access_date": _date(_COLUMNS.atime_ns),
    "gid": Filterable(_COLUMNS.gid, Kind.INTEGER),
    "uid": Filterable(_COLUMNS.uid, Kind.INTEGER),
    "outcome": Filterable(_COLUMNS.outcome, Kind.INTEGER, nullable=False, codes=_OUTCOMES),
}

Given = tuple[tuple[str, str], ...]
"""Filters of a request: names and what stands behind them."""


def _of_entry(value: Callable[[Entry], object]) -> Callable[[RecordedFile], object]:
    return lambda file: value(file.record.entry)


def _where_known(value: Callable[[Entry], object]) -> Callable[[RecordedFile], object]:
    """Null where nobody had looked at the file: such entries have no mode."""
    return lambda file: value(file.record.entry) if file.record.entry.mode else None


_VALUES: dict[str, tuple[str, Callable[[RecordedFile], object]]] = {
    "file_id": ("file_id", lambda file: file.file_id),
    "name": ("name", _of_entry(lambda entry: entry.name)),
    "type": ("kind", _of_entry(lambda entry: int(entry.kind))),
    "permission": ("mode", _where_known(lambda entry: entry.mode)),
    "size": ("size", _of_entry(lambda entry: entry.size)),
    "change_date": ("ctime_ns", _where_known(lambda entry: entry.ctime_ns)),
    "modification_date": ("mtime_ns", _of_entry(lambda entry: entry.mtime_ns)),
    "access_date": ("atime_ns", _where_known(lambda entry: entry.atime_ns)),
    "gid": ("gid", _where_known(lambda entry: entry.gid)),
    "uid": ("uid", _where_known(lambda entry: entry.uid)),
    "outcome": ("outcome", lambda file: int(file.record.outcome)),
}
"""By the name of a filter: its column, and a file's value in that."""

# Each connection has a database of its own. Long answers are written by one thread after the other.
_engine = create_engine("sqlite://", poolclass=NullPool, connect_args={"check_same_thread": False})


@dataclass(frozen=True, slots=True)
class Sieve:
    """Lets those files through for which all filters hold. Lives in `opened`."""

    given: Given
    _connection: Connection

    def passing(self, files: Sequence[RecordedFile]) -> list[RecordedFile]:
        """Those of the files, in their order."""
        names = {name for name, _ in self.given}
        columns = {column: value for name, (column, value) in _VALUES.items() if name in names}
        rows = zip(*(map(value, files) for value in columns.values()), strict=True)
        return [files[place] for place in self._places(list(columns), list(rows))]

    def outcomes(self) -> frozenset[Outcome]:
        """The outcomes that pass filters which look at nothing else."""
        known = list(Outcome)
        places = self._places(["outcome"], [(outcome.value,) for outcome in known])
        return frozenset(known[place] for place in places)

    def _places(self, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> list[int]:
        """Which of the rows pass, by their places."""
        connection = self._connection
        connection.exec_driver_sql("DELETE FROM files")
        names = ", ".join(("place", *columns))
        marks = ", ".join(repeat("?", len(columns) + 1))
        connection.exec_driver_sql(
            f"INSERT INTO files ({names}) VALUES ({marks})",
            [(place, *row) for place, row in enumerate(rows)],
        )
        query = select(_COLUMNS.place).where(conditions(FILTERABLES, self.given))
        return list(connection.execute(query.order_by(_COLUMNS.place)).scalars())


@contextmanager
def opened(given: Given) -> Iterator[Sieve]:
    """A sieve with these filters, at least one; all their names are filterable."""
    with _engine.connect() as connection:
        _files.create(connection)
        yield Sieve(given, connection)


def split_on_outcome(given: Given) -> tuple[Given, Given]:
    """(filters on the outcome, all others); names that are not filterable are left out."""
    known = tuple(each for each in given if each[0] in FILTERABLES)
    return (
        tuple(each for each in known if each[0] == "outcome"),
        tuple(each for each in known if each[0] != "outcome"),
    )


def passing_outcomes(given: Given) -> frozenset[Outcome] | None:
    """The outcomes for which these filters on the outcome hold; None = there is no filter."""
    if not given:
        return None
    with opened(given) as sieve:
        return sieve.outcomes()
