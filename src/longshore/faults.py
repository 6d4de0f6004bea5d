"""Faults on purpose, for tests: named points at which a process dies, stops, waits or fails.

Off unless `switch_on` was called, which `bootstrap` does when the environment variable
LONGSHORE_FAULTS is set; otherwise a point costs one look at a variable. The variable holds JSON:

    {"points": [{"point": "mover.staged", "act": "kill", "claim": "/a/file", "skip": 2}],
     "clock": "/a/file",       the controller's clock goes wrong by the seconds in this file
     "storages": "/a/file"}    JSON: the root of a storage -> faults of the faulty storage

A point acts when it is reached (after it was reached `skip` times), and only if its `claim`, where
there is one, could be removed: so a test arms a point by making the file, and it acts once in
whatever process comes first. The act "note" only writes down who was there.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

VARIABLE = "LONGSHORE_FAULTS"
POINTS = (
    "supervisor.listening",  # has the socket, no process yet
    "supervisor.started",  # has started all processes; none of them is ready yet
    "controller.leading",  # holds the lease, knows nothing yet
    "controller.recovered",
    "journal.commit",  # everything written, nothing committed
    "journal.committed",
    "state.commit",
    "state.committed",
    "api.job_created",  # committed, the client not answered yet
    "mover.order",  # an order has arrived; the detail is its kind
    "mover.question",  # callbacks are asked about files of a folder next; the detail is its path
    "mover.answer",  # they have answered, and nothing has come of it yet
    "mover.file",  # a small file comes next; the detail is its name in the source
    "mover.segment",  # a segment of a big file comes next; detail: name in the source:number
    "mover.staged",  # a file is written and verified under its temporary name
    "mover.before_durable",
    "mover.before_publish",
    "mover.published",  # one file of a batch has its final name
    "mover.after_publish",  # all of them have, and durably
    "mover.reply",  # the order is carried out, the controller not told yet; detail as of the order
    "mover.replied",
)
WAIT_SECONDS_MAXIMUM = 60.0  # of a point that waits for a file: a forgotten test still ends
SLOW_SECONDS = 0.02  # one deed of a slow storage

Reach = Callable[[str, bytes], None]


@dataclass(slots=True, kw_only=True)
class Point:
    """What happens at one point. `number` is an errno, `until` the file that is waited for."""

    point: str
    act: str
    detail: str = "*"
    claim: str | None = None
    skip: int = 0
    number: int = 0
    until: str = ""
    file: str = ""  # that notes are appended to, a line each: process id, detail
    _seen: int = field(default=0)

    def __post_init__(self) -> None:
        if self.point not in POINTS or self.act not in _ACTS:
            raise ValueError(f"no fault {self.act!r} at {self.point!r}")

    def reach(self, point: str, detail: bytes) -> None:
        if point != self.point or not fnmatchcase(os.fsdecode(detail), self.detail):
            return
        self._seen += 1
        if self._seen > self.skip and self._is_claimed():
            _ACTS[self.act](self, detail)

    def _is_claimed(self) -> bool:
        if self.claim is None:
            return True
        try:
            os.unlink(self.claim)
        except FileNotFoundError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    points: Sequence[Point]
    clock: str
    storages: str


_reach: Reach | None = None
_plan = _Plan(points=(), clock="", storages="")


def at(point: str, detail: bytes = b"") -> None:
    """This point of the program is reached."""
    if _reach is not None:
        _reach(point, detail)


def are_watched(points: Collection[str]) -> bool:
    """Whether anybody may act at one of these points of the program."""
    if _reach is _reach_all:
        return any(each.point in points for each in _plan.points)
    return _reach is not None


def install(reach: Reach | None) -> None:
    """Call a function at every point of this process; None switches all points off."""
    global _reach  # noqa: PLW0603 — the one switch of the process
    _reach = reach


def switch_on(text: str | None) -> None:
    """Put the plan in force that the environment variable holds. Raises ValueError."""
    global _plan  # noqa: PLW0603
    if not text:
        return
    known: dict[str, Any] = json.loads(text)
    points = [Point(**each) for each in known.get("points", ())]
    _plan = _Plan(points=points, clock=known.get("clock", ""), storages=known.get("storages", ""))
    install(_reach_all)


def clock_of(clock: Callable[[], float]) -> Callable[[], float]:
    """The clock, or one that goes wrong as the plan says."""
    file = _plan.clock
    if not file:
        return clock
    return lambda: clock() + float(_text(file) or 0)


def nanoseconds_of(time_ns: Callable[[], int]) -> Callable[[], int]:
    """As `clock_of`, for a clock that counts nanoseconds."""
    file = _plan.clock
    if not file:
        return time_ns
    return lambda: time_ns() + round(float(_text(file) or 0) * 1e9)


def storage_faults(root: str) -> str | None:
    """The faults (JSON) that the storage with this root has just now, or None."""
    if not _plan.storages:
        return None
    found = json.loads(_text(_plan.storages) or "{}").get(root)
    return json.dumps(found) if found else None


def slow() -> None:
    """Take the time that a deed of a slow storage takes."""
    time.sleep(SLOW_SECONDS)


# ------------------------------------------------------------------------------- inside


def _reach_all(point: str, detail: bytes) -> None:
    for each in _plan.points:
        each.reach(point, detail)


def _text(file: str) -> str:
    try:
        return Path(file).read_text()
    except FileNotFoundError:
        return ""


def _kill(_: Point, __: bytes) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(_: Point, __: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _wait(point: Point, _: bytes) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAXIMUM
    while not os.path.exists(point.until) and time.monotonic() < deadline:
        time.sleep(0.01)


def _raise(point: Point, _: bytes) -> None:
    raise OSError(point.number, os.strerror(point.number))


def _note(point: Point, detail: bytes) -> None:
    descriptor = os.open(point.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"%d %b\n" % (os.getpid(), detail))
    finally:
        os.close(descriptor)


_ACTS: dict[str, Callable[[Point, bytes], None]] = {
    "kill": _kill,
    "stop": _stop,
    "wait": _wait,
    "raise": _raise,
    "note": _note,
}
