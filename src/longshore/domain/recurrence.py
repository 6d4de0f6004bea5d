"""When a recurrence rule comes to pass, computed at a bounded cost.

Rules that only count seconds, minutes or hours are arithmetic on absolute time. All others go
through python-dateutil on the wall clock of their time zone: a time that a clock change skips is
moved on by the size of the gap, and one that comes twice is meant the first time.

dateutil searches until the year 9999 for a rule that never matches, and walks through every second
since the start of one that does. Therefore the search begins near the wanted instant, and the
first value of one list of the rule counts how often it is compared with a day: after
DAYS_CHECKED_MAXIMUM comparisons the rule is held to have no further occurrence.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule as dateutil_rrule

from longshore.domain.recurrence_rule import (
    FIXED_SECONDS,
    FREQUENCIES,
    OTHER_DAYS,
    SECONDS,
    YEAR_LAST,
    Rule,
    instant,
)

DAYS_CHECKED_MAXIMUM = {
    "YEARLY": 5_000,  # some 14 years: the 29th of February comes every eight at the latest
    "MONTHLY": 5_000,
    "WEEKLY": 5_000,
    "DAILY": 3_000,
    "HOURLY": 1_000,
    "MINUTELY": 1_000,
    "SECONDLY": 1_000,
}
"""Days that a search looks at: some 20 ms of searching for a rule that never matches."""

YEARS_CHECKED_MAXIMUM = 60  # the same for "the nth weekday of the year", which checks few days
_MARGINS = {
    "HOURLY": timedelta(hours=2),
    "MINUTELY": timedelta(hours=1),
    "SECONDLY": timedelta(minutes=1),
}
_DATEUTIL_FREQUENCIES = {name: getattr(dateutil_rrule, name) for name in FREQUENCIES}


def occurrences(rule: Rule, start: datetime, zone: ZoneInfo, after: float) -> Iterator[float]:
    """The instants of the rule that are later than `after`, in order and as far as the search goes.

    `start` is on the zone's wall clock. Clock changes apart the gaps grow or stay as the rule says.
    """
    found = (
        _multiples(rule, instant(start, zone), after)
        if rule.is_arithmetic
        else _searched(rule, start, zone, after)
    )
    for moment in found:
        if rule.until is not None and moment > rule.until:
            return
        if moment > after:
            yield moment


def _multiples(rule: Rule, start: float, after: float) -> Iterator[float]:
    step = SECONDS[rule.frequency] * rule.interval
    number = max(0, int((after - start) // step) + 1)
    end = datetime(YEAR_LAST, 1, 1, tzinfo=UTC).timestamp()
    while (rule.count is None or number < rule.count) and start + number * step < end:
        yield start + number * step
        number += 1


def _searched(rule: Rule, start: datetime, zone: ZoneInfo, after: float) -> Iterator[float]:
    begin = start if rule.count is not None else _near(rule, start, zone, after)
    try:
        for local in _dateutil_rule(rule, start, begin):
            if local >= start:
                yield instant(local, zone)
    except (_SearchedEnough, OverflowError, ValueError):
        return  # ValueError: dateutil found out that its lists exclude each other


def _near(rule: Rule, start: datetime, zone: ZoneInfo, after: float) -> datetime:
    """A start in phase with the rule's intervals, a period or so before the wanted instant."""
    margin = _MARGINS.get(rule.frequency, timedelta(days=1))  # for clock changes
    target = datetime.fromtimestamp(max(0.0, after), zone).replace(tzinfo=None) - margin
    if target <= start:
        return start
    if rule.frequency == "YEARLY":
        years = (target.year - start.year) // rule.interval * rule.interval
        return _midnight(start.year + years, 1)
    if rule.frequency == "MONTHLY":
        months = (target.year - start.year) * 12 + target.month - start.month
        months = start.month - 1 + months // rule.interval * rule.interval
        return _midnight(start.year + months // 12, months % 12 + 1)
    step = timedelta(seconds=FIXED_SECONDS[rule.frequency] * rule.interval)
    origin = _period_start(rule, start)
    return origin + (target - origin) // step * step


def _midnight(year: int, month: int) -> datetime:
    """The begin of a month on the wall clock."""
    return datetime(year, month, 1)  # noqa: DTZ001


def _period_start(rule: Rule, start: datetime) -> datetime:
    if rule.frequency == "WEEKLY":
        midnight = start.replace(hour=0, minute=0, second=0)
        return midnight - timedelta(days=(start.weekday() - rule.week_start) % 7)
    if rule.frequency == "DAILY":
        return start.replace(hour=0, minute=0, second=0)
    if rule.frequency == "HOURLY":
        return start.replace(minute=0, second=0)
    return start.replace(second=0) if rule.frequency == "MINUTELY" else start


class _SearchedEnough(Exception):
    """The rule has been compared with as many days as it may."""


class _Counted(int):
    """A number that counts how often it is compared."""

    left: int

    def __eq__(self, other: object) -> bool:
        self.left -= 1
        if self.left < 0:
            raise _SearchedEnough
        return int.__eq__(self, other)

    __hash__ = int.__hash__


def _counted(values: tuple[int, ...], limit: int) -> list[int]:
    """The values; the first, which every comparison meets, counts."""
    first = _Counted(values[0])
    first.left = limit
    return [first, *values[1:]]


def _dateutil_rule(rule: Rule, start: datetime, begin: datetime) -> Iterator[datetime]:
    """The rule from `begin` on, with everything spelt out that it takes from its start."""
    lists = _with_defaults(rule, start)
    nth = rule.frequency == "YEARLY" and any(each for each, _ in rule.days)
    if nth and "BYMONTH" not in lists:
        # All months would turn the nth of the year into the nth of the month; all days do not.
        lists["BYMONTHDAY"] = tuple(range(1, 32))
        counted, limit = "BYMONTHDAY", YEARS_CHECKED_MAXIMUM * len(rule.days)
    else:
        lists.setdefault("BYMONTH", tuple(range(1, 13)))
        counted, limit = "BYMONTH", DAYS_CHECKED_MAXIMUM[rule.frequency]
    arguments: dict[str, Any] = {name.lower(): list(values) for name, values in lists.items()}
    arguments[counted.lower()] = _counted(lists[counted], limit)
    days = rule.days
    if rule.frequency == "WEEKLY" and not days and not lists.keys() & OTHER_DAYS:
        days = ((0, start.weekday()),)
    if days:
        weekdays = [dateutil_rrule.weekday(day) for day in range(7)]
        arguments["byweekday"] = [weekdays[day](nth) if nth else weekdays[day]
                                  for nth, day in days]  # fmt: skip
    yield from dateutil_rrule.rrule(
        _DATEUTIL_FREQUENCIES[rule.frequency],
        dtstart=begin,
        interval=rule.interval,
        wkst=rule.week_start,
        count=rule.count,
        cache=False,
        **arguments,
    )


def _with_defaults(rule: Rule, start: datetime) -> dict[str, tuple[int, ...]]:
    lists = dict(rule.lists)
    every = lists.pop("MINUTES", None)
    if every is not None:
        lists["BYMINUTE"] = tuple(sorted((start.minute + m) % 60 for m in range(0, 60, every[0])))
    place = FREQUENCIES.index(rule.frequency)
    for name, value, frequency in (
        ("BYHOUR", start.hour, "HOURLY"),
        ("BYMINUTE", start.minute, "MINUTELY"),
        ("BYSECOND", start.second, "SECONDLY"),
    ):
        if place < FREQUENCIES.index(frequency):
            lists.setdefault(name, (value,))
    if not rule.days and not lists.keys() & OTHER_DAYS:
        if rule.frequency == "YEARLY":
            lists.setdefault("BYMONTH", (start.month,))
            lists["BYMONTHDAY"] = (start.day,)
        elif rule.frequency == "MONTHLY":
            lists["BYMONTHDAY"] = (start.day,)
    return lists
