"""One hostile script put to a real worker, and how it has to end.

Every script is asked about the same twenty files and turns hostile at one of them, unless it says
otherwise. Imports nothing but the sandbox and the standard library, since an ordinary user's
interpreter without the test tools runs it too.
"""

import enum
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from longshore.callbacks import (
    Answer,
    CallbackFilter,
    CallbackGaveUp,
    FileInfo,
    Limits,
    SandboxUnavailable,
    self_test,
)

LIMITS = Limits(
    soft_timeout_seconds=0.3,
    hard_timeout_seconds=0.8,
    max_deaths=2,
    budget_slack_seconds=10.0,
    budget_seconds_per_file=0.001,
)

SMALL_BUDGET = replace(LIMITS, budget_slack_seconds=1.0)
"""For scripts that are slow without ever reaching a limit of one file."""

FILES = 20
EVIL = 7


class Ending(enum.Enum):
    """The documented ways a hostile script may end."""

    FAILS = "its file fails, the others are answered"
    TIMES_OUT = "its file runs out of time, the others are answered"
    STOPS = "the execution is stopped with the reason"
    INVALID = "it does not load"
    HARMLESS = "it gets nothing and its files are answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A script, the ending it must come to, and a pattern that the text of that ending matches.

    Where the interpreter's version or the machine's speed decides between two documented endings,
    `or_ending` names the second one.
    """

    name: str
    script: str
    ending: Ending
    text: str = ""
    or_ending: Ending | None = None
    limits: Limits = LIMITS


def files() -> list[FileInfo]:
    """Return the files every script is asked about; the hostile moment is the one named evil."""
    return [
        FileInfo(
            path=b"/evil" if number == EVIL else b"/file-%d" % number,
            mode=0o100644,
            uid=1000,
            gid=1000,
            size=number,
            atime_ns=0,
            mtime_ns=0,
            ctime_ns=0,
        )
        for number in range(FILES)
    ]


def complaint(case: Case) -> str | None:
    """Run a case and return how its end differs from the documented one, None when it does not."""
    with CallbackFilter(case.script, task_id=1, limits=case.limits) as callback:
        try:
            decisions = callback.decide(files())
        except CallbackGaveUp as error:
            return _compare(case, _stopped_as(error), error.reason)
    expected = bytearray((Answer.ACCEPTED,)) * FILES
    expected[EVIL] = decisions.answers[EVIL]
    if decisions.answers != expected:
        return f"other files were affected: {list(decisions.answers)}, {decisions.failures}"
    failure = decisions.failures.get(EVIL)
    ending = _ENDINGS.get(Answer(decisions.answers[EVIL]))
    return _compare(case, ending, failure.text if failure else "")


def closed(case: Case) -> str | None:
    """Return None where no worker can be locked down and no script runs, else what happened."""
    with CallbackFilter(case.script, task_id=1, limits=case.limits) as callback:
        try:
            return f"the machine cannot hold scripts, yet answered {callback.decide(files())}"
        except SandboxUnavailable:
            return None


def judge() -> Callable[[Case], str | None]:
    """Return what judges a case on this machine: as documented, or closed where it cannot lock."""
    return complaint if self_test(limits=LIMITS).ok else closed


def living_children() -> list[int]:
    """Return the processes this one has started and that are still there."""
    pid = os.getpid()
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


_ENDINGS = {
    Answer.ERROR: Ending.FAILS,
    Answer.TIMED_OUT: Ending.TIMES_OUT,
    Answer.ACCEPTED: Ending.HARMLESS,
}


def _stopped_as(error: CallbackGaveUp) -> Ending:
    return Ending.INVALID if "cannot be loaded" in error.reason else Ending.STOPS


def _compare(case: Case, ending: Ending | None, text: str) -> str | None:
    if ending not in (case.ending, case.or_ending):
        return f"ended as {ending}, not as {case.ending}: {text}"
    if re.search(case.text, text, re.DOTALL) is None:
        return f"says {text!r}, which does not match {case.text!r}"
    return None
