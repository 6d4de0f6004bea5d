"""Where movers run. An executor takes work orders and gives futures of replies.

`local` runs mover processes on this machine. Another one only has to fit `Executor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from longshore.domain.errors import LongshoreError
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.replies import Reply

if TYPE_CHECKING:
    import asyncio


class MoverDied(LongshoreError):
    """The mover ended while it worked on the order; the order may have been begun."""


class DiedBefore(LongshoreError):
    """The mover ended while the order lay behind another one: what it died of was not this one."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply, and the mover that gave it: it may have kept something for the next slice."""

    reply: Reply
    mover: int
    seconds: float = 0.0  # that it took the mover, as far as the controller can tell


class Executor(Protocol):
    """Runs work orders on movers. All methods belong to one event loop."""

    def free(self) -> int:
        """How many orders could start at once."""

    def is_busy(self, mover: int) -> bool:
        """Whether this mover, as a Completion names it, works on an order just now."""

    def submit(self, order: WorkOrder, *, prefer: int | None = None) -> asyncio.Future[Completion]:
        """Start the order on a free mover, on the preferred one if it is free.

        The future ends with a Completion or with MoverDied. Raises RuntimeError when none is free.
        """

    def with_one_order(self) -> dict[int, int]:
        """The movers that work on an order and have no further one: each with its work id."""

    def submit_behind(self, order: WorkOrder, mover: int) -> asyncio.Future[Completion]:
        """Let one of these movers begin the order as soon as it has replied to its present one.

        The future ends with a Completion, with MoverDied if the mover may have begun the order, or
        with DiedBefore.
        """

    async def start(self) -> None:
        """Start the movers; returns when orders may be submitted."""

    async def stop(self, *, timeout_seconds: float) -> None:
        """Let orders under way end until the timeout, then end all movers."""
