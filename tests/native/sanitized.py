"""The native tests with AddressSanitizer and UBSan: python -m tests.native.sanitized

A copy of the package gets an extension of its own, so the installed one stays as it is.
"""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NATIVE = Path("longshore/native")
SECONDS_MAXIMUM = 600.0  # of the tests; they take one minute on an idle machine
FLAGS = (
    "-std=c11", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer",
    "-Wall", "-Wextra", "-Werror",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
)  # fmt: skip
LIBRARIES = ("libasan.so", "libubsan.so")


def why_not() -> str:
    """Why it cannot be done on this machine; empty if it can."""
    if shutil.which("gcc") is None:
        return "there is no gcc"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "there are no headers of Python"
    missing = [name for name in LIBRARIES if not os.path.isabs(_library(name))]
    return f"gcc has no {missing[0]}" if missing else ""


def _library(name: str) -> str:
    """Its path, or only the name where gcc has none."""
    command = ("gcc", f"-print-file-name={name}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _build(copy: Path) -> None:
    shutil.copytree(
        ROOT / "src/longshore", copy / "longshore", ignore=shutil.ignore_patterns("*.so")
    )
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    sources = sorted(str(file) for file in (copy / NATIVE).glob("*.c"))
    include = f"-I{sysconfig.get_paths()['include']}"
    output = str(copy / NATIVE / f"_loops{suffix}")
    subprocess.run(("gcc", *FLAGS, include, *sources, "-ldl", "-o", output), check=True)


def run() -> int:
    """Build and test; the exit code of pytest."""
    with tempfile.TemporaryDirectory(prefix="longshore-sanitized-") as folder:
        copy = Path(folder)
        _build(copy)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join((str(copy), str(ROOT))),
            "LD_PRELOAD": " ".join(_library(name) for name in LIBRARIES),
            "PYTHONMALLOC": "malloc",  # so that overruns of Python's objects are seen, too
            # Python itself frees little when it ends.
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        # What is tested has to be what was built just now.
        where = "from longshore.native import loops; print(loops.__file__)"
        look = (sys.executable, "-c", where)
        found = subprocess.run(look, env=environment, capture_output=True, text=True, check=True)
        if not found.stdout.startswith(folder):
            raise SystemExit(f"the loops of {found.stdout.strip()} would be tested")
        tests = [
            str(ROOT / "tests/native" / name)
            for name in (
                "test_listing.py",
                "test_comparing.py",
                "test_staging.py",
                "test_contents.py",
                "test_fuzz.py",
                "test_md5.py",
            )
        ]
        command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", *tests)
        return subprocess.run(
            command, env=environment, cwd=ROOT, timeout=SECONDS_MAXIMUM, check=False
        ).returncode


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"The native loops are not tested with sanitizers: {reason}.")
        sys.exit(0)
    sys.exit(run())
