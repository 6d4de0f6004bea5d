"""Whether this machine can hold a script: tried at server start, from inside locked workers."""

import os
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Final

import msgspec

from .errors import SandboxUnavailable, WorkerLost
from .language import NAMES, language_of
from .limits import DEFAULT_LIMITS, Limits
from .process import WorkerProcess
from .starting import with_live_worker
from .values import Language, printable
from .worker import frames

EXPECTED_REFUSAL: Final = "EPERM"
EXPECTED_DEATH: Final = "it was killed for a forbidden system call"

ATTEMPTS: Final = frozenset(
    {
        "open a file",
        "create a file",
        "open a socket",
        "start a process",
        "run a program",
        "signal the server",
        "make memory executable",
    }
)
"""What a worker has to report on; one that leaves something out has not passed."""

_KERNEL_RECORD: Final = {"Seccomp": "2", "NoNewPrivs": "1", "Threads": "1", "CapEff": "0" * 16}
"""What the kernel itself has to say about the worker, where /proc may be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxReport:
    """What the self-test found. Callbacks may be used only while `ok`; `reason` says why not."""

    ok: bool
    reason: str | None = None
    seccomp: bool = False
    landlock: int = 0
    uid_dropped: bool = False
    languages: frozenset[Language] = frozenset()
    attempts: Mapping[str, str] = field(default_factory=dict)

    def refusal(self, script: str) -> str | None:
        """Why this script may not run on this machine; None when it may."""
        if not self.ok:
            return f"callbacks cannot run on this server: {self.reason}"
        language = language_of(script)
        if language not in self.languages:
            return f"callbacks in {NAMES[language]} cannot run on this server"
        return None


def self_test(*, limits: Limits = DEFAULT_LIMITS) -> SandboxReport:
    """Try what a hostile script would try, in both languages' workers; never raises.

    Not ok as soon as one attempt goes through, a required feature is missing, or the Python worker
    does not start. `languages` holds those whose workers passed: without the QuickJS package
    callbacks work, but only in Python. A language that is switched off is not tried.
    """
    if not limits.languages:
        return SandboxReport(ok=False, reason="callbacks are switched off on this server")
    if Language.PYTHON not in limits.languages:
        return _tested(Language.JAVASCRIPT, limits)
    report = _tested(Language.PYTHON, limits)
    if not report.ok or Language.JAVASCRIPT not in limits.languages:
        return report
    javascript = _tested(Language.JAVASCRIPT, limits)
    if javascript.seccomp and not javascript.ok:
        return javascript  # its worker starts and does not hold, which is worse than its absence
    return replace(report, languages=report.languages | javascript.languages)


def begin_self_test(limits: Limits) -> Future[SandboxReport]:
    """Start the self-test in a thread of its own, beside the start of a server's process."""
    report: Future[SandboxReport] = Future()

    def run() -> None:
        try:
            report.set_result(self_test(limits=limits))
        except Exception as error:  # the top of the thread; the report's reader logs it
            report.set_result(SandboxReport(ok=False, reason=f"the self-test failed: {error!r}"))

    # A daemon: a server that is told to end does not wait for a worker that does not answer.
    Thread(target=run, name="callbacks self-test", daemon=True).start()
    return report


def _tested(language: Language, limits: Limits) -> SandboxReport:
    try:
        return with_live_worker(lambda: _examined(language, limits))
    except SandboxUnavailable as error:
        return SandboxReport(ok=False, reason=str(error))
    except WorkerLost as error:
        return SandboxReport(ok=False, reason=f"the worker did not start: {error}")


def _examined(language: Language, limits: Limits) -> SandboxReport:
    worker = WorkerProcess(language, limits)
    try:
        attempts = _attempts(worker, limits)
        reason = _first_complaint(attempts) or _complaint_of_kernel(worker.pid)
        if reason is None:
            _provoke_death(worker, limits)
    except (WorkerLost, msgspec.MsgspecError) as error:
        if isinstance(error, WorkerLost) and error.killed:
            raise
        attempts, reason = {}, f"the self-test failed: {printable(str(error), 200)}"
    finally:
        worker.close()
    return SandboxReport(
        ok=reason is None,
        reason=reason,
        seccomp=worker.ready.seccomp,
        landlock=worker.ready.landlock_abi,
        uid_dropped=worker.ready.uid_dropped,
        languages=frozenset({language}) if reason is None else frozenset(),
        attempts=attempts,
    )


def _attempts(worker: WorkerProcess, limits: Limits) -> dict[str, str]:
    timeout_seconds = limits.start_timeout_seconds
    worker.send(frames.PROBE, b"", timeout_seconds=timeout_seconds)
    kind, body = worker.receive(timeout_seconds=timeout_seconds)
    if kind != frames.PROBED:
        raise WorkerLost("an unexpected answer")
    return msgspec.msgpack.decode(body, type=dict[str, str])


def _first_complaint(attempts: Mapping[str, str]) -> str | None:
    for attempt in sorted(ATTEMPTS):
        outcome = attempts.get(attempt, "not tried")
        if outcome != EXPECTED_REFUSAL:
            return f"the self-test could {attempt}: {printable(outcome, 100)}"
    return None


def _complaint_of_kernel(pid: int) -> str | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return None  # hidden by the way /proc is mounted; the attempts have been made all the same
    record = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    for name, expected in _KERNEL_RECORD.items():
        if record.get(name) != expected:
            return f"the kernel says {name} {record.get(name)} of the worker, not {expected}"
    if os.geteuid() == 0 and "0" in record["Uid"].split():
        return "the worker is still root"
    return None


def _provoke_death(worker: WorkerProcess, limits: Limits) -> None:
    timeout_seconds = limits.start_timeout_seconds
    worker.send(frames.PROBE, b"", timeout_seconds=timeout_seconds)
    try:
        worker.receive(timeout_seconds=timeout_seconds)
    except WorkerLost as error:
        if str(error) == EXPECTED_DEATH:
            return
        raise
    raise WorkerLost("a forbidden system call did not end the worker")
