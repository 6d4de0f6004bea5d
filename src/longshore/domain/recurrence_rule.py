"""The RRULE of a schedule (RFC 5545) as a value, and what of it is accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from longshore.domain.errors import LongshoreError

LIST_VALUES_MAXIMUM = 400  # in one BY part; a year has 366 days
POSITIONS_MAXIMUM = 31  # in BYSETPOS
TIMES_OF_DAY_MAXIMUM = 1_440  # BYHOUR x BYMINUTE x BYSECOND of a daily rule: every minute
TIMES_OF_LONGER_PERIODS_MAXIMUM = 24  # of weekly to yearly ones, which expand a whole period
INTERVAL_MAXIMUM = 1_000_000
INTERVAL_IN_DAYS_MAXIMUM = 1_000  # days or longer periods
COUNT_MAXIMUM = 2**53
YEAR_FIRST, YEAR_LAST = 1970, 9998

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
SECONDS = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}
FIXED_SECONDS = SECONDS | {"DAILY": 86_400, "WEEKLY": 604_800}
"""Frequencies whose period has a length of its own."""

OTHER_DAYS = {"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"}
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
        return self.frequency in SECONDS and not self.days and not self.lists


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
    if rule.frequency not in SECONDS and rule.interval > INTERVAL_IN_DAYS_MAXIMUM:
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
        if lists.keys() & OTHER_DAYS:
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
