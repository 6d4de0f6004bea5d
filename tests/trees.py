"""Trees of files for tests, and comparing two of them byte by byte."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

TEMPORARY = ".longshore-"


def grow(root: Path, files: int, *, seed: int = 1, size: int = 2000, per_folder: int = 50) -> None:
    """Make a tree of files with random content, times and modes."""
    random_ = random.Random(seed)
    content = random_.randbytes(size * 4)
    for number in range(files):
        folder = root / f"d{number // per_folder // 20:03}" / f"e{number // per_folder:05}"
        if number % per_folder == 0:
            folder.mkdir(parents=True, exist_ok=True)
        start = random_.randrange(size * 3)
        path = folder / f"f{number:06}.dat"
        path.write_bytes(content[start : start + random_.randrange(size)])
        path.chmod(random_.choice([0o644, 0o600, 0o755, 0o444]))
        at = 1_000_000_000_000_000_000 + random_.randrange(10**17)
        os.utime(path, ns=(at, at))


def describe(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything below the root by path: kind, mode, time, size and content, or link target."""
    found: dict[bytes, tuple[object, ...]] = {}
    base = os.fsencode(root)
    for folder, folders, files in os.walk(base):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            found[os.path.relpath(path, base)] = _describe(path)
    return found


def _describe(path: bytes) -> tuple[object, ...]:
    state = os.lstat(path)
    if stat.S_ISLNK(state.st_mode):
        return ("link", os.readlink(path))
    if stat.S_ISDIR(state.st_mode):
        return ("folder", stat.S_IMODE(state.st_mode), state.st_mtime_ns)
    with open(path, "rb") as file:
        content = file.read()
    return ("file", stat.S_IMODE(state.st_mode), state.st_mtime_ns, content)


def staged_left(root: Path) -> list[str]:
    """Staged files below the root; there must be none once nothing runs."""
    return [
        os.path.join(folder, name)
        for folder, _, files in os.walk(root)
        for name in files
        if name.startswith(TEMPORARY)
    ]
