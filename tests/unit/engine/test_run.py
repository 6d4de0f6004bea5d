"""What the controller remembers of a run between two looks into the journal."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from longshore.database.journal import WorkItem, WorkState
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.domain.execution import TaskStatus
from longshore.engine.run import (
    HELD_PHASES,
    ITEMS_IN_MEMORY,
    LOST_RETRY_JITTER,
    LOST_RETRY_SECONDS,
    LOST_RETRY_SECONDS_MAXIMUM,
    Run,
    Wish,
)
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.replies import Lost
from tests.pipelines import Bench

LOST = Lost(
    Side.DESTINATION, FileFailure(ErrorKind.NO_SPACE, Stage.TRANSFER, Side.DESTINATION, "full")
)


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    plan = Bench(tmp_path_factory.mktemp("bench")).plan()
    return Run(
        execution_id=1,
        task_id=1,
        priority=5,
        status=TaskStatus.IN_PROGRESS,
        plan=plan,
        plan_bytes=b"",
        active_since=0.0,
        active_seconds=0.0,
    )


def items(
    count: int,
    *,
    kind: WorkKind = WorkKind.COPY,
    first: int = 1,
    state: WorkState = WorkState.READY,
) -> list[WorkItem]:
    return [
        WorkItem(
            id=first + number,
            execution_id=1,
            kind=kind,
            state=state,
            attempts=0,
            files=1,
            size=1,
            payload=b"",
        )
        for number in range(count)
    ]


def take_all(run: Run, now: float = 0.0) -> list[int]:
    taken = iter(lambda: run.take(WorkKind.COPY, now), None)
    return [item.id for item in taken]


def test_items_come_out_in_the_order_in_which_they_came(run: Run) -> None:
    run.added(items(5))
    assert take_all(run) == [1, 2, 3, 4, 5]


def test_memory_holds_a_limited_number_of_items_and_counts_all(run: Run) -> None:
    run.added(items(ITEMS_IN_MEMORY + 10))
    assert run.unfinished() == ITEMS_IN_MEMORY + 10
    assert len(take_all(run)) == ITEMS_IN_MEMORY


def test_a_later_item_does_not_overtake_those_that_are_only_in_the_journal(run: Run) -> None:
    run.added(items(ITEMS_IN_MEMORY + 1))
    first = run.take(WorkKind.COPY, 0.0)
    assert first is not None
    run.dispatched(first)
    run.removed(first)
    run.added(items(1, first=10_000))
    assert 10_000 not in take_all(run)


def test_an_item_that_came_back_is_taken_again_but_not_before_its_time(run: Run) -> None:
    run.added(items(2))
    first = run.take(WorkKind.COPY, 0.0)
    assert first is not None
    run.dispatched(first)
    run.returned(first)
    run.not_before[first.id] = 10.0
    assert take_all(run, now=9.0) == [2]
    assert take_all(run, now=10.0) == [1]


def test_a_part_that_came_back_goes_before_the_parts_behind_it(run: Run) -> None:
    run.added(items(4, kind=WorkKind.PART))
    first, second = run.take(WorkKind.PART, 0.0), run.take(WorkKind.PART, 0.0)
    assert first is not None
    assert second is not None
    run.dispatched(first)
    run.dispatched(second)
    run.returned(first)
    run.not_before[first.id] = 10.0
    third = run.take(WorkKind.PART, 9.0)
    assert third is not None
    assert third.id == 3, "the first one has to wait"
    taken = iter(lambda: run.take(WorkKind.PART, 10.0), None)
    assert [item.id for item in taken] == [first.id, 4]


def test_only_what_nobody_has_begun_is_fresh(run: Run) -> None:
    run.added(items(2))
    first, second = items(2)
    run.dispatched(first)
    assert not run.is_fresh(first)
    assert run.is_fresh(second)
    run.recovered = True
    assert not run.is_fresh(second)


def test_what_slices_that_ended_in_order_leave_is_fresh_until_one_does_not(run: Run) -> None:
    run.added(items(1))
    (batch,) = items(1)
    for _ in range(3):
        assert run.is_fresh(batch)
        run.dispatched(batch)
        assert not run.is_fresh(batch)
        run.ended_in_order(batch.id)
        run.returned(batch)
    run.dispatched(batch)
    run.returned(batch)  # its mover died: what it had begun nobody knows
    assert not run.is_fresh(batch)
    run.dispatched(batch)
    run.ended_in_order(batch.id)  # before it came to all that the dead one had begun
    assert not run.is_fresh(batch)


def test_held_work_follows_phase_by_phase_when_all_other_is_finished(run: Run) -> None:
    numbers = itertools.count(100)
    for kind in reversed(HELD_PHASES):
        run.added(items(1, kind=kind, first=next(numbers), state=WorkState.HELD))
    run.added(items(1))
    assert run.next_phase() is None
    (work,) = items(1)
    run.dispatched(work)
    assert run.next_phase() is None
    run.removed(work)
    seen = []
    while (phase := run.next_phase()) is not None:
        assert not run.is_finished()
        seen.append(phase)
        run.held[phase] = 0
    assert seen == list(HELD_PHASES)
    assert run.is_finished()


def test_a_run_dispatches_no_more_than_its_workers_and_nothing_once_it_is_to_pause(
    run: Run,
) -> None:
    assert run.wants_to_dispatch(0.0)
    (work,) = items(1)
    run.added([work])
    run.dispatched(work)
    assert not run.wants_to_dispatch(0.0), "its plan has one worker"
    run.returned(work)
    run.wish = Wish.PAUSE
    assert not run.wants_to_dispatch(0.0)


def test_pauses_of_a_lost_storage_double_up_to_their_limit_and_are_spread(run: Run) -> None:
    now, random, pauses = 100.0, Random(3), []
    for _ in range(10):
        run.lose(LOST, now, random)
        pauses.append(run.retry_at - now)
    expected = [min(LOST_RETRY_SECONDS * 2**n, LOST_RETRY_SECONDS_MAXIMUM) for n in range(10)]
    for pause, middle in zip(pauses, expected, strict=True):
        assert middle <= pause <= middle * (1 + LOST_RETRY_JITTER)
    assert len({pause / middle for pause, middle in zip(pauses, expected, strict=True)}) == 10
    assert not run.wants_to_dispatch(now)
    run.found_again()
    assert run.wants_to_dispatch(now)
    assert run.reason is None


def test_two_runs_that_lose_a_storage_together_come_back_apart(run: Run) -> None:
    moments = set()
    for seed in range(5):
        run.found_again()
        run.lose(LOST, 0.0, Random(seed))
        moments.add(run.retry_at)
    assert len(moments) == 5
