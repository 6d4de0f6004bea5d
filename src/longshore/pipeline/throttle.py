"""Holding one order to its shares of the bandwidth limits.

    a storage's limit      every byte of content that is read from it, written to it or read back
                           for verification: what the storage has to carry
    the limits of the      every byte that is read from a source, so that they can be compared with
    task and the server    the bandwidth that an execution shows

A slice ends in time however low its rates are. What it has moved beyond them, at most one file or
one segment, is its debt: the controller gives the share to nobody until the debt is paid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from longshore.domain.storage import StorageReference
from longshore.pipeline.messages.orders import Rates
from longshore.pipeline.messages.replies import Owed, StorageBytes
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.throttled import Bandwidth, ThrottledStorage


@dataclass(slots=True)
class Throttle:
    """Wraps the storages of one order. Without rates they stay as they are."""

    rates: Rates | None
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    deadline: float
    _read: Bandwidth | None = field(init=False, default=None)
    _storages: dict[StorageReference, Bandwidth] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.rates is None:
            return
        if self.rates.read is not None:
            self._read = self._bandwidth(self.rates.read)
        for each in self.rates.storages:
            self._storages[each.storage] = self._bandwidth(each.bytes_per_second)

    def source(self, handler: StorageHandler) -> StorageHandler:
        """The storage to read from."""
        limited = self.destination(handler)
        return limited if self._read is None else ThrottledStorage(limited, self._read)

    def destination(self, handler: StorageHandler) -> StorageHandler:
        """The storage to write to."""
        bandwidth = self._storages.get(handler.reference)
        return handler if bandwidth is None else ThrottledStorage(handler, bandwidth)

    def owed(self) -> Owed:
        """What has passed beyond the order's shares by now."""
        return Owed(
            [StorageBytes(key, each.owed_bytes()) for key, each in self._storages.items()],
            read=self._read.owed_bytes() if self._read is not None else 0.0,
        )

    def _bandwidth(self, bytes_per_second: float) -> Bandwidth:
        return Bandwidth(
            bytes_per_second, clock=self.monotonic, sleep=self.sleep, deadline=self.deadline
        )
