"""Workers do not outlive the process that started them, however that process ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from longshore.callbacks import CallbackFilter, FileInfo, SandboxUnavailable, self_test

from .trial import LIMITS, files

WAIT_SECONDS = 10.0
"""For a process to end or a line to come on a busy machine."""

DEAF = """
import utils
signal = __import__("signal", {})
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_IGN)
def run(req):
    if utils.get_node_info(req).size == 0: return True
    signal.setitimer(0, 0)
    while True: pass
"""

PARENT = """
import sys, threading
from longshore.callbacks import CallbackFilter, FileInfo, Limits
limits = Limits(soft_timeout_seconds=20, hard_timeout_seconds=60)
file = FileInfo(b"/x", 0, 0, 0, 0, 0, 0, 0)
callback = CallbackFilter(sys.stdin.read(), task_id=1, limits=limits)
callback.decide([file])
print(callback.worker_pid, flush=True)
callback.decide([FileInfo(b"/x", 0, 0, 0, 1, 0, 0, 0)])
"""


def eventually(condition: Callable[[], bool]) -> bool:
    """Return whether the condition comes true within the limit."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
    return True


def closed_here() -> bool:
    """Return whether this machine starts no workers; then make sure that it really starts none."""
    if self_test(limits=LIMITS).ok:
        return False
    with pytest.raises(SandboxUnavailable):
        CallbackFilter(DEAF, task_id=1, limits=LIMITS).decide(files())
    return True


def gone(pid: int) -> bool:
    """Return whether no living process has this number."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=lambda end: end.name)
def test_a_worker_that_ignores_everything_ends_with_its_parent(end: signal.Signals) -> None:
    if closed_here():
        return
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(DEAF)
        parent.stdin.close()
        worker = int(parent.stdout.readline())
        assert eventually(lambda: psutil.Process(worker).cpu_percent(0.02) > 1)
        os.kill(parent.pid, end)
        assert eventually(lambda: gone(worker))


def test_an_idle_worker_ends_when_its_filter_is_closed_or_forgotten() -> None:
    if closed_here():
        return
    script = "def run(req): return True\n"
    file = FileInfo(b"/x", 0, 0, 0, 0, 0, 0, 0)
    closed = CallbackFilter(script, task_id=1, limits=LIMITS)
    closed.decide([file])
    forgotten = CallbackFilter(script, task_id=1, limits=LIMITS)
    forgotten.decide([file])
    workers = (closed.worker_pid, forgotten.worker_pid)
    closed.close()
    del forgotten
    for worker in workers:
        assert worker is not None
        assert not psutil.pid_exists(worker)


def test_a_worker_killed_from_outside_costs_no_file_its_answer() -> None:
    if closed_here():
        return
    with CallbackFilter("def run(req): return True\n", task_id=1, limits=LIMITS) as callback:
        callback.decide(files())
        first = callback.worker_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert set(callback.decide(files()).answers) == {1}
        assert callback.worker_pid != first
        assert callback.usage.deaths == 0
