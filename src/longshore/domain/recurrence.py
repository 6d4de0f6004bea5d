"""Recurrence rules (RFC 5545): when something repeats, computed at a bounded cost.

    RuleText ── parse_rule ──> Rule ── occurrences(rule, start, zone, after) ──> instants

Rules that only count seconds, minutes or hours are arithmetic on absolute time. All others go
through python-dateutil on the wall clock of their time zone: a time that a clock change skips is
moved on by the size of the gap, and one that comes twice is meant the first time.

dateutil searches until the year 9999 for a rule that never matches, and walks through every second
since the start of one that does. Therefore the search begins near the wanted instant, and the
first value of one list of the rule counts how often it is compared with a day: after
DAYS_CHECKED_MAXIMUM comparisons the rule is held to have no further occurrence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule as dateutil_rrule

from longshore.domain.errors import LongshoreError

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
LIST_VALUES_MAXIMUM = 400  # in one BY part; a year has 366 days
POSITIONS_MAXIMUM = 31  # in BYSETPOS
TIMES_OF_DAY_MAXIMUM = 1_440  # BYHOUR x BYMINUTE x BYSECOND of a daily rule: every minute
TIMES_OF_LONGER_PERIODS_MAXIMUM = 24  # of weekly to yearly ones, which expand a whole period
INTERVAL_MAXIMUM = 1_000_000
INTERVAL_IN_DAYS_MAXIMUM = 1_000  # days or longer periods
COUNT_MAXIMUM = 2**53
YEAR_FIRST, YEAR_LAST = 1970, 9998

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
_SECONDS = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}
FIXED_SECONDS = _SECONDS | {"DAILY": 86_400, "WEEKLY": 604_800}
"""Frequencies whose period has a length of its own."""

_MARGINS = {
    "HOURLY": timedelta(hours=2),
    "MINUTELY": timedelta(hours=1),
    "SECONDLY": timedelta(minutes=1),
}
_OTHER_DAYS = {"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"}
_DATEUTIL_FREQUENCIES = {name: getattr(dateutil_rrule, name) for name in FREQUENCIES}
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_RANGES = {
    "BYMONTH": (1, 12, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
    "BYSETPOS": (1, 366, True),
}


class InvalidRule(LongshoreError):
    """The text is no schedule; it says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE. `until` is an instant; `days` are (nth or 0, weekday from 0 = Monday)."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: float | None = None
    week_start: int = 0
    days: tuple[tuple[int, int], ...] = ()
    lists: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_arithmetic(self) -> bool:
        """Whether occurrences are the multiples of a fixed time after the start."""
        return self.frequency in _SECONDS and not self.days and not self.lists


# -------------------------------------------------------------------------------- parsing


def parse_rule(text: str, zone: ZoneInfo) -> Rule:
    """The rule of `FREQ=…;…`. Raises InvalidRule."""
    parts: dict[str, str] = {}
    for piece in text.strip().rstrip(";").split(";"):
        name, equals, value = piece.partition("=")
        name = name.strip().upper()
        if not equals or name in parts:
            raise InvalidRule(f"{piece[:40]!r} is not a part of a rule, or comes twice")
        parts[name] = value.strip().upper()
    rule = Rule(
        frequency=_frequency(parts.pop("FREQ", "")),
        interval=_number(parts.pop("INTERVAL", "1"), "INTERVAL", 1, INTERVAL_MAXIMUM),
        count=_number(parts.pop("COUNT"), "COUNT", 1, COUNT_MAXIMUM) if "COUNT" in parts else None,
        until=_until(parts.pop("UNTIL"), zone) if "UNTIL" in parts else None,
        week_start=_weekday(parts.pop("WKST", "MO"))[1],
        days=_days(parts.pop("BYDAY", "")),
        lists={name: _numbers(parts.pop(name), name) for name in _RANGES if name in parts},
    )
    if parts:
        raise InvalidRule(f"{next(iter(parts))[:40]!r} is not a part of a rule")
    return _checked(_rewritten(rule))


def parse_local(text: str) -> tuple[datetime, bool]:
    """(wall-clock time, whether it is UTC) of `20190705T085000`, with Z or as a day alone."""
    match = re.fullmatch(r"(\d{8})(?:T(\d{6})(Z?))?", text.strip().upper(), re.ASCII)
    if match is None:
        raise InvalidRule(f"{text[:40]!r} is not a time")
    try:
        moment = datetime.strptime(match[1] + (match[2] or "000000"), "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError as error:
        raise InvalidRule(f"{text[:40]!r} is not a time") from error
    if not YEAR_FIRST <= moment.year <= YEAR_LAST:
        raise InvalidRule(f"years go from {YEAR_FIRST} to {YEAR_LAST}")
    return moment, bool(match[3])


def instant(local: datetime, zone: ZoneInfo) -> float:
    """Seconds since 1970 of a wall-clock time."""
    return local.replace(tzinfo=zone).timestamp()


def _frequency(text: str) -> str:
    if text not in FREQUENCIES:
        raise InvalidRule("FREQ has to be one of " + ", ".join(FREQUENCIES))
    return text


def _number(text: str, name: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
        raise InvalidRule(f"{name} has to be a number from {low} to {high}")
    return int(text)


def _numbers(text: str, name: str) -> tuple[int, ...]:
    low, high, negative = _RANGES[name]
    pieces = text.split(",")
    if len(pieces) > LIST_VALUES_MAXIMUM:
        raise InvalidRule(f"{name} has more than {LIST_VALUES_MAXIMUM} values")
    values = [_number(piece, name, -high if negative else low, high) for piece in pieces]
    if negative and 0 in values:
        raise InvalidRule(f"{name} counts from 1 or from -1")
    return tuple(sorted(set(values)))


def _days(text: str) -> tuple[tuple[int, int], ...]:
    if not text:
        return ()
    pieces = text.split(",")
    if len(pieces) > LIST_VALUES_MAXIMUM:
        raise InvalidRule(f"BYDAY has more than {LIST_VALUES_MAXIMUM} values")
    return tuple(sorted({_weekday(piece) for piece in pieces}))


def _weekday(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", text, re.ASCII)
    if match is None or (match[1] is not None and not 1 <= abs(int(match[1])) <= 53):
        raise InvalidRule(f"{text[:40]!r} is not a day of the week")
    return int(match[1] or 0), _DAYS.index(match[2])


def _until(text: str, zone: ZoneInfo) -> float:
    local, is_utc = parse_local(text)
    if "T" not in text:
        local += timedelta(days=1, seconds=-1)  # a day alone is meant to its end
    return local.replace(tzinfo=UTC).timestamp() if is_utc else instant(local, zone)


def _rewritten(rule: Rule) -> Rule:
    """A rule of some minutes in some hours as the daily rule that says the same.

    dateutil would try every minute of the night to find the next hour.
    """
    hours, minutes = rule.lists.get("BYHOUR"), rule.lists.get("BYMINUTE")
    fits = rule.frequency == "MINUTELY" and hours is not None and minutes is None
    if not fits or 60 % rule.interval or rule.count is not None:
        return rule
    lists = rule.lists | {"MINUTES": (rule.interval,)}  # from the start's minute on
    return Rule("DAILY", 1, None, rule.until, rule.week_start, rule.days, lists)


def _checked(rule: Rule) -> Rule:
    lists = rule.lists
    if rule.frequency not in _SECONDS and rule.interval > INTERVAL_IN_DAYS_MAXIMUM:
        raise InvalidRule(f"INTERVAL of a {rule.frequency} rule goes to {INTERVAL_IN_DAYS_MAXIMUM}")
    if rule.frequency in {"MINUTELY", "SECONDLY"} and lists.keys() & {
        "BYHOUR", "BYMINUTE", "BYSECOND"
    }:  # fmt: skip
        raise InvalidRule(
            f"a {rule.frequency} rule with hours, minutes or seconds has to be written as "
            "FREQ=DAILY with BYHOUR, BYMINUTE and BYSECOND"
        )
    if "BYWEEKNO" in lists and rule.frequency != "YEARLY":
        raise InvalidRule("BYWEEKNO belongs to FREQ=YEARLY")
    if any(nth for nth, _ in rule.days):
        if rule.frequency not in {"YEARLY", "MONTHLY"}:
            raise InvalidRule("a number before a weekday belongs to FREQ=MONTHLY or YEARLY")
        if lists.keys() & _OTHER_DAYS:
            raise InvalidRule("a number before a weekday excludes other days of month or year")
    if len(lists.get("BYSETPOS", ())) > POSITIONS_MAXIMUM:
        raise InvalidRule(f"BYSETPOS has more than {POSITIONS_MAXIMUM} values")
    _check_times(rule)
    return rule


def _check_times(rule: Rule) -> None:
    times = 60 // rule.lists["MINUTES"][0] if "MINUTES" in rule.lists else 1
    for name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        times *= len(rule.lists.get(name, (0,)))
    long = rule.frequency in {"YEARLY", "MONTHLY", "WEEKLY"}
    limit = TIMES_OF_LONGER_PERIODS_MAXIMUM if long else TIMES_OF_DAY_MAXIMUM
    if times > limit:
        raise InvalidRule(f"a {rule.frequency} rule may have {limit} times of day")


# ---------------------------------------------------------------------------- occurrences


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
    step = _SECONDS[rule.frequency] * rule.interval
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
    if rule.frequency == "WEEKLY" and not days and not lists.keys() & _OTHER_DAYS:
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
    if not rule.days and not lists.keys() & _OTHER_DAYS:
        if rule.frequency == "YEARLY":
            lists.setdefault("BYMONTH", (start.month,))
            lists["BYMONTHDAY"] = (start.day,)
        elif rule.frequency == "MONTHLY":
            lists["BYMONTHDAY"] = (start.day,)
    return lists
