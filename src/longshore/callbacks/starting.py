"""Another try with a new worker where somebody has killed the last one before it was asked."""

from collections.abc import Callable
from typing import Final, TypeVar

from .errors import WorkerLost

T = TypeVar("T")

STARTS_MAXIMUM: Final = 3
"""Workers started for one purpose. The kernel kills one when memory is short, an operator by
mistake: neither is a verdict on the script or on the machine, and a third death is no accident."""


def with_live_worker(attempt: Callable[[], T]) -> T:
    """What the attempt returns; it is made again when its worker was killed from outside.

    WorkerLost from the last attempt, and from any whose worker ended in another way.
    """
    for _ in range(STARTS_MAXIMUM - 1):
        try:
            return attempt()
        except WorkerLost as loss:
            if not loss.killed:
                raise
    return attempt()
