"""Where movers run. An executor takes work orders and gives futures of replies.

`local` runs mover processes on this machine. Another one only has to fit `Executor`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from longshore.domain.errors import LongshoreError
from longshore.pipeline.messages import Reply, WorkOrder


class MoverDied(LongshoreError):
    """The mover ended while it worked on the order; the order may have been begun."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply, and the mover that gave it: it may have kept something for the next slice."""

    reply: Reply
    mover: int


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

    async def start(self) -> None:
        """Start the movers; returns when orders may be submitted."""

    async def stop(self, *, timeout_seconds: float) -> None:
        """Let orders under way end until the timeout, then end all movers."""
