"""The whole collection once more as an ordinary user, where the tests themselves run as root.

Root's checkout and interpreter may lie where nobody else may look, so what the scripts need is
copied to a folder that everybody may read, and an interpreter is looked for that everybody may run.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import longshore

ORDINARY_ID = 61_234
"""A user and group number that no system hands out by default; it needs no name."""

PARTS = 6
"""The collection runs in so many tests, so that several test processes can share them."""

RUN_SECONDS = 120
"""For a part of the collection, which takes some ten seconds on an idle machine."""


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may read, with the sandbox, its tests and its libraries."""
    with tempfile.TemporaryDirectory(prefix="longshore-ordinary-") as name:
        folder = Path(name)
        package = Path(longshore.__file__).parent
        for part in ("callbacks", "domain"):
            _copy(package / part, folder / "longshore" / part)
        shutil.copy(package / "__init__.py", folder / "longshore" / "__init__.py")
        for parent in ("tests", "tests/faults"):
            (folder / parent).mkdir()
            (folder / parent / "__init__.py").touch()
        _copy(Path(__file__).parent, folder / "tests" / "faults" / "callbacks")
        for library in ("msgspec", "_quickjs"):
            if importlib.util.find_spec(library) is not None:
                _copy_library(library, folder)
        for each in (folder, *folder.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
        yield folder


def _copy(source: Path, destination: Path) -> None:
    shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__"))


def _copy_library(name: str, folder: Path) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    if spec.submodule_search_locations:
        _copy(origin.parent, folder / name)
    else:
        shutil.copy(origin, folder / origin.name)


@pytest.fixture(scope="module")
def interpreter(open_folder: Path) -> str:
    """Return an interpreter of this version that an ordinary user may run."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/local/bin/{name}", f"/usr/bin/{name}"):
        if os.path.exists(candidate) and _may_run([candidate, "-c", ""], open_folder):
            return candidate
    pytest.skip(f"an ordinary user may not run any {name} of this machine")


def _may_run(command: list[str], folder: Path) -> bool:
    return _as_ordinary_user(command, folder).returncode == 0


def _as_ordinary_user(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command,
            cwd="/",
            env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            user=ORDINARY_ID,
            group=ORDINARY_ID,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except PermissionError as error:
        return subprocess.CompletedProcess(command, 126, "", str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run as an ordinary user")
@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_scripts_end_the_same_way_for_an_ordinary_user(
    part: int, interpreter: str, open_folder: Path
) -> None:
    command = [interpreter, "-m", "tests.faults.callbacks.run_all", str(part), str(PARTS)]
    run = _as_ordinary_user(command, open_folder)
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout)
    assert outcome["uid"] == ORDINARY_ID
    assert outcome["judged"] > 20
    assert outcome["complaints"] == {}
    assert outcome["left"] == []
