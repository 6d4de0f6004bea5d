"""Dividing bandwidth limits among the orders under way.

    limit ──> share of each order ──> the mover holds itself to it ──> debt ──> paid by waiting

Each order gets its share when it is dispatched, and gives it back when its slice ends: a changed
limit acts within one slice. The shares that are given away never add up to more than the limit. A
slice that moved more than its share allowed (one file, one segment) leaves a debt; the share stays
taken until it is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from longshore.domain.storage import StorageReference

LEAST_PART = 0.25
"""Of a fair share. An order that could only get less waits for the next slice to end."""

PASSES_MAXIMUM = 3
"""How often a byte may pass one storage: read, written, read back. An order that is held to a low
share of one limit cannot use more than so many times as much of another, so others get it."""

Limited = StorageReference | int | None
"""What a limit belongs to: a storage, a task (by its id), or (None) the whole server."""

Shares = Mapping[Limited, float]  # bytes per second


@dataclass(slots=True)
class _Meter:
    """One limit, and what is given away of it, in bytes per second."""

    limit: float
    shares: dict[int, float] = field(default_factory=dict)  # by the id of the work under way
    debts: list[tuple[float, float]] = field(default_factory=list)  # (paid at, share)

    def free(self, now: float) -> float:
        self.debts = [(paid_at, share) for paid_at, share in self.debts if paid_at > now]
        given = sum(self.shares.values()) + sum(share for _, share in self.debts)
        return self.limit - given


@dataclass(slots=True)
class Bandwidth:
    """The limits in force. Times are seconds of the controller's monotonic clock."""

    _meters: dict[Limited, _Meter] = field(default_factory=dict)

    def set_limits(self, limits: Mapping[Limited, int]) -> None:
        """Put these limits in force and no others. A changed one forgives its debts."""
        for gone in set(self._meters) - set(limits):
            del self._meters[gone]
        for key, limit in limits.items():
            meter = self._meters.setdefault(key, _Meter(limit))
            if meter.limit != limit:
                meter.limit = limit
                meter.debts.clear()

    def limits(self, keys: Iterable[Limited]) -> dict[Limited, float]:
        """Those of the keys that have a limit."""
        return {key: self._meters[key].limit for key in keys if key in self._meters}

    def divide(
        self, keys: Iterable[Limited], now: float, contenders: Callable[[Limited], int]
    ) -> Shares | None:
        """The shares for one more order, without giving them; None when it has to wait.

        `contenders` says how many orders want a share of a limit just now, this one included.
        """
        shares: dict[Limited, float] = {}
        for key in keys:
            meter = self._meters.get(key)
            if meter is None:
                continue
            fair = meter.limit / max(1, len(meter.shares) + contenders(key))
            share = min(fair, meter.free(now))
            if share < fair * LEAST_PART:
                return None
            shares[key] = share
        useful = min(shares.values(), default=0.0) * PASSES_MAXIMUM
        return {key: min(share, useful) for key, share in shares.items()}

    def give(self, work_id: int, shares: Shares) -> None:
        for key, share in shares.items():
            self._meters[key].shares[work_id] = share

    def take_back(self, work_id: int, owed_bytes: Callable[[Limited], float], now: float) -> None:
        """The order is not under way any more; what it owes keeps its shares a little longer."""
        for key, meter in self._meters.items():
            share = meter.shares.pop(work_id, None)
            if share is not None and (owed := owed_bytes(key)) > 0:
                meter.debts.append((now + owed / share, share))

    def next_payment(self, now: float) -> float | None:
        """When the next debt is paid."""
        moments = [
            paid_at
            for meter in self._meters.values()
            for paid_at, _ in meter.debts
            if paid_at > now
        ]
        return min(moments, default=None)
