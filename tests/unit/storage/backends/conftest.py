"""A POSIX storage whose folder on the disk the tests may arrange themselves."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from longshore.domain.storage import StorageKind, StorageReference
from longshore.storage.backends.posix import PosixStorage

NOBODY = 65_534  # a uid without rights on every Linux
REFERENCE = StorageReference(StorageKind.CONTAINER, 1)

Open = Callable[[Path], PosixStorage]


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user may reach, other than those below pytest's own."""
    base = Path(tempfile.mkdtemp(prefix="longshore-test-"))
    base.chmod(0o755)
    (base / "root").mkdir(mode=0o777)
    (base / "root").chmod(0o777)
    yield base / "root"
    shutil.rmtree(base)


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open storages that are closed after the test."""
    handlers: list[PosixStorage] = []

    def open_storage(root: Path) -> PosixStorage:
        handlers.append(PosixStorage(REFERENCE, os.fsencode(root)))
        return handlers[-1]

    yield open_storage
    for handler in handlers:
        handler.close()


@pytest.fixture
def storage(root: Path, opened: Open) -> PosixStorage:
    return opened(root)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """The block without the rights of root; as nobody else than oneself where one has none."""
    if os.geteuid() != 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
