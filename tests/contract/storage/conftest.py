"""Every storage that the contract suite runs over. A new backend is one more function here."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from longshore.domain.storage import StorageKind, StorageReference
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import StorageHandler
from longshore.storage.wrappers.faults import FaultPlan
from longshore.storage.wrappers.faulty import FaultyStorage
from longshore.storage.wrappers.pool_memory import PoolMemory
from longshore.storage.wrappers.pooled import PooledStorage
from longshore.storage.wrappers.throttled import Bandwidth, ThrottledStorage
from tests.contract.storage.object_grounds import OBJECT_STORES, bucket_ground
from tests.memory import MEMORY

UNREACHED_BYTES_PER_SECOND = 1e15
REFERENCE = StorageReference(StorageKind.CONTAINER, 1)


@dataclass(frozen=True)
class Ground:
    """One empty storage. `open` gives a new handler on it, `vanish` takes it away."""

    open: Callable[[], StorageHandler]
    vanish: Callable[[], None]
    outside: bytes  # a folder next to the storage that no handler may ever reach


def posix_on_disk(folder: bytes) -> StorageHandler:
    return PosixStorage(REFERENCE, folder)


def posix_without_native_loops(folder: bytes) -> StorageHandler:
    return PosixStorage(REFERENCE, folder, native=False)


def faulty_without_faults(folder: bytes) -> StorageHandler:
    return FaultyStorage(posix_on_disk(folder), FaultPlan())


def throttled_out_of_reach(folder: bytes) -> StorageHandler:
    bandwidth = Bandwidth(UNREACHED_BYTES_PER_SECOND, clock=time.monotonic, sleep=time.sleep)
    return ThrottledStorage(posix_on_disk(folder), bandwidth)


def pool_of_two(folder: bytes) -> StorageHandler:
    storages = []
    for name in (b"first", b"second"):
        root = os.path.join(folder, name)
        if os.path.isdir(folder):
            os.makedirs(root, exist_ok=True)
        storages.append(PosixStorage(REFERENCE, root))
    return PooledStorage(storages, PoolMemory(time.monotonic))


BACKENDS: dict[str, Callable[[bytes], StorageHandler]] = {
    "posix-on-disk": posix_on_disk,
    "posix-in-memory": posix_without_native_loops,
    "faulty": faulty_without_faults,
    "throttled": throttled_out_of_reach,
    "pooled": pool_of_two,
}


@pytest.fixture(params=[*BACKENDS, *OBJECT_STORES])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    if request.param in OBJECT_STORES:
        store = OBJECT_STORES[request.param]
        server = request.getfixturevalue("object_server")(store.server)
        open_handler, vanish = bucket_ground(store, server, REFERENCE)
        outside = tmp_path / "outside"
        outside.mkdir()
        yield from _closing(open_handler, vanish, outside)
        return
    place = None  # a disk, mostly; pytest's own folders may lie in memory
    if request.param == "posix-in-memory":
        if not os.access(MEMORY, os.W_OK | os.X_OK):
            pytest.skip(f"{MEMORY} cannot be written here")
        place = MEMORY
    base = Path(tempfile.mkdtemp(prefix="longshore-test-", dir=place))
    root, outside = base / "root", base / "outside"
    root.mkdir()
    outside.mkdir()
    yield from _closing(
        lambda: BACKENDS[request.param](os.fsencode(root)), lambda: shutil.rmtree(root), outside
    )
    shutil.rmtree(base)


def _closing(
    open_handler: Callable[[], StorageHandler], vanish: Callable[[], None], outside: Path
) -> Iterator[Ground]:
    """The ground; its handlers are closed at the end."""
    handlers: list[StorageHandler] = []

    def new_handler() -> StorageHandler:
        handlers.append(open_handler())
        return handlers[-1]

    yield Ground(new_handler, vanish, os.fsencode(outside))
    for handler in handlers:
        handler.close()


@pytest.fixture
def storage(ground: Ground) -> StorageHandler:
    return ground.open()
