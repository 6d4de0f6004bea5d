"""Errands: work of the api that waits for other machines, beside the requests that ask for it.

No request waits for the network: a request begins an errand and answers, or waits for one for a
limited time. What a machine that is gone holds up are these threads, and never the api's own.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

from longshore.observability import logger

ERRANDS_MAXIMUM = 4  # at once: each is a thread, and little happens at the same time
ERRANDS_WAITING_MAXIMUM = 32  # more are refused: people do not start as many by hand
IDLE_SECONDS = 30.0  # after so long without work a thread ends

ResultT = TypeVar("ResultT")

_log = logger("api")


class TooBusy(Exception):
    """As many errands wait already as may."""


class _Answer(Generic[ResultT]):
    """What an errand brings, once it is back."""

    def __init__(self) -> None:
        self._back = Event()
        self._value: ResultT | None = None
        self._error: BaseException | None = None

    def fill(self, deed: Callable[[], ResultT]) -> None:
        try:
            self._value = deed()
        except Exception as error:  # it belongs to whoever waits
            self._error = error
        self._back.set()

    def wait(self, seconds: float) -> ResultT:
        if not self._back.wait(seconds):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class Errands:
    """Runs deeds in threads of its own, in the order in which they come. Safe for all threads."""

    def __init__(self, maximum: int = ERRANDS_MAXIMUM) -> None:
        self._maximum = maximum
        self._waiting: Queue[Callable[[], None]] = Queue(ERRANDS_WAITING_MAXIMUM)
        self._lock = Lock()
        self._threads = 0
        self._unfinished = 0  # deeds that wait or are being done

    def begin(self, deed: Callable[[], None]) -> None:
        """Have the deed done soon. Raises TooBusy."""
        with self._lock:
            try:
                self._waiting.put_nowait(deed)
            except Full:
                raise TooBusy from None
            self._unfinished += 1
            if self._threads < min(self._unfinished, self._maximum):
                self._threads += 1
                Thread(target=self._work, name="errand", daemon=True).start()

    def ask(self, deed: Callable[[], ResultT], *, seconds: float) -> ResultT:
        """The deed's result, or what it raises. Raises TimeoutError, TooBusy.

        A deed that takes longer goes on, and nobody hears of it.
        """
        answer: _Answer[ResultT] = _Answer()
        self.begin(lambda: answer.fill(deed))
        return answer.wait(seconds)

    def _work(self) -> None:
        while True:
            try:
                deed = self._waiting.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._threads -= 1
                        return
                continue
            try:
                deed()
            except Exception as error:  # the top of this thread's work
                _log.error("an errand failed", error=repr(error))
            with self._lock:
                self._unfinished -= 1
