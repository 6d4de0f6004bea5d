"""Requests in flight: fewer when the store objects, more while it answers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from longshore.storage.backends.object_store.flow import REQUESTS_AT_FIRST, Flow


def test_answers_add_one_request_a_round_up_to_the_maximum() -> None:
    flow = Flow(12)
    assert flow.allowed == REQUESTS_AT_FIRST
    for _ in range(int(REQUESTS_AT_FIRST) + 1):
        flow.answered()
    assert flow.allowed == REQUESTS_AT_FIRST + 1
    for _ in range(200):
        flow.answered()
    assert flow.allowed == 12


def test_an_objection_halves_once_for_all_requests_under_way_together() -> None:
    flow = Flow(32)
    with flow.request() as first, flow.request() as second:
        flow.throttled(first)
        flow.throttled(second)
    assert flow.allowed == REQUESTS_AT_FIRST / 2
    with flow.request() as later:
        flow.throttled(later)
    assert flow.allowed == REQUESTS_AT_FIRST / 4


def test_one_request_is_always_allowed() -> None:
    flow = Flow(32)
    for _ in range(10):
        with flow.request() as number:
            flow.throttled(number)
    assert flow.allowed == 1


def test_no_more_requests_are_in_flight_than_allowed() -> None:
    flow = Flow(3)
    together = threading.Semaphore(3)

    def request(_: int) -> bool:
        with flow.request():
            free = together.acquire(blocking=False)
            if free:
                together.release()
            return free

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(request, range(500)))
