"""A POSIX storage on a small file system, mounted in a namespace that ends with the child."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

IN_A_SMALL_FILE_SYSTEM = """
import os, subprocess, sys
from longshore.domain.errors import StorageUnavailable, ErrorKind
from longshore.storage.backends import posix
from tests.unit.storage.backends.conftest import REFERENCE
from tests.contract.storage.deeds import TEMPORARY, listed, put, read

root, options = sys.argv[1], sys.argv[2]
mount = ["mount", "-t", "tmpfs", "-o", options, "longshore-test"]
if subprocess.run([*mount, root], capture_output=True).returncode != 0:
    sys.exit(77)
storage = posix.PosixStorage(REFERENCE, os.fsencode(root))
"""

FULL = """
put(storage, b"before", b"x" * 100_000)
chunk = memoryview(bytes(65_536))
with storage.open_folder(b"") as folder, folder.stage(TEMPORARY, size=0) as staged:
    try:
        for number in range(1_000):
            staged.write(chunk, number * len(chunk))
    except StorageUnavailable as error:
        assert error.kind is ErrorKind.NO_SPACE, error
        print("full:", error)
    staged.abort()
assert storage.space().free_bytes > 65_536, storage.space()
put(storage, b"after", b"y")
assert read(storage, b"before") == b"x" * 100_000 and listed(storage) == [b"after", b"before"]
try:
    with storage.open_folder(b"") as folder:
        folder.stage(TEMPORARY, size=1 << 30)
except StorageUnavailable as error:
    print("refused:", error)
assert listed(storage) == [b"after", b"before"]
"""

READ_ONLY = """
subprocess.run(["mount", "-o", "remount,ro", root], check=True)
storage.check(writable=False)
for deed in (lambda: storage.check(writable=True), lambda: put(storage, b"file", b"")):
    try:
        deed()
    except StorageUnavailable as error:
        assert error.kind is ErrorKind.READ_ONLY, error
        print("refused:", error)
"""

UNMOUNTED = """
put(storage, b"file", b"")
subprocess.run(["umount", "--lazy", root], check=True)
try:
    storage.open_folder(b"missing")
except StorageUnavailable as error:
    print("refused:", error)
"""

MOUNT_INSIDE = """
os.mkdir(root + "/inner")
subprocess.run([*mount, root + "/inner"], check=True)
synced = []
posix.sync_file_system = lambda descriptor: synced.append(os.fstat(descriptor).st_dev)
put(storage, b"file", b"")
put(storage, b"inner/file", b"")
put(storage, b"inner/folder/file", b"")
storage.make_durable()
assert synced == [os.stat(root).st_dev, os.stat(root + "/inner").st_dev], synced
storage.make_durable()
assert synced[2:] == synced[:1], synced
print("refused: nothing")
"""


@pytest.mark.parametrize(
    ("story", "lines"),
    [
        pytest.param(FULL, ["full", "refused"], id="full"),
        pytest.param(READ_ONLY, ["refused", "refused"], id="read-only"),
        pytest.param(UNMOUNTED, ["refused"], id="unmounted"),
        pytest.param(MOUNT_INSIDE, ["refused"], id="mount-inside"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_small_file_system_of_its_own(root: Path, story: str, lines: list[str]) -> None:
    script = [sys.executable, "-c", IN_A_SMALL_FILE_SYSTEM + story, str(root), "size=1m"]
    path = os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))
    done = subprocess.run(
        ["unshare", "--mount", *script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("mounting is not permitted here")
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == lines
