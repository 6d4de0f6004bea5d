from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule as dateutil_rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.domain.recurrence import occurrences
from longshore.domain.recurrence_rule import InvalidRule, instant, parse_rule
from longshore.domain.schedule import (
    Schedule,
    ScheduleState,
    Situation,
    after_success,
    decide,
    initial_state,
    next_after,
    parse_schedule,
)

CREATED = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
HOUR, DAY = 3_600, 86_400
SEARCH_SECONDS_MAXIMUM = 0.05


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def shown(moment: int | None) -> str | None:
    return None if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S}"


def upcoming(schedule: Schedule, after: int, number: int) -> list[str | None]:
    found = []
    moment: int | None = after
    for _ in range(number):
        assert moment is not None
        moment = next_after(schedule, moment)
        found.append(shown(moment))
    return found


class TestParsing:
    def test_the_documented_example_is_weekly_in_paris(self) -> None:
        schedule = parse_schedule(
            "DTSTART;TZID=Europe/Paris:20190705T085000\nRRULE:FREQ=WEEKLY", CREATED
        )
        assert upcoming(schedule, at("2019-07-01"), 2) == [
            "2019-07-05T06:50:00",
            "2019-07-12T06:50:00",
        ]

    def test_without_a_start_the_creation_counts_in_utc(self) -> None:
        schedule = parse_schedule("FREQ=DAILY", CREATED)
        assert upcoming(schedule, CREATED, 1) == ["2026-01-02T12:00:00"]

    def test_without_a_rule_there_is_one_occurrence(self) -> None:
        schedule = parse_schedule("DTSTART:20270101T000000Z", CREATED)
        assert upcoming(schedule, CREATED, 2) == ["2027-01-01T00:00:00", None]

    def test_dates_are_left_out_and_added(self) -> None:
        text = (
            "DTSTART;TZID=Europe/Paris:20260601T100000\r\nRRULE:FREQ=DAILY;COUNT=3\r\n"
            "EXDATE;TZID=Europe/Paris:20260602T100000\r\nRDATE:20260602T120000Z\r\n"
        )
        schedule = parse_schedule(text, CREATED)
        assert upcoming(schedule, CREATED, 4) == [
            "2026-06-01T08:00:00",
            "2026-06-02T12:00:00",
            "2026-06-03T08:00:00",
            None,
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "nonsense",
            "RRULE:FREQ=OFTEN",
            "RRULE:INTERVAL=2",
            "RRULE:FREQ=DAILY;FREQ=DAILY",
            "RRULE:FREQ=DAILY;INTERVAL=0",
            "RRULE:FREQ=DAILY;INTERVAL=-1",
            "RRULE:FREQ=DAILY;COUNT=0",
            "RRULE:FREQ=DAILY;COUNT=99999999999999999999",
            "RRULE:FREQ=DAILY;BYDAY=XX",
            "RRULE:FREQ=DAILY;BYDAY=1MO",
            "RRULE:FREQ=DAILY;BYMONTH=13",
            "RRULE:FREQ=DAILY;BYMONTHDAY=0",
            "RRULE:FREQ=DAILY;BYEASTER=1",
            "RRULE:FREQ=DAILY;UNTIL=tomorrow",
            "RRULE:FREQ=DAILY;BYHOUR=" + ",".join(["1"] * 500),
            "RRULE:FREQ=SECONDLY;BYHOUR=3",
            "RRULE:FREQ=MINUTELY;INTERVAL=7;BYHOUR=3",
            "RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY",
            "DTSTART:20261301T000000",
            "DTSTART:00010101T000000",
            "DTSTART:٢٠٢٦٠١٠١",
            "DTSTART;TZID=Mars/Olympus:20260101T000000",
            "DTSTART;TZID=../../etc/passwd:20260101T000000",
            "X-AFTER-END:TRUE",
            "RRULE:FREQ=MONTHLY\nX-AFTER-END:TRUE",
            "RRULE:FREQ=DAILY\nX-AFTER-END:PERHAPS",
            "RRULE:FREQ=DAILY\nBEGIN:VEVENT",
            "RRULE:FREQ=DAILY\n" + "x" * 20_000,
            "RDATE:" + ",".join(["20260101T000000"] * 501),
        ],
    )
    def test_what_is_no_schedule_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidRule):
            parse_schedule(text, CREATED)

    @given(st.text(max_size=200))
    def test_no_text_causes_another_error(self, text: str) -> None:
        for form in (text, f"RRULE:FREQ=DAILY;{text}", f"DTSTART:{text}", f"RRULE:FREQ={text}"):
            try:
                parse_schedule(form, CREATED)
            except InvalidRule:
                continue


class TestClockChanges:
    def daily(self, time_of_day: str) -> Schedule:
        text = f"DTSTART;TZID=Europe/Paris:20260101T{time_of_day}\nRRULE:FREQ=DAILY"
        return parse_schedule(text, CREATED)

    def test_the_wall_clock_counts_on_both_sides(self) -> None:
        assert upcoming(self.daily("080000"), at("2026-03-28T00:00:00"), 3) == [
            "2026-03-28T07:00:00",
            "2026-03-29T06:00:00",
            "2026-03-30T06:00:00",
        ]

    def test_a_time_that_is_skipped_moves_on_by_the_gap(self) -> None:
        assert upcoming(self.daily("023000"), at("2026-03-28T12:00:00"), 2) == [
            "2026-03-29T01:30:00",  # 03:30 in Paris
            "2026-03-30T00:30:00",
        ]

    def test_a_time_that_comes_twice_is_meant_once(self) -> None:
        assert upcoming(self.daily("023000"), at("2026-10-24T12:00:00"), 2) == [
            "2026-10-25T00:30:00",
            "2026-10-26T01:30:00",
        ]

    def test_hours_and_minutes_go_on_evenly(self) -> None:
        text = "DTSTART;TZID=Europe/Paris:20260101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=30"
        schedule = parse_schedule(text, CREATED)
        for begin in ("2026-03-29T00:00:00", "2026-10-25T00:00:00"):
            found = [at(str(each)) for each in upcoming(schedule, at(begin), 8)]
            assert {b - a for a, b in pairwise(found)} == {1_800}


class TestAgainstDateutil:
    """Beginning the search late, and all the limits, must not change what is found."""

    @settings(max_examples=80)
    @given(
        frequency=st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]),
        interval=st.integers(1, 5),
        months=st.sets(st.integers(1, 12), max_size=3),
        month_days=st.sets(st.sampled_from([*range(1, 29), -1, -2]), max_size=3),
        weekdays=st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), max_size=3),
        week_start=st.sampled_from(["MO", "SU", "WE"]),
        start=st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 31)),  # noqa: DTZ001
        days_later=st.integers(0, 150),
    )
    def test_the_next_occurrences_are_the_same(
        self,
        frequency: str,
        interval: int,
        months: set[int],
        month_days: set[int],
        weekdays: set[str],
        week_start: str,
        start: datetime,
        days_later: int,
    ) -> None:
        start = start.replace(microsecond=0)
        lists: dict[str, Any] = {
            "BYMONTH": months,
            "BYMONTHDAY": month_days if frequency != "WEEKLY" else (),
            "BYDAY": weekdays,
        }
        parts = [f"FREQ={frequency}", f"INTERVAL={interval}", f"WKST={week_start}"]
        parts += [f"{n}={','.join(map(str, v))}" for n, v in lists.items() if v]
        text = ";".join(parts)
        after = start + timedelta(days=days_later)
        expected = list(_dateutil_after(text, start, after, 2))
        zone = ZoneInfo("UTC")
        moments = occurrences(parse_rule(text, zone), start, zone, instant(after, zone))
        found = [datetime.fromtimestamp(moment, UTC) for moment in islice(moments, 2)]
        assert found == expected[: len(found)]
        horizon = (after + timedelta(days=365)).replace(tzinfo=UTC)
        assert [each for each in expected if each < horizon] == [
            each for each in found if each < horizon
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "FREQ=MONTHLY;BYDAY=-1FR",
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "FREQ=YEARLY;BYDAY=20MO",
            "FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3",
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
            "FREQ=YEARLY;BYYEARDAY=1,100,-1",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
            "FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0,30",
            "FREQ=HOURLY;INTERVAL=5;BYHOUR=0,5,10",
            "FREQ=MONTHLY;COUNT=5",
            "FREQ=WEEKLY;COUNT=7;BYDAY=MO,FR",
            "FREQ=MINUTELY;INTERVAL=15;BYHOUR=9,10",
            "FREQ=YEARLY",
        ],
    )
    def test_special_rules_give_the_same(self, text: str) -> None:
        start, zone = datetime(2024, 2, 29, 10, 20), ZoneInfo("UTC")  # noqa: DTZ001
        for days_later in (0, 30, 400, 1_000):
            after = start + timedelta(days=days_later)
            expected = list(_dateutil_after(text, start, after, 2))
            found = occurrences(parse_rule(text, zone), start, zone, instant(after, zone))
            assert [datetime.fromtimestamp(m, UTC) for m in islice(found, 2)] == expected


def _dateutil_after(text: str, start: datetime, after: datetime, number: int) -> Any:
    """What dateutil finds when it searches from the start on."""
    rule = dateutil_rrule.rrulestr(text, dtstart=start)
    found = islice(rule.xafter(after), number)
    for moment in found:
        yield moment.replace(tzinfo=UTC)


class TestHostileRules:
    @pytest.mark.parametrize(
        "text",
        [
            "DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;UNTIL=29700101T000000Z",
            "FREQ=SECONDLY;COUNT=9000000000000000",
            "DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
            "DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;INTERVAL=7;BYDAY=MO",
            "DTSTART:19700101T000000\nRRULE:FREQ=MINUTELY;BYDAY=MO,SA",
            "DTSTART:19700101T000000\nRRULE:FREQ=DAILY;COUNT=900000000000000;BYMONTH=2",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=YEARLY;BYDAY=1MO;BYSETPOS=7",
            "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
            "FREQ=HOURLY;INTERVAL=7;BYHOUR=3;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=4,6,9,11",
            "FREQ=HOURLY;INTERVAL=2;BYHOUR=1,3",
        ],
    )
    def test_they_take_bounded_time(self, text: str) -> None:
        schedule = parse_schedule(text, CREATED - 1)
        now = CREATED + 300 * DAY
        situation = Situation(now=now, activated=True, running=False)

        def look() -> None:
            next_after(schedule, now)
            decide(schedule, ScheduleState(next=CREATED), situation)

        # Processor time, the best of some tries: other tests run beside this one.
        assert min(_processor_seconds(look) for _ in range(5)) < 2 * SEARCH_SECONDS_MAXIMUM


def _processor_seconds(look: Any) -> float:
    begin = time.thread_time()
    look()
    return time.thread_time() - begin


class TestDeciding:
    schedule = parse_schedule("DTSTART:20260101T120000Z\nRRULE:FREQ=HOURLY", CREATED)

    def situation(self, now: int, **more: Any) -> Situation:
        return Situation(**({"now": now, "activated": True, "running": False} | more))

    def test_nothing_happens_before_the_next_occurrence(self) -> None:
        state = initial_state(self.schedule, CREATED + 1)
        assert state.next == CREATED + HOUR
        decision = decide(self.schedule, state, self.situation(CREATED + HOUR - 1))
        assert (decision.run, decision.state) == (False, state)

    def test_an_occurrence_runs_the_task_once(self) -> None:
        now = CREATED + HOUR + 2
        decision = decide(self.schedule, ScheduleState(next=CREATED + HOUR), self.situation(now))
        assert decision.run
        assert decision.state == ScheduleState(next=CREATED + 2 * HOUR)
        assert not decide(self.schedule, decision.state, self.situation(now)).run

    @pytest.mark.parametrize("more", [{"running": True}, {"activated": False}])
    def test_it_is_skipped_while_the_task_runs_or_is_off(self, more: dict[str, bool]) -> None:
        state = ScheduleState(next=CREATED + HOUR)
        decision = decide(self.schedule, state, self.situation(CREATED + HOUR, **more))
        assert not decision.run
        assert decision.state == ScheduleState(next=CREATED + 2 * HOUR, skipped_count=1)

    def test_what_was_missed_less_than_an_hour_ago_is_made_up_for(self) -> None:
        now = CREATED + 5 * HOUR + 1_800
        decision = decide(
            self.schedule, ScheduleState(next=CREATED + 2 * HOUR), self.situation(now)
        )
        assert decision.run
        assert decision.state == ScheduleState(
            next=CREATED + 6 * HOUR,
            missed_count=4,
            missed_first=CREATED + 2 * HOUR,
            missed_last=CREATED + 5 * HOUR,
        )
        assert after_success(decision.state) == ScheduleState(next=CREATED + 6 * HOUR)

    def test_what_was_missed_long_ago_is_only_counted(self) -> None:
        daily = parse_schedule("DTSTART:20260101T120000Z\nRRULE:FREQ=DAILY", CREATED)
        now = CREATED + 3 * DAY + HOUR + 1
        decision = decide(daily, ScheduleState(next=CREATED + DAY), self.situation(now))
        assert (decision.run, decision.state.missed_count) == (False, 3)
        assert decision.state.next == CREATED + 4 * DAY

    def test_a_long_time_of_a_dense_rule_is_counted_up_to_a_limit(self) -> None:
        dense = parse_schedule("FREQ=MINUTELY;BYDAY=MO,TU,WE,TH,FR,SA,SU", CREATED)
        now = CREATED + 90 * DAY + 10
        decision = decide(dense, ScheduleState(next=CREATED), self.situation(now))
        assert decision.run
        assert 900 <= decision.state.missed_count <= 1_000
        assert decision.state.next == CREATED + 90 * DAY + 60

    def test_the_last_occurrence_ends_the_schedule(self) -> None:
        once = parse_schedule("DTSTART:20260101T130000Z", CREATED)
        state = initial_state(once, CREATED)
        decision = decide(once, state, self.situation(CREATED + HOUR))
        assert decision.run
        assert decision.state == ScheduleState(next=None, done=True)
        assert not decide(once, decision.state, self.situation(CREATED + 2 * HOUR)).run

    def test_automatic_mode_waits_for_the_end_of_each_run(self) -> None:
        text = "RRULE:FREQ=MINUTELY;INTERVAL=5\nX-AFTER-END:TRUE"
        schedule = parse_schedule(text, CREATED)
        state = initial_state(schedule, CREATED)
        first = decide(schedule, state, self.situation(CREATED))
        assert first.run
        under_way = decide(schedule, first.state, self.situation(CREATED + HOUR, running=True))
        assert (under_way.run, under_way.state.next) == (False, None)
        end = CREATED + 2 * HOUR
        ended = decide(schedule, under_way.state, self.situation(end + 1, last_end=end))
        assert (ended.run, ended.state.next) == (False, end + 300)
        again = decide(schedule, ended.state, self.situation(end + 300, last_end=end))
        assert again.run
        off = decide(schedule, ended.state, self.situation(end + 300, activated=False))
        assert off.state == replace(ended.state, next=end + 600, skipped_count=1)
