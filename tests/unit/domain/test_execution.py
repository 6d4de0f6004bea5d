"""The state machine: exactly the rows of the semantics, and no way around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from longshore.domain.execution import (
    ACTIVE,
    ALLOWED_TRANSITIONS,
    IDLE,
    RUNNING,
    Event,
    IllegalTransition,
    TaskStatus,
    after,
    final_event,
    progress_percent,
)

S, E = TaskStatus, Event

ROWS = [
    *[(idle, E.RUN, S.IN_QUEUE) for idle in sorted(IDLE)],
    (S.IN_QUEUE, E.ADMIT, S.CALCULATING),
    (S.CALCULATING, E.BEGIN, S.IN_PROGRESS),
    (S.CALCULATING, E.FINISH_DONE, S.DONE),
    (S.IN_PROGRESS, E.FINISH_DONE, S.DONE),
    (S.IN_PROGRESS, E.FINISH_WITH_WARNINGS, S.FINISHED_WITH_WARNINGS),
    (S.IN_PROGRESS, E.FINISH_ERROR, S.ERROR),
    *[(each, E.PAUSE, S.PAUSED) for each in (S.IN_QUEUE, S.CALCULATING, S.IN_PROGRESS)],
    (S.PAUSED, E.RESUME, S.IN_QUEUE),
    *[
        (each, E.STOP, S.STOPPED_BY_USER)
        for each in (S.IN_QUEUE, S.CALCULATING, S.IN_PROGRESS, S.PAUSED)
    ],
    *[(each, E.INTERRUPT, S.IN_QUEUE) for each in (S.IN_QUEUE, S.CALCULATING, S.IN_PROGRESS)],
    (S.PAUSED, E.INTERRUPT, S.PAUSED),
    *[
        (each, E.LOSE_STORAGE, S.STOPPED_BY_SYSTEM)
        for each in (S.IN_QUEUE, S.CALCULATING, S.IN_PROGRESS)
    ],
    (S.STOPPED_BY_SYSTEM, E.RESUME, S.IN_QUEUE),
]
"""Every row of the table in section 6 of the semantics."""

NEEDED_BESIDES = {
    # The engine may find out that there is nothing to do, or nothing to be done, in any phase.
    (S.CALCULATING, E.FINISH_WITH_WARNINGS, S.FINISHED_WITH_WARNINGS),
    (S.CALCULATING, E.FINISH_ERROR, S.ERROR),
    (S.IN_QUEUE, E.FINISH_ERROR, S.ERROR),
}

REQUESTS = (E.RUN, E.PAUSE, E.RESUME, E.STOP)


@pytest.mark.parametrize(("status", "event", "following"), ROWS)
def test_every_row_of_the_semantics_is_allowed(
    status: TaskStatus, event: Event, following: TaskStatus
) -> None:
    assert after(status, event) is following


def test_nothing_is_allowed_that_the_semantics_do_not_name() -> None:
    allowed = {
        (status, event, following)
        for status, events in ALLOWED_TRANSITIONS.items()
        for event, following in events.items()
    }
    assert allowed == set(ROWS) | NEEDED_BESIDES


@given(st.sampled_from(TaskStatus), st.sampled_from(Event))
def test_a_refusal_names_the_status_and_the_event(status: TaskStatus, event: Event) -> None:
    if event in ALLOWED_TRANSITIONS[status]:
        return
    with pytest.raises(IllegalTransition) as refusal:
        after(status, event)
    assert (refusal.value.status, refusal.value.event) == (status, event)
    assert status.value in str(refusal.value)


def test_every_status_is_either_idle_or_running() -> None:
    assert set(TaskStatus) == IDLE | RUNNING
    assert not IDLE & RUNNING
    assert ACTIVE < RUNNING


def test_a_final_status_is_left_by_a_request_only() -> None:
    for status in IDLE:
        assert set(ALLOWED_TRANSITIONS[status]) <= {E.RUN, E.RESUME}
    assert set(ALLOWED_TRANSITIONS[S.DONE]) == {E.RUN}


@given(st.lists(st.sampled_from(Event)))
def test_no_sequence_of_events_leaves_the_table(events: list[Event]) -> None:
    status = S.NOT_ACTIVATED
    for event in events:
        try:
            following = after(status, event)
        except IllegalTransition:
            continue
        assert (status, event, following) in set(ROWS) | NEEDED_BESIDES
        status = following


class Execution(RuleBasedStateMachine):
    """One task under whatever users, the engine and crashes do to it."""

    status: TaskStatus
    executions: int
    finished: int

    @initialize()
    def begin(self) -> None:
        self.status, self.executions, self.finished = S.NOT_ACTIVATED, 0, 0

    @rule(event=st.sampled_from(Event))
    def happen(self, event: Event) -> None:
        before = self.status
        try:
            self.status = after(before, event)
        except IllegalTransition:
            return
        if event is E.RUN:
            self.executions += 1
        if before in RUNNING and self.status in IDLE:
            self.finished += 1
        if before in IDLE and self.status in RUNNING and event is E.RESUME:
            self.finished -= 1  # it was over, and is the same execution again

    @invariant()
    def there_is_one_execution_at_a_time(self) -> None:
        assert self.executions - self.finished == (1 if self.status in RUNNING else 0)


TestExecution = Execution.TestCase


@pytest.mark.parametrize(
    ("processed", "failed", "event"),
    [
        (0, 0, E.FINISH_DONE),
        (5, 0, E.FINISH_DONE),
        (5, 1, E.FINISH_WITH_WARNINGS),
        (0, 1, E.FINISH_ERROR),
    ],
)
def test_an_execution_ends_by_what_became_of_its_files(
    processed: int, failed: int, event: Event
) -> None:
    assert final_event(processed_files=processed, failed_files=failed) is event


COUNTS = st.integers(min_value=0, max_value=2**62)


@given(st.sampled_from(TaskStatus), COUNTS, COUNTS, COUNTS, COUNTS)
def test_progress_is_a_percentage_and_full_at_the_end(
    status: TaskStatus, done_size: int, size: int, done_files: int, files: int
) -> None:
    shown = progress_percent(
        status,
        processed_size=done_size,
        to_process_size=size,
        processed_files=done_files,
        to_process_files=files,
    )
    assert 0 <= shown <= 100
    if status is S.DONE:
        assert shown == 100


def test_progress_counts_files_where_there_are_no_bytes() -> None:
    sums = {"processed_size": 0, "to_process_size": 0, "processed_files": 1, "to_process_files": 3}
    assert progress_percent(S.IN_PROGRESS, **sums) == 33
