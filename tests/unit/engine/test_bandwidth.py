"""Dividing bandwidth limits among orders."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.storage import StorageKind, StorageReference
from longshore.engine.bandwidth import LEAST_PART, PASSES_MAXIMUM, Bandwidth, Limited

SHARE = StorageReference(StorageKind.NAS_SHARE, 1)


def one(_: Limited) -> int:
    return 1


def two(_: Limited) -> int:
    return 2


def owing(amount: float) -> Callable[[Limited], float]:
    return lambda _: amount


def limited(**limits: int) -> Bandwidth:
    bandwidth = Bandwidth()
    names: dict[str, Limited] = {"server": None, "task": 7, "storage": SHARE}
    bandwidth.set_limits({names[name]: limit for name, limit in limits.items()})
    return bandwidth


def test_a_lonely_order_gets_the_whole_of_each_limit() -> None:
    bandwidth = limited(server=100, task=50)
    assert bandwidth.divide([None, 7, SHARE], 0, one) == {None: 100, 7: 50}


def test_without_a_limit_there_is_nothing_to_divide() -> None:
    assert limited().divide([None, 7, SHARE], 0, one) == {}


def test_orders_that_start_together_get_equal_shares() -> None:
    bandwidth = limited(task=100)
    first = bandwidth.divide([7], 0, two)
    assert first == {7: 50}
    bandwidth.give(1, first)
    assert bandwidth.divide([7], 0, one) == {7: 50}


def test_an_order_leaves_to_others_what_it_cannot_use() -> None:
    bandwidth = limited(task=10, storage=1_000)
    shares = bandwidth.divide([7, SHARE], 0, two)
    assert shares == {7: 5, SHARE: 5 * PASSES_MAXIMUM}
    bandwidth.give(1, shares)
    assert bandwidth.divide([SHARE], 0, lambda _: 0) == {SHARE: 985}


def test_an_order_waits_while_everything_is_given_away() -> None:
    bandwidth = limited(task=100)
    bandwidth.give(1, {7: 100})
    assert bandwidth.divide([7], 0, one) is None
    bandwidth.take_back(1, owing(0), 1)
    assert bandwidth.divide([7], 1, two) == {7: 50}


def test_an_order_that_could_only_get_a_trifle_waits() -> None:
    bandwidth = limited(task=100)
    bandwidth.give(1, {7: 100 - 50 * LEAST_PART + 1})
    assert bandwidth.divide([7], 0, one) is None


def test_a_debt_keeps_the_share_until_it_is_paid() -> None:
    bandwidth = limited(task=100)
    bandwidth.give(1, {7: 100})
    bandwidth.take_back(1, owing(500), 10)
    assert bandwidth.divide([7], 14.9, one) is None
    assert bandwidth.next_payment(14.9) == 15
    assert bandwidth.divide([7], 15, one) == {7: 100}
    assert bandwidth.next_payment(15) is None


def test_what_is_owed_to_one_limit_does_not_hold_back_another_one() -> None:
    bandwidth = limited(task=1, storage=100)
    bandwidth.give(1, {7: 1, SHARE: 50})
    bandwidth.take_back(1, lambda limited: 0.0 if limited == SHARE else 1_000.0, 0)
    assert bandwidth.divide([7], 999, one) is None
    assert bandwidth.divide([SHARE], 0, one) == {SHARE: 100}


def test_a_changed_limit_forgives_debts_and_holds_for_the_next_order() -> None:
    bandwidth = limited(task=100)
    bandwidth.give(1, {7: 100})
    bandwidth.take_back(1, owing(50_000), 0)
    bandwidth.set_limits({7: 1_000})
    assert bandwidth.divide([7], 0, one) == {7: 1_000}


def test_the_same_limit_set_again_keeps_what_is_given() -> None:
    bandwidth = limited(task=100)
    bandwidth.give(1, {7: 100})
    bandwidth.set_limits({7: 100})
    assert bandwidth.divide([7], 0, one) is None


def test_a_limit_that_is_taken_away_holds_nobody_back() -> None:
    bandwidth = limited(task=100)
    bandwidth.give(1, {7: 100})
    bandwidth.set_limits({})
    bandwidth.take_back(1, owing(500), 0)
    assert bandwidth.divide([7], 0, one) == {}
    assert bandwidth.limits([None, 7, SHARE]) == {}


@given(
    limit=st.integers(1, 10**9),
    steps=st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 4), st.floats(0, 10**10)), max_size=60
    ),
)
def test_shares_never_add_up_to_more_than_the_limit(
    limit: int, steps: list[tuple[int, int, float]]
) -> None:
    bandwidth = limited(storage=limit)
    given: dict[int, float] = {}
    for now, (work_id, contenders, owed) in enumerate(steps):
        if work_id in given:
            bandwidth.take_back(work_id, owing(owed), now)
            del given[work_id]
            continue
        shares = bandwidth.divide([SHARE], now, lambda _, n=contenders: n)  # type: ignore[misc]
        if shares is not None:
            bandwidth.give(work_id, shares)
            given[work_id] = shares[SHARE]
        assert sum(given.values()) <= limit * (1 + 1e-9)


@pytest.mark.parametrize("movers", [1, 2, 3, 8])
def test_after_one_slice_each_of_several_movers_has_its_fair_share(movers: int) -> None:
    bandwidth = limited(server=1_000)
    bandwidth.give(0, {None: 1_000})
    bandwidth.take_back(0, owing(0), 1)
    for work_id in range(movers):
        shares = bandwidth.divide([None], 1, lambda _, left=movers - work_id: left)  # type: ignore[misc]
        assert shares is not None
        assert shares[None] == pytest.approx(1_000 / movers)
        bandwidth.give(work_id, shares)
