"""A machine without a required feature runs no script at all; it never runs one unfiltered."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from longshore.callbacks import self_test

from .trial import LIMITS

ROOT = Path(__file__).parents[3]

RUN_SECONDS = 60
"""For three worker starts, of which each takes a fraction of a second on an idle machine."""


def on_a_machine_without(feature: str, *, landlock: str = "prefer") -> Any:
    """Return what the sandbox says of a machine from which the feature is hidden."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults.callbacks.blinders", feature, landlock],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    if "no seccomp to hide things with" in run.stderr:
        # Then the feature is really missing, and what the machine says of itself must be no.
        report = self_test(limits=LIMITS)
        reason = report.reason or ""
        closed = f"unavailable: {reason}"
        return {"ok": report.ok, "reason": reason, "validate": closed, "asked": closed}
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("feature", "landlock", "reason"),
    [
        ("seccomp", "prefer", "install the system call filter"),
        ("no_new_privs", "prefer", "no_new_privs"),
        ("landlock", "require", "Landlock is required"),
        ("landlock-switched-off", "require", "Landlock is required"),
        pytest.param(
            "setresuid",
            "prefer",
            "become user",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root's workers change user"),
        ),
    ],
)
def test_without_a_required_feature_no_script_runs(
    feature: str, landlock: str, reason: str
) -> None:
    outcome = on_a_machine_without(feature, landlock=landlock)
    assert outcome["ok"] is False
    assert reason in outcome["reason"] or "refused to start" in outcome["reason"]
    assert outcome["validate"].startswith("unavailable: ")
    assert outcome["asked"].startswith("unavailable: ")


@pytest.mark.parametrize("feature", ["landlock", "landlock-switched-off"])
def test_without_landlock_scripts_run_where_it_is_only_preferred(feature: str) -> None:
    outcome = on_a_machine_without(feature)
    assert outcome["ok"] is self_test(limits=LIMITS).ok
    if outcome["ok"]:
        assert outcome["landlock"] == 0
        assert outcome["asked"] == "answered [1]"
    else:
        assert outcome["asked"].startswith("unavailable: ")


def test_landlock_that_refuses_to_work_closes_the_sandbox() -> None:
    outcome = on_a_machine_without("landlock-refused")
    landlock = self_test(limits=LIMITS).landlock
    assert outcome["ok"] is (landlock == 0 and self_test(limits=LIMITS).ok)
    if landlock:
        assert "apply Landlock" in outcome["reason"]
        assert outcome["asked"].startswith("unavailable: ")
