"""The trees that are copied, each told by its name, and what has to be true of a copy."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

KIB, MIB = 1 << 10, 1 << 20
READ_BYTES = 4 * MIB
TIME_NS = 1_600_000_000_000_000_000  # of the first file; each further one is a second later
CHANGED_SHARE = 100  # one file of so many is changed before the run that is measured

Grow = Callable[[Path, "Scale"], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much smaller than the full data: 1 is all of it."""

    divisor: int = 1

    def files(self, count: int) -> int:
        return max(2, count // self.divisor)


@dataclass(frozen=True, slots=True)
class Case:
    """A tree, and whether it was copied before, with which change since."""

    name: str
    text: str
    grow: Grow
    copied_before: bool = False
    changed: bool = False


def flat(root: Path, files: int, size: int, per_folder: int) -> None:
    """Files of random content in folders side by side."""
    for number in range(files):
        folder = root / f"d{number // per_folder:05}"
        if number % per_folder == 0:
            folder.mkdir(parents=True)
        _write(folder / f"f{number:07}.dat", size, number)


def small(root: Path, scale: Scale) -> None:
    flat(root, scale.files(50_000), 4 * KIB, per_folder=100)


def medium(root: Path, scale: Scale) -> None:
    flat(root, scale.files(2_000), MIB, per_folder=100)


def big(root: Path, scale: Scale) -> None:
    root.mkdir(parents=True)
    for number in range(3):
        with (root / f"big{number}").open("wb") as file:
            for _ in range(max(1, 1024 // scale.divisor)):
                file.write(random.Random(number).randbytes(MIB))
        _set_time(root / f"big{number}", number)


def deep(root: Path, scale: Scale) -> None:
    """Chains of 64 folders, one inside the other, with ten small files in each."""
    for chain in range(scale.files(20)):
        folder = root / f"chain{chain}"
        for depth in range(64):
            folder /= f"level{depth:02}"
        folder.mkdir(parents=True)
        for depth in range(64):
            for number in range(10):
                _write(folder / f"file{number}", KIB, chain * 640 + depth * 10 + number)
            folder = folder.parent


def wide(root: Path, scale: Scale) -> None:
    flat(root, scale.files(200_000), 100, per_folder=1 << 30)


def change(root: Path) -> int:
    """Write one file of a hundred anew; how many that are."""
    changed = sorted(path for path in root.rglob("*") if path.is_file())[::CHANGED_SHARE]
    for number, path in enumerate(changed):
        path.write_bytes(random.Random(-number - 1).randbytes(path.stat().st_size + 1))
        _set_time(path, 10_000_000 + number)
    return len(changed)


CASES = (
    Case("small", "50,000 files of 4 KiB in folders of 100", small),
    Case("medium", "2,000 files of 1 MiB", medium),
    Case("big", "3 files of 1 GiB", big),
    Case("deep", "12,800 files of 1 KiB in chains of 64 folders", deep),
    Case("wide", "200,000 files of 100 bytes in one folder", wide),
    Case("changed", "small, 1 % changed since the run before", small, True, True),
    Case("unchanged", "small, nothing changed since the run before", small, True),
)


def describe(root: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time in nanoseconds and XXH3-64 of every file below the root, by path."""
    found = {}
    for path in _files(os.fspath(root)):
        state = os.stat(path)
        relative = os.path.relpath(path, root)
        found[relative] = (state.st_size, state.st_mtime_ns, _hash(path))
    return found


def differences(expected: dict[str, tuple[int, int, int]], copy: Path) -> list[str]:
    """What is wrong with the copy, in words; empty when it is the same as the source."""
    found = describe(copy)
    wrong = [f"{path} is missing" for path in expected.keys() - found.keys()]
    wrong += [f"{path} is too much" for path in found.keys() - expected.keys()]
    for path in expected.keys() & found.keys():
        for what, one, other in zip(
            ("size", "time", "content"), expected[path], found[path], strict=True
        ):
            if one != other:
                wrong.append(f"{path} has another {what}")
                break
    return sorted(wrong)


# ------------------------------------------------------------------------------- inside


def _write(path: Path, size: int, number: int) -> None:
    path.write_bytes(random.Random(number).randbytes(size))
    _set_time(path, number)


def _set_time(path: Path, number: int) -> None:
    at = TIME_NS + number * 1_000_000_000 + 123_456_789
    os.utime(path, ns=(at, at))


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                yield entry.path


def _hash(path: str) -> int:
    hashed = xxhash.xxh3_64()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(READ_BYTES):
            hashed.update(piece)
    return hashed.intdigest()
