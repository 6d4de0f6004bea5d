"""Errands: beside each other, in order where they wait, and never held against who asks."""

from __future__ import annotations

import threading

import pytest

from longshore.services.errands import ERRANDS_WAITING_MAXIMUM, Errands, TooBusy
from tests.servers import wait_until

SECONDS = 30.0  # for what happens at once on an idle machine


def test_so_many_errands_are_out_at_once() -> None:
    errands, together = Errands(3), threading.Barrier(4, timeout=SECONDS)

    def meet() -> None:
        together.wait()

    for _ in range(3):
        errands.begin(meet)
    together.wait()


def test_an_errand_brings_its_result_or_its_error() -> None:
    errands = Errands()
    assert errands.ask(lambda: 5, seconds=SECONDS) == 5
    with pytest.raises(ZeroDivisionError):
        errands.ask(lambda: 1 // 0, seconds=SECONDS)
    assert errands.ask(lambda: 6, seconds=SECONDS) == 6


def test_who_asks_waits_no_longer_than_said_and_the_errand_goes_on() -> None:
    errands, gate, done = Errands(), threading.Event(), threading.Event()

    def deed() -> None:
        assert gate.wait(SECONDS)
        done.set()

    with pytest.raises(TimeoutError):
        errands.ask(deed, seconds=0.01)
    gate.set()
    assert done.wait(SECONDS)


def test_more_than_may_wait_are_refused() -> None:
    errands, gate, begun = Errands(1), threading.Event(), threading.Event()
    done: list[int] = []

    def first() -> None:
        begun.set()
        assert gate.wait(SECONDS)

    errands.begin(first)
    assert begun.wait(SECONDS)
    for number in range(ERRANDS_WAITING_MAXIMUM):
        errands.begin(lambda number=number: done.append(number))  # type: ignore[misc]
    with pytest.raises(TooBusy):
        errands.begin(gate.set)
    gate.set()
    wait_until(lambda: len(done) == ERRANDS_WAITING_MAXIMUM, "all of them")
    assert done == list(range(ERRANDS_WAITING_MAXIMUM))
