"""A worker that somebody kills before it is asked says nothing about the script or the machine."""

from __future__ import annotations

import subprocess

import pytest

from longshore.callbacks import CallbackFilter, CallbackGaveUp, process, self_test, validate
from longshore.callbacks.starting import STARTS_MAXIMUM

from .examples import file

pytestmark = pytest.mark.usefixtures("sandbox")

SCRIPT = "def run(req):\n    return True\n"


def kill_the_first(monkeypatch: pytest.MonkeyPatch, deaths: int) -> None:
    """Let so many workers die as soon as they are started."""
    spawn = process._spawn
    started = 0

    def spawn_and_kill(settings: dict[str, object], passed: list[int]) -> subprocess.Popen[bytes]:
        nonlocal started
        started += 1
        worker = spawn(settings, passed)
        if started <= deaths:
            worker.kill()
        return worker

    monkeypatch.setattr(process, "_spawn", spawn_and_kill)


def test_a_filter_starts_another_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    kill_the_first(monkeypatch, STARTS_MAXIMUM - 1)
    with CallbackFilter(SCRIPT, task_id=1) as callback:
        assert callback.decide([file()]).answers == b"\1"


def test_a_filter_gives_up_when_every_worker_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    kill_the_first(monkeypatch, STARTS_MAXIMUM)
    with (
        CallbackFilter(SCRIPT, task_id=1) as callback,
        pytest.raises(CallbackGaveUp, match="SIGKILL"),
    ):
        callback.decide([file()])


def test_a_script_is_stored_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kill_the_first(monkeypatch, STARTS_MAXIMUM - 1)
    assert validate(SCRIPT) is None


def test_the_self_test_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kill_the_first(monkeypatch, STARTS_MAXIMUM - 1)
    assert self_test().ok


def test_the_self_test_fails_when_every_worker_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    kill_the_first(monkeypatch, STARTS_MAXIMUM)
    report = self_test()
    assert (report.ok, "SIGKILL" in (report.reason or "")) == (False, True)
