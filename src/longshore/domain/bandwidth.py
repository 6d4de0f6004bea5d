"""Bandwidth by the hours of the week: a timetable like `Mon-Fri 08:00-18:00 50M; Sat,Sun off`.

    timetable  entries, separated by `;`. The first one that fits the moment counts.
    entry      [days] [times] rate
    days       names of three letters and ranges of them, separated by commas: `Mon-Fri`, `Sat,Sun`
    times      `08:00-18:00`, the end excluded. An end before the begin lies on the next day.
    rate       bytes per second; `K`, `M`, `G` and `T` mean powers of 1024. `off` is no limit.

Times are those of the wall clock. Where daylight saving moves the clock the limit moves with it:
an hour that is skipped is not there, one that comes twice is there twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from longshore.domain.errors import LongshoreError

BANDWIDTH_MAXIMUM = 2**50  # bytes per second; more is a typing error, and counts stay exact
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_MINUTES_PER_DAY = 24 * 60
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_RATE = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?([KMGT]?)", re.IGNORECASE | re.ASCII)
_TIMES = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)


class InvalidTimetable(LongshoreError):
    """The text is no timetable; the message names the entry and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a timetable. Minutes count from midnight; `end` may lie on the next day."""

    days: frozenset[int]  # 0 = Monday
    begin: int
    end: int
    bytes_per_second: int | None

    def fits(self, weekday: int, minute: int) -> bool:
        """Whether the moment lies in it, begun today or yesterday."""
        if weekday in self.days and self.begin <= minute < self.end:
            return True
        yesterday = (weekday - 1) % len(DAYS)
        return yesterday in self.days and minute + _MINUTES_PER_DAY < self.end


@dataclass(frozen=True, slots=True)
class Timetable:
    """Limits by the hours of the week."""

    entries: tuple[Entry, ...] = ()

    def limit_at(self, moment: datetime, otherwise: int | None) -> int | None:
        """The limit at this local time, None = none; `otherwise` where no entry fits."""
        minute = moment.hour * 60 + moment.minute
        for entry in self.entries:
            if entry.fits(moment.weekday(), minute):
                return entry.bytes_per_second
        return otherwise


def parse_timetable(text: str) -> Timetable:
    """The timetable that the text means; an empty one for no text. Raises InvalidTimetable."""
    parts = [part.strip() for part in text.split(";")]
    if parts and not parts[-1]:
        parts.pop()  # a `;` at the end is usual
    return Timetable(tuple(_entry(part) for part in parts))


def _entry(text: str) -> Entry:
    words = text.split()
    if not words:
        raise InvalidTimetable("there is an empty entry between two semicolons")
    rate = _rate(words.pop(), text)
    begin, end = 0, _MINUTES_PER_DAY
    if words and ":" in words[-1]:
        begin, end = _times(words.pop(), text)
    days = _days(words.pop(), text) if words else frozenset(range(len(DAYS)))
    if words:
        raise _invalid(text, "it has to be days, times and a rate, in this order")
    return Entry(days=days, begin=begin, end=end, bytes_per_second=rate)


def _rate(word: str, entry: str) -> int | None:
    if word.lower() == "off":
        return None
    found = _RATE.fullmatch(word)
    if found is None:
        raise _invalid(entry, f"{word!r} is no rate such as 50M, 1.5G or off")
    whole, fraction, unit = found[1], found[2] or "", found[3].upper()
    rate: int = int(whole + fraction) * _UNITS[unit] // 10 ** len(fraction)
    if not 1 <= rate <= BANDWIDTH_MAXIMUM:
        raise _invalid(entry, f"the rate {word!r} is not between 1 and 1024T bytes per second")
    return rate


def _times(word: str, entry: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(word)
    if found is None:
        raise _invalid(entry, f"{word!r} are no times such as 08:00-18:00")
    hours, minutes, end_hours, end_minutes = map(int, found.groups())
    begin, end = hours * 60 + minutes, end_hours * 60 + end_minutes
    if minutes > 59 or end_minutes > 59 or begin >= _MINUTES_PER_DAY or end > _MINUTES_PER_DAY:
        raise _invalid(entry, f"{word!r} has a time that no clock shows")
    if begin == end:
        raise _invalid(entry, f"{word!r} is empty; leave the times out for the whole day")
    return begin, end if end > begin else end + _MINUTES_PER_DAY


def _days(word: str, entry: str) -> frozenset[int]:
    days: set[int] = set()
    for part in word.split(","):
        first, dash, last = part.partition("-")
        begin = _day(first, entry)
        end = _day(last, entry) if dash else begin
        length = (end - begin) % len(DAYS) + 1  # `Fri-Mon` goes over the end of the week
        days.update((begin + number) % len(DAYS) for number in range(length))
    return frozenset(days)


def _day(name: str, entry: str) -> int:
    try:
        return DAYS.index(name.capitalize())
    except ValueError:
        raise _invalid(entry, f"{name!r} is no day; they are {', '.join(DAYS)}") from None


def _invalid(entry: str, cause: str) -> InvalidTimetable:
    return InvalidTimetable(f"entry {entry!r}: {cause}")
