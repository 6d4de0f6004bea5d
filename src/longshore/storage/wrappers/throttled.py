"""A storage whose content passes no faster than a bandwidth limit."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from threading import Lock
from typing import Final

from longshore.storage.handler import Folder, SourceFile, StagedFile, StorageHandler
from longshore.storage.wrappers.forwarding import (
    ForwardingFolder,
    ForwardingSourceFile,
    ForwardingStagedFile,
    ForwardingStorage,
)

BURST_SECONDS: Final = 0.1
"""How much of the unused limit may be saved up: enough to even out small files, no visible peak."""

SLEEP_SECONDS_MAXIMUM: Final = 0.25
"""The longest single sleep, so that a changed limit acts at once for people's eyes."""

PIECE_SECONDS: Final = 0.1
"""How much of the limit one read or write may take: more would pass in visible bursts."""

PIECE_BYTES_MINIMUM: Final = 64 * 1024
"""The smallest piece; smaller ones would cost a system call each and smooth nothing."""


class Bandwidth:
    """A token bucket: `take` returns when so many bytes may pass.

    Several storages and threads may share one. Taking more than is saved up makes a debt that is
    slept off, so that buffers of any size pass. `bytes_per_second` may be set at any time; None is
    no limit. Nobody sleeps beyond the deadline, a time of the clock: the debt left then is the
    caller's to wait for, as `owed_bytes` says.
    """

    def __init__(
        self,
        bytes_per_second: float | None,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        deadline: float = inf,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._deadline = deadline
        self._lock = Lock()
        self._saved_bytes = 0.0
        self._counted_at = clock()
        self._rate = _checked_rate(bytes_per_second)

    @property
    def bytes_per_second(self) -> float | None:
        """The limit in force."""
        return self._rate

    @bytes_per_second.setter
    def bytes_per_second(self, rate: float | None) -> None:
        with self._lock:
            self._save()  # the time until now counts at the old limit
            self._rate = _checked_rate(rate)

    def take(self, amount: int) -> None:
        """Let so many bytes pass, as soon as the limit allows."""
        with self._lock:
            self._save()
            self._saved_bytes -= amount
            pause = self._pause()
        while pause > 0:
            self._sleep(pause)
            with self._lock:
                self._save()
                pause = self._pause()

    def _pause(self) -> float:
        """How long to sleep before the debt is looked at again; 0 where there is none to pay."""
        # Less than a byte is no debt: the clock may be too coarse for so short a sleep.
        if self._rate is None or self._saved_bytes > -1:
            return 0.0
        left = self._deadline - self._counted_at
        return max(0.0, min(-self._saved_bytes / self._rate, SLEEP_SECONDS_MAXIMUM, left))

    def owed_bytes(self) -> float:
        """How much more has passed by now than the limit allows."""
        with self._lock:
            self._save()
            return max(0.0, -self._saved_bytes)

    def piece_bytes(self, wanted: int) -> int:
        """How much of so many bytes shall be taken at once."""
        if self._rate is None:
            return wanted
        return min(wanted, max(PIECE_BYTES_MINIMUM, int(self._rate * PIECE_SECONDS)))

    def _save(self) -> None:
        now = self._clock()
        passed = max(0.0, now - self._counted_at)  # a clock set back earns nothing
        self._counted_at = now
        if self._rate is None:
            self._saved_bytes = 0.0
        else:
            saved = self._saved_bytes + passed * self._rate
            # A whole piece at least: it was saved up while another limit held it back.
            self._saved_bytes = min(saved, max(self._rate * BURST_SECONDS, PIECE_BYTES_MINIMUM))


class ThrottledStorage(ForwardingStorage):
    """The inner storage; reading, writing and reading back count against the bandwidth.

    A read may bring less than there is room for, so that low limits do not pass in bursts.
    """

    def __init__(self, inner: StorageHandler, bandwidth: Bandwidth) -> None:
        super().__init__(inner)
        self._bandwidth = bandwidth

    def wrap_folder(self, folder: Folder) -> Folder:
        return _ThrottledFolder(folder, self._bandwidth)


class _ThrottledFolder(ForwardingFolder):
    def __init__(self, inner: Folder, bandwidth: Bandwidth) -> None:
        super().__init__(inner)
        self._bandwidth = bandwidth

    def wrap_source(self, name: bytes, source: SourceFile) -> SourceFile:
        return _ThrottledSourceFile(source, self._bandwidth)

    def wrap_staged(self, temporary_name: bytes, staged: StagedFile) -> StagedFile:
        return _ThrottledStagedFile(staged, self._bandwidth)


class _ThrottledSourceFile(ForwardingSourceFile):
    def __init__(self, inner: SourceFile, bandwidth: Bandwidth) -> None:
        super().__init__(inner)
        self._bandwidth = bandwidth

    def read_into(self, buffer: memoryview, offset: int) -> int:
        piece = buffer[: self._bandwidth.piece_bytes(len(buffer))]
        got = self.inner.read_into(piece, offset)
        self._bandwidth.take(got)
        return got


class _ThrottledStagedFile(ForwardingStagedFile):
    def __init__(self, inner: StagedFile, bandwidth: Bandwidth) -> None:
        super().__init__(inner)
        self._bandwidth = bandwidth

    def write(self, data: memoryview, offset: int) -> None:
        size = self._bandwidth.piece_bytes(len(data)) or 1
        for begin in range(0, len(data), size):
            piece = data[begin : begin + size]
            self._bandwidth.take(len(piece))
            self.inner.write(piece, offset + begin)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        piece = buffer[: self._bandwidth.piece_bytes(len(buffer))]
        got = self.inner.read_into(piece, offset)
        self._bandwidth.take(got)
        return got


def _checked_rate(bytes_per_second: float | None) -> float | None:
    if bytes_per_second is not None and bytes_per_second <= 0:
        raise ValueError("a bandwidth limit must be above 0 bytes per second; None is no limit")
    return bytes_per_second
