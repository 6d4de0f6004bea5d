import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from longshore.callbacks import CallbackFilter, Language, self_test
from longshore.callbacks.self_test import ATTEMPTS
from longshore.callbacks.worker import landlock, probes
from tests.javascript import needs_javascript

from .examples import QUICK, file

pytestmark = pytest.mark.usefixtures("sandbox")


@needs_javascript
def test_the_self_test_passes_in_both_languages_and_names_what_it_tried() -> None:
    report = self_test(limits=QUICK)
    assert report.ok
    assert report.reason is None
    assert report.languages == set(Language)
    assert report.attempts == dict.fromkeys(ATTEMPTS, "EPERM")
    assert report.seccomp
    assert report.landlock == landlock.abi()
    assert report.uid_dropped is (os.geteuid() == 0)


def test_the_server_expects_exactly_the_attempts_that_workers_make() -> None:
    assert probes.ATTEMPTS.keys() == ATTEMPTS


def test_landlock_can_be_left_out() -> None:
    report = self_test(limits=replace(QUICK, landlock="off"))
    assert report.ok
    assert report.landlock == 0


@pytest.mark.parametrize(
    "script",
    [
        "def run(r): return True",
        pytest.param("// js\nrun = () => true", marks=needs_javascript),
    ],
)
def test_the_kernel_says_that_the_worker_has_nothing_left(script: str) -> None:
    with CallbackFilter(script, task_id=1, limits=QUICK) as callback:
        callback.decide([file()])
        assert callback.worker_pid is not None
        worker = psutil.Process(callback.worker_pid)
        status = Path(f"/proc/{worker.pid}/status").read_text("ascii")
        record = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert record["Seccomp"] == "2"
    assert record["NoNewPrivs"] == "1"
    assert record["Threads"] == "1"
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(record[capabilities], 16) == 0
    if os.geteuid() == 0:
        assert record["Uid"].split() == [str(QUICK.uid)] * 4
        assert record["Gid"].split() == [str(QUICK.gid)] * 4
        assert record["Groups"].strip() == ""
        assert int(record["CapBnd"], 16) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at a worker's descriptors")
def test_the_worker_inherits_no_descriptor_and_no_environment() -> None:
    secret = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        with CallbackFilter("def run(r): return True", task_id=1, limits=QUICK) as callback:
            callback.decide([file()])
            folder = Path(f"/proc/{callback.worker_pid}")
            assert {int(name) for name in os.listdir(folder / "fd")} == {0, 1, 2, 3, 4}
            assert b"=" not in (folder / "environ").read_bytes()
            assert os.readlink(folder / "cwd") == "/"
    finally:
        os.close(secret)
