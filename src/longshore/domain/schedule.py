"""Schedules of tasks: their text, their next occurrence, and what is to be done about it now.

    DTSTART;TZID=Europe/Paris:20190705T085000     optional: the schedule's creation, in UTC
    RRULE:FREQ=WEEKLY                             optional: then DTSTART is the only occurrence
    EXDATE:…  RDATE:…                             occurrences left out and added
    X-AFTER-END:TRUE                              the rule's interval counts from the end of a run

Everything here is a function of its arguments; `now` comes from the caller. Instants are whole
seconds since 1970. Each call takes at most some 50 ms, whatever the rule.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from longshore.domain.recurrence import occurrences
from longshore.domain.recurrence_rule import (
    FIXED_SECONDS,
    InvalidRule,
    Rule,
    instant,
    parse_local,
    parse_rule,
)

TEXT_CHARACTERS_MAXIMUM = 16_384
DATES_MAXIMUM = 500  # in EXDATE and RDATE each
OCCURRENCES_COUNTED_MAXIMUM = 1_000  # missed or skipped at one time; more count as so many
ON_TIME_SECONDS = 60  # an occurrence seen later than this was missed: the server was down
CATCH_UP_SECONDS = 3_600  # a missed occurrence is made up for if it is not older

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A parsed schedule. `start` is on the wall clock of `zone`."""

    start: datetime
    zone: ZoneInfo
    rule: Rule | None = None
    excluded: frozenset[int] = frozenset()
    added: tuple[int, ...] = ()
    after_end_seconds: int | None = None  # automatic mode: the pause between two runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """What the database keeps about a schedule. `next` is the occurrence that is waited for."""

    next: int | None
    done: bool = False
    missed_count: int = 0
    missed_first: int | None = None
    missed_last: int | None = None
    skipped_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How the task stands. `last_end` is when its last execution ended, if it ever ran."""

    now: int
    activated: bool
    running: bool
    last_end: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to run the task now, and the schedule's new state."""

    run: bool
    state: ScheduleState


def parse_schedule(text: str, creation_date: int) -> Schedule:
    """The schedule that the text says. Raises InvalidRule."""
    if len(text) > TEXT_CHARACTERS_MAXIMUM:
        raise InvalidRule(f"a schedule has at most {TEXT_CHARACTERS_MAXIMUM} characters")
    lines = _lines(text)
    start, zone = datetime.fromtimestamp(creation_date, UTC).replace(tzinfo=None), _UTC
    if "DTSTART" in lines:
        start, zone = _start(*lines.pop("DTSTART"))
    rule_text = lines.pop("RRULE", None)
    rule = None if rule_text is None else parse_rule(rule_text[1], zone)
    after_end = lines.pop("X-AFTER-END", ("", "FALSE"))[1].strip().upper()
    if after_end not in {"TRUE", "FALSE"}:
        raise InvalidRule("X-AFTER-END is TRUE or FALSE")
    return Schedule(
        start=start,
        zone=zone,
        rule=rule,
        excluded=frozenset(_dates(lines.pop("EXDATE", None), zone)),
        added=tuple(sorted(set(_dates(lines.pop("RDATE", None), zone)))),
        after_end_seconds=_pause(rule) if after_end == "TRUE" else None,
    )


def initial_state(schedule: Schedule, now: int) -> ScheduleState:
    """The state of a schedule that was made, changed or taken up again now.

    In automatic mode the first run is due at the start, or at once where that has passed.
    """
    if schedule.after_end_seconds is not None:
        return ScheduleState(next=max(now, int(instant(schedule.start, schedule.zone))))
    return _from(ScheduleState(next=None), schedule, now - 1)


def next_after(schedule: Schedule, after: int) -> int | None:
    """The first occurrence later than that instant; None when the search finds no more."""
    return next(_all_after(schedule, after), None)


def decide(schedule: Schedule, state: ScheduleState, situation: Situation) -> Decision:
    """What to do about the schedule now. Calling it again in the same situation does nothing."""
    if state.done:
        return Decision(False, state)
    if schedule.after_end_seconds is not None:
        return _decide_after_end(schedule.after_end_seconds, state, situation)
    if state.next is None or state.next > situation.now:
        return Decision(False, state)
    return _decide_due(schedule, state, situation)


def after_success(state: ScheduleState) -> ScheduleState:
    """The state once a run of the task has succeeded: what was missed is made up for."""
    return replace(state, missed_count=0, missed_first=None, missed_last=None)


# ------------------------------------------------------------------------------- deciding


def _decide_due(schedule: Schedule, state: ScheduleState, situation: Situation) -> Decision:
    """At least one occurrence lies behind: it was missed, is skipped now, or starts a run."""
    assert state.next is not None
    now, can_run = situation.now, situation.activated and not situation.running
    due, upcoming = _due(schedule, state.next - 1, now)
    missed = [moment for moment in due if moment < now - ON_TIME_SECONDS]
    on_time = len(due) - len(missed)
    if missed:
        state = replace(
            state,
            missed_count=state.missed_count + len(missed),
            missed_first=missed[0] if state.missed_first is None else state.missed_first,
            missed_last=missed[-1],
        )
    if on_time and not can_run:
        state = replace(state, skipped_count=state.skipped_count + on_time)
    recent = bool(missed) and missed[-1] >= now - CATCH_UP_SECONDS
    state = replace(state, next=upcoming, done=upcoming is None)
    return Decision(can_run and (on_time > 0 or recent), state)


def _due(schedule: Schedule, after: int, now: int) -> tuple[list[int], int | None]:
    """The occurrences up to now, and the next one.

    Of too many to count the first ones and the latest one are given.
    """
    due: list[int] = []
    for moment in _all_after(schedule, after):
        if moment > now:
            return due, moment
        if len(due) == OCCURRENCES_COUNTED_MAXIMUM:
            break
        due.append(moment)
    # Too many, or the search ended before it came to the present: look again from here.
    latest = _latest(schedule, now)
    if latest is not None and (not due or latest > due[-1]):
        due = [*due[: OCCURRENCES_COUNTED_MAXIMUM - 1], latest]
    return due, next_after(schedule, now)


def _latest(schedule: Schedule, now: int) -> int | None:
    """The latest occurrence that is still on time, or that may be made up for."""
    for seconds in (ON_TIME_SECONDS, CATCH_UP_SECONDS):
        window = list(islice(_all_after(schedule, now - seconds - 1), OCCURRENCES_COUNTED_MAXIMUM))
        found = [moment for moment in window if moment <= now]
        if found:
            return found[-1]
    return None


def _decide_after_end(pause: int, state: ScheduleState, situation: Situation) -> Decision:
    """Automatic mode: one run at a time, each a pause after the end of the one before."""
    now = situation.now
    if situation.running:
        return Decision(False, replace(state, next=None))
    if state.next is None:
        state = replace(
            state, next=(now if situation.last_end is None else situation.last_end) + pause
        )
    assert state.next is not None
    if state.next > now:
        return Decision(False, state)
    if not situation.activated:
        skipped = state.skipped_count + 1
        return Decision(False, replace(state, skipped_count=skipped, next=now + pause))
    return Decision(True, replace(state, next=None))


def _from(state: ScheduleState, schedule: Schedule, after: int) -> ScheduleState:
    upcoming = next_after(schedule, after)
    return replace(state, next=upcoming, done=upcoming is None)


# ---------------------------------------------------------------------------- occurrences


def _all_after(schedule: Schedule, after: int) -> Iterator[int]:
    """All occurrences later than that instant, in order, each once."""
    last = after
    for moment in heapq.merge(_by_rule(schedule, after), schedule.added):
        if moment > last and moment not in schedule.excluded:
            last = moment
            yield moment


def _by_rule(schedule: Schedule, after: int) -> Iterator[int]:
    if schedule.rule is None:
        yield int(instant(schedule.start, schedule.zone))
        return
    for moment in occurrences(schedule.rule, schedule.start, schedule.zone, after):
        yield int(moment)


# -------------------------------------------------------------------------------- parsing


def _lines(text: str) -> dict[str, tuple[str, str]]:
    """(parameters, value) of every property by its name. A bare rule needs no `RRULE:`."""
    unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "")
    found: dict[str, tuple[str, str]] = {}
    for line in filter(None, map(str.strip, unfolded.split("\n"))):
        head, colon, value = line.partition(":")
        if not colon:
            head, value = "RRULE", line
        name, _, parameters = head.partition(";")
        name = name.strip().upper()
        if name not in {"DTSTART", "RRULE", "EXDATE", "RDATE", "X-AFTER-END"}:
            raise InvalidRule(f"{name[:40]!r} is no line of a schedule")
        if name in found:
            if name not in {"EXDATE", "RDATE"} or found[name][0] != parameters:
                raise InvalidRule(f"{name} comes twice")
            value = f"{found[name][1]},{value}"
        found[name] = (parameters, value)
    if not found:
        raise InvalidRule("a schedule needs a DTSTART or an RRULE")
    return found


def _start(parameters: str, value: str) -> tuple[datetime, ZoneInfo]:
    zone = _zone(parameters) or _UTC
    local, is_utc = parse_local(value)
    return local, _UTC if is_utc else zone


def _dates(line: tuple[str, str] | None, zone: ZoneInfo) -> list[int]:
    if line is None:
        return []
    zone = _zone(line[0]) or zone
    texts = [text for text in line[1].split(",") if text.strip()]
    if len(texts) > DATES_MAXIMUM:
        raise InvalidRule(f"EXDATE and RDATE have at most {DATES_MAXIMUM} dates each")
    return [
        int(instant(local, _UTC if is_utc else zone)) for local, is_utc in map(parse_local, texts)
    ]


def _zone(parameters: str) -> ZoneInfo | None:
    for parameter in filter(None, parameters.split(";")):
        name, _, value = parameter.partition("=")
        if name.strip().upper() == "TZID":
            try:
                return ZoneInfo(value.strip().strip('"'))
            except (KeyError, ValueError, OSError) as error:
                raise InvalidRule(
                    f"{value[:60]!r} is not a time zone that is known here"
                ) from error
    return None


def _pause(rule: Rule | None) -> int:
    if rule is None or rule.frequency not in FIXED_SECONDS or rule.days or rule.lists:
        raise InvalidRule("X-AFTER-END needs a rule of FREQ and INTERVAL alone, up to weeks")
    return FIXED_SECONDS[rule.frequency] * rule.interval
