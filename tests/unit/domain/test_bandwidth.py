"""The weekly timetable of the bandwidth."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.bandwidth import DAYS, InvalidTimetable, parse_timetable

MEBI = 2**20
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def limit(text: str, moment: datetime) -> int | None:
    return parse_timetable(text).limit_at(moment, otherwise=7)


def at(day: str, clock: str) -> datetime:
    hours, minutes = map(int, clock.split(":"))
    return MONDAY + timedelta(days=DAYS.index(day), hours=hours, minutes=minutes)


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("Mon", "07:59", 7),
        ("Mon", "08:00", 50 * MEBI),
        ("Fri", "17:59", 50 * MEBI),
        ("Fri", "18:00", 7),
        ("Sat", "12:00", None),
        ("Sun", "23:59", None),
    ],
)
def test_a_working_week_has_its_limit_and_the_weekend_none(
    day: str, clock: str, expected: int | None
) -> None:
    assert limit("Mon-Fri 08:00-18:00 50M; Sat,Sun off", at(day, clock)) == expected


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("Sun", "23:00", 7),
        ("Mon", "21:59", 7),
        ("Mon", "22:00", 1024),
        ("Tue", "05:59", 1024),
        ("Tue", "06:00", 7),
        ("Tue", "22:30", 7),
    ],
)
def test_times_over_midnight_belong_to_the_day_on_which_they_begin(
    day: str, clock: str, expected: int
) -> None:
    assert limit("Mon 22:00-06:00 1K", at(day, clock)) == expected


def test_the_night_from_sunday_to_monday_goes_over_the_end_of_the_week() -> None:
    assert limit("Sun 22:00-06:00 1K", at("Mon", "03:00")) == 1024


def test_days_may_go_over_the_end_of_the_week() -> None:
    found = [day for day in DAYS if limit("Sat-Mon 1K", at(day, "12:00")) == 1024]
    assert found == ["Mon", "Sat", "Sun"]


def test_the_first_entry_that_fits_counts() -> None:
    assert limit("Mon 1K; 2K", at("Mon", "00:00")) == 1024
    assert limit("Mon 1K; 2K", at("Tue", "00:00")) == 2048


def test_an_end_at_midnight_may_be_written_as_24_00() -> None:
    assert limit("Mon 20:00-24:00 1K", at("Mon", "23:59")) == 1024
    assert limit("Mon 20:00-24:00 1K", at("Tue", "00:00")) == 7
    assert limit("Mon 20:00-00:00 1K", at("Mon", "23:59")) == 1024
    assert limit("Mon 20:00-00:00 1K", at("Tue", "00:00")) == 7


@pytest.mark.parametrize(
    ("text", "expected"),
    [("100", 100), ("1.5K", 1536), ("50m", 50 * MEBI), ("2G", 2**31), ("1T", 2**40), ("OFF", None)],
)
def test_rates_are_bytes_with_binary_units(text: str, expected: int | None) -> None:
    assert limit(text, MONDAY) == expected


def test_no_text_is_an_empty_timetable_and_a_last_semicolon_is_ignored() -> None:
    assert limit("", MONDAY) == 7
    assert limit(" 1K ; ", MONDAY) == 1024


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("fast", "'fast' is no rate"),
        ("0", "not between 1"),
        ("0.0001", "not between 1"),
        ("9999999T", "not between 1"),
        ("-5M", "no rate"),
        ("50MB", "no rate"),
        ("Mon-Fri 08:00-18:00", "'08:00-18:00' is no rate"),
        ("Mo 1K", "'Mo' is no day"),
        ("Mon- 1K", "'' is no day"),
        ("Mon,,Tue 1K", "'' is no day"),
        ("Mon Tue 1K", "days, times and a rate"),
        ("08:00-18:00 Mon 1K", "days, times and a rate"),
        ("8:00-18:00 1K", "no times"),
        ("08:00-18 1K", "no times"),
        ("08:60-18:00 1K", "no clock"),
        ("08:00-24:01 1K", "no clock"),
        ("24:00-08:00 1K", "no clock"),
        ("08:00-08:00 1K", "is empty"),
        ("1K;;2K", "empty entry"),
        (";", "empty entry"),
        ("٣K", "no rate"),
    ],
)
def test_what_is_no_timetable_is_refused_with_the_reason(text: str, cause: str) -> None:
    with pytest.raises(InvalidTimetable, match=cause):
        parse_timetable(text)


def test_an_hour_that_daylight_saving_skips_has_no_limit_of_its_own() -> None:
    # In Paris 2024-03-31 the clock goes from 02:00 to 03:00, which is 01:00 UTC.
    paris = ZoneInfo("Europe/Paris")
    before = datetime(2024, 3, 31, 0, 59, tzinfo=UTC).astimezone(paris)
    after = datetime(2024, 3, 31, 1, 0, tzinfo=UTC).astimezone(paris)
    assert (before.hour, after.hour) == (1, 3)
    assert limit("Sun 02:00-03:00 1K", before) == 7
    assert limit("Sun 02:00-03:00 1K", after) == 7
    assert limit("Sun 02:00-03:30 1K", after) == 1024


def test_an_hour_that_comes_twice_is_limited_twice() -> None:
    # In Paris 2024-10-27 the hour from 02:00 to 03:00 comes at 00:00 and at 01:00 UTC.
    paris = ZoneInfo("Europe/Paris")
    limits = [
        limit(
            "Sun 02:00-03:00 1K",
            datetime(2024, 10, 26 + (hour > 23), hour % 24, 30, tzinfo=UTC).astimezone(paris),
        )
        for hour in (23, 24, 25, 26)
    ]
    assert limits == [7, 1024, 1024, 7]


@given(
    begin=st.integers(0, 24 * 60 - 1),
    length=st.integers(1, 24 * 60 - 1),
    day=st.integers(0, 6),
)
def test_a_daily_span_holds_for_exactly_its_minutes(begin: int, length: int, day: int) -> None:
    end = (begin + length) % (24 * 60)
    text = f"{DAYS[day]} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02} 1K"
    timetable = parse_timetable(text)
    start = MONDAY + timedelta(days=day, minutes=begin)
    moments = [start + timedelta(minutes=offset) for offset in (-1, 0, length - 1, length)]
    assert [timetable.limit_at(each, None) for each in moments] == [None, 1024, 1024, None]


@given(st.text(alphabet="MonTueFrisat,;-:0189. KMGoff", max_size=40))
def test_any_text_is_a_timetable_or_refused(text: str) -> None:
    with suppress(InvalidTimetable):
        found = parse_timetable(text).limit_at(MONDAY, None)
        assert found is None or found >= 1
