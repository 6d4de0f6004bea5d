"""Whether the loops are there when they should be, and what happens where they are not."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from longshore import native
from longshore.storage.backends.posix import PosixStorage
from tests.contract.storage.conftest import REFERENCE

ROOT = Path(__file__).parents[2]
HEADER = Path(sysconfig.get_paths()["include"]) / "Python.h"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wstrict-prototypes")


def _has_xxhash() -> bool:
    try:
        ctypes.CDLL("libxxhash.so.0")
    except OSError:
        return False
    return True


needs_compiler = pytest.mark.skipif(
    shutil.which("gcc") is None or not HEADER.exists(), reason="no gcc, or no header of Python"
)


@needs_compiler
@pytest.mark.without_loops
def test_the_loops_are_built_where_there_is_a_compiler() -> None:
    assert native.can_list
    assert native.can_copy or not _has_xxhash()


@needs_compiler
@pytest.mark.without_loops
def test_the_sources_compile_without_a_warning(tmp_path: Path) -> None:
    sources = sorted(str(file) for file in (ROOT / "src/longshore/native").glob("*.c"))
    include = f"-I{HEADER.parent}"
    command = ("gcc", "-std=c11", "-O2", "-fPIC", "-shared", *WARNINGS, include, *sources)
    done = subprocess.run(
        (*command, "-o", tmp_path / "loops.so"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.without_loops
def test_a_storage_without_loops_offers_no_bulk_copier(tmp_path: Path) -> None:
    with PosixStorage(REFERENCE, os.fsencode(tmp_path), native=False) as storage:
        with storage.open_folder(b"") as one, storage.open_folder(b"") as other:
            assert one.bulk_copier(other) is None


def test_both_storages_have_to_use_the_loops(tmp_path: Path) -> None:
    storages = [PosixStorage(REFERENCE, os.fsencode(tmp_path), native=on) for on in (True, False)]
    folders = [storage.open_folder(b"") for storage in storages]
    offered = [one.bulk_copier(other) is not None for one in folders for other in folders]
    assert offered == [True, False, False, False]
    for each in (*folders, *storages):
        each.close()


@pytest.mark.without_loops
def test_everything_works_where_the_module_cannot_be_imported(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["longshore.native._loops"] = None
from longshore import native
from tests.pipelines import Bench
from pathlib import Path
assert not native.can_list and not native.can_copy and "slower" in native.state()
bench = Bench(Path(sys.argv[1]))
(bench.source / "file").write_bytes(b"content")
(record,) = bench.copy_all()
assert (bench.destination / "file").read_bytes() == b"content" and record.failure is None
"""
    command = (sys.executable, "-c", code, str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
