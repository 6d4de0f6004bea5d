"""Time, processor time and memory of a piece of work, of all processes that do it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

SAMPLE_SECONDS = 0.05  # between two looks at the processes; a peak shorter than that is missed
LOOKING_PART = 0.02
"""Of a processor's time, for these looks at most: on a small machine they would slow down what they
look at, and more so the more processes it has."""


@dataclass(slots=True)
class Cost:
    """Seconds on the clock, processor seconds and the highest memory in bytes."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0


@contextmanager
def measured(processes: Callable[[], list[psutil.Process]]) -> Iterator[Cost]:
    """What the block costs: memory of the processes as sampled, seconds of the block itself."""
    cost, over = Cost(), threading.Event()

    def sample() -> None:
        pause = SAMPLE_SECONDS
        while not over.wait(pause):
            begun = time.thread_time()
            cost.memory = max(cost.memory, sum(map(memory_of, processes())))
            pause = max(SAMPLE_SECONDS, (time.thread_time() - begun) / LOOKING_PART)

    sampler = threading.Thread(target=sample)
    sampler.start()
    begun = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - begun
        over.set()
        sampler.join()


def memory_of(process: psutil.Process) -> int:
    """The process's own memory and its share of what it shares (PSS), in bytes."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        with contextlib.suppress(psutil.Error):
            return int(process.memory_info().rss)
    return 0


def cpu_of(processes: list[psutil.Process]) -> float:
    """Processor seconds of the processes so far."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all below it."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
