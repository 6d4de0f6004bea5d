"""Trying a script over some files: what it would decide, before anything depends on it.

    files, one by one ──> groups ──> CallbackFilter ──> counts, samples, output, time

A trial has an end whatever the script does: it is bounded in files and in time, and the first
groups are small, so that a slow or failing script still shows what it did to single files.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .errors import CallbackGaveUp
from .filter import CallbackFilter
from .language import language_of
from .limits import DEFAULT_LIMITS, Limits
from .values import Answer, Decisions, FileInfo, Language, ScriptFailure

GROUP_FILES_MAXIMUM = 1000
"""As many as a mover puts to a callback at once, so that the time per file is that of a run."""

GROUP_GROWTH = 4
FAST_SECONDS = 0.05
"""After a group this fast the next one may be larger: about ten looks at the clock per second."""

SLOW_SECONDS = 0.5
"""After a group this slow files are asked one by one, so that none hides behind another."""

LEAST_BUDGET_SECONDS = 1e-9
"""Nothing per file: a trial's time does not grow with what it has looked at."""


class Stop(StrEnum):
    """Why a trial ended before the files did."""

    FILES = "files"
    SECONDS = "seconds"
    CALLBACK = "callback"  # it ran out of time or lost its process too often


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a trial goes: files and seconds, samples of each kind, lines of output."""

    files: int = 10_000
    seconds: float = 10.0
    samples: int = 20
    output_lines: int = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of a trial, with its failure where the script failed on it."""

    file: FileInfo
    failure: ScriptFailure | None = None
    timed_out: bool = False


@dataclass(slots=True, kw_only=True)
class Trial:
    """What a script decided. `stopped` is None when it was asked about every file.

    `seconds_per_file` leaves out the start of the worker, so one file alone says nothing about it.
    """

    language: Language
    files: int = 0
    accepted: int = 0
    accepted_bytes: int = 0
    refused: int = 0
    failed: int = 0
    timed_out: int = 0
    stopped: Stop | None = None
    reason: str | None = None
    seconds: float = 0.0
    seconds_per_file: float | None = None
    accepted_samples: list[Sample] = field(default_factory=list)
    refused_samples: list[Sample] = field(default_factory=list)
    failed_samples: list[Sample] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    output_truncated: bool = False


def try_script(
    script: str,
    found: Iterator[FileInfo | None],
    *,
    limits: Limits = DEFAULT_LIMITS,
    bounds: Bounds,
    task_id: int = 0,
) -> Trial:
    """Ask the script about the files found; None among them is only a moment to look at the clock.

    SandboxUnavailable when no worker can be locked down. The calling thread has to stay alive.
    """
    # The filter's own budget ends a group that would run far beyond the trial's time.
    bounded = replace(
        limits,
        budget_slack_seconds=bounds.seconds + limits.hard_timeout_seconds,
        budget_seconds_per_file=LEAST_BUDGET_SECONDS,
    )
    trial = Trial(language=language_of(script))
    with CallbackFilter(script, task_id=task_id, limits=bounded) as callback:
        _Trying(trial, callback, found, bounds).run()
    return trial


@dataclass(slots=True)
class _Trying:
    trial: Trial
    callback: CallbackFilter
    found: Iterator[FileInfo | None]
    bounds: Bounds
    began: float = field(default_factory=time.monotonic)
    group: int = 1
    # The first question also starts the worker, which says nothing about the time per file.
    first_seconds: float = 0.0
    first_files: int = 0

    def run(self) -> None:
        while files := self._next_group():
            began = time.monotonic()
            try:
                decisions = self.callback.decide(files)
            except CallbackGaveUp as error:
                self._give_up(error)
                break
            self._count(files, decisions)
            self._adapt(time.monotonic() - began)
        self.trial.seconds = self._elapsed()
        self.trial.seconds_per_file = self._seconds_per_file()

    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _next_group(self) -> list[FileInfo]:
        """The next files to ask about; none when the trial ends, and then `stopped` says why."""
        files: list[FileInfo] = []
        room = min(self.group, self.bounds.files - self.trial.files)
        while len(files) < max(1, room):
            if self._elapsed() >= self.bounds.seconds:
                self.trial.stopped = Stop.SECONDS
                return []
            try:
                file = next(self.found)
            except StopIteration:
                return files
            if file is not None:
                files.append(file)
        if room <= 0:
            self.trial.stopped = Stop.FILES  # there would have been one more
            return []
        return files

    def _adapt(self, seconds: float) -> None:
        is_first = not self.first_files
        if is_first:
            self.first_seconds, self.first_files = self.callback.usage.seconds, self.trial.files
        if seconds > SLOW_SECONDS:
            self.group = 1
        elif is_first or seconds < FAST_SECONDS:
            self.group = min(self.group * GROUP_GROWTH, GROUP_FILES_MAXIMUM)

    def _give_up(self, error: CallbackGaveUp) -> None:
        if self._elapsed() >= self.bounds.seconds:
            self.trial.stopped = Stop.SECONDS
        else:
            self.trial.stopped, self.trial.reason = Stop.CALLBACK, error.reason

    def _seconds_per_file(self) -> float | None:
        usage = self.callback.usage
        if not self.first_files or usage.files <= self.first_files:
            return None
        return (usage.seconds - self.first_seconds) / (usage.files - self.first_files)

    def _count(self, files: list[FileInfo], decisions: Decisions) -> None:
        trial = self.trial
        trial.files += len(files)
        for index, (file, answer) in enumerate(zip(files, decisions.answers, strict=True)):
            if answer == Answer.ACCEPTED:
                trial.accepted += 1
                trial.accepted_bytes += file.size
                self._keep(trial.accepted_samples, Sample(file))
            elif answer == Answer.REFUSED:
                trial.refused += 1
                self._keep(trial.refused_samples, Sample(file))
            else:
                late = answer == Answer.TIMED_OUT
                trial.timed_out += late
                trial.failed += not late
                self._keep(trial.failed_samples, Sample(file, decisions.failures[index], late))
        room = self.bounds.output_lines - len(trial.output)
        trial.output += decisions.log_lines[:room]
        cut = len(decisions.log_lines) > room or decisions.log_truncated
        trial.output_truncated = trial.output_truncated or cut

    def _keep(self, samples: list[Sample], sample: Sample) -> None:
        if len(samples) < self.bounds.samples:
            samples.append(sample)
