"""Random calls on random trees. What counts is that nothing breaks; sanitizers watch in CI."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from longshore.native import loops
from tests.native.conftest import Pair, open_descriptors, read_names

ROUNDS = 400
SEEDS = range(3)
STRANGE = (b"", b".", b"..", b"a/b", b"a\0b", b"n" * 255, b"n" * 256, b"\xff\xfe", b".longshore-x")


def some_name(random_: random.Random) -> bytes:
    if random_.random() < 0.15:
        return random_.choice(STRANGE)
    return b"f%d" % random_.randrange(30)


def write(path: Path, content: bytes) -> None:
    """Without waiting for a reader, should it be a pipe."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
    os.write(file, content)
    os.close(file)


def change(folder: Path, random_: random.Random) -> None:
    """Make, change or remove something."""
    path = folder / f"f{random_.randrange(30)}"
    deeds = (
        lambda: write(path, random_.randbytes(random_.choice((0, 10, 4096, 300_000)))),
        path.unlink,
        lambda: path.symlink_to("x" * random_.randrange(1, 4090)),
        path.mkdir,
        path.rmdir,
        lambda: os.mkfifo(path),
        lambda: os.truncate(path, random_.randrange(1 << 20)),
        lambda: os.link(path, folder / f"f{random_.randrange(30)}"),
        lambda: os.setxattr(path, "user.a", random_.randbytes(random_.randrange(2000))),
        lambda: path.chmod(random_.randrange(0o10000)),
    )
    try:
        random_.choice(deeds)()
    except OSError:
        return  # it was something else


def publish(pair: Pair, random_: random.Random, names: list[bytes], descriptors: list[int]) -> None:
    """Publish what was staged, and let go of what could not be."""
    names = names[: len(descriptors)]
    replace = bytes(random_.randrange(2) for _ in names)
    others = [b".longshore-" + name for name in names]
    published = 0
    try:
        published = loops.publish(pair.target_descriptor, others, names, replace, descriptors)
    finally:
        for descriptor in descriptors[published:]:
            if descriptor != -1:
                os.close(descriptor)


def some_listing(folder: int, random_: random.Random) -> loops.Listing:
    """A listing in one block or several, now and then with what is no block among them."""
    names = [name + b"\0" for name in read_names(folder, some_name(random_)).split(b"\0")[:-1]]
    place = random_.randrange(len(names) + 1)
    strange = random_.choice((b"", b"", b"", b"", b"a", b"a/b\0"))
    return loops.Listing([b"".join(names[:place]), strange, b"".join(names[place:])])


def call(pair: Pair, random_: random.Random, before: int) -> None:
    names = [some_name(random_) for _ in range(random_.randrange(12))]
    others = [b".longshore-" + name if random_.random() < 0.8 else name for name in names]
    folders = (pair.source_descriptor, pair.target_descriptor)
    kind = random_.randrange(5)
    try:
        if kind == 0:
            _, descriptors = loops.stage(
                *folders, names, others, random_.randrange(8),
                random_.choice((-1, 0, 5000, 1 << 62)), random_.choice((-1.0, 0.0, 1.0, 1e300)),
                random_.choice((-1, 0, before + 4, 1 << 20)),
            )  # fmt: skip
            publish(pair, random_, names, descriptors)
        elif kind == 1:
            publish(pair, random_, names, [-1] * len(names))
        elif kind == 2:
            listings = [some_listing(each, random_) for each in folders]
            while listings[0] and random_.random() < 0.9:
                change(random_.choice((pair.source, pair.target)), random_)
                first, second = random_.choice((folders, folders[::-1]))
                count, resolution = random_.choice((1, 2, 1000)), random_.choice((0, 1, 1 << 62))
                loops.compare(listings[0], first, listings[1], second, count, resolution)
        else:
            listing = some_listing(random_.choice(folders), random_)
            while listing and random_.random() < 0.9:
                change(pair.source, random_)
                listing.take(random_.choice(folders), random_.choice((1, 2, 1000)))
    except ValueError:
        return  # a name that no folder has


@pytest.mark.parametrize("seed", SEEDS)
def test_random_calls_break_nothing_and_leave_nothing_open(pair: Pair, seed: int) -> None:
    random_ = random.Random(seed)
    before = open_descriptors()
    for _ in range(ROUNDS):
        for _ in range(random_.randrange(5)):
            change(random_.choice((pair.source, pair.target)), random_)
        call(pair, random_, before)
    assert open_descriptors() == before


ARGUMENTS: tuple[Any, ...] = (
    None,
    0,
    -1,
    1 << 70,
    "text",
    b"bytes",
    [],
    [b"a"],
    [None],
    (1, 2),
    1.5,
    float("nan"),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_arguments_of_any_kind_are_refused_or_harmless(pair: Pair, seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(ROUNDS):
        function, number = random_.choice(
            (
                (loops.stage, 8), (loops.publish, 5), (loops.Listing, 1), (loops.has_hash, 0),
                (loops.compare, 6), (loops.read_names, 4),
            )
        )  # fmt: skip
        arguments = [random_.choice(ARGUMENTS) for _ in range(number + random_.choice((-1, 0, 1)))]
        if arguments and arguments[0] == 0:
            arguments[0] = pair.source_descriptor  # never the descriptors of the test run
        if len(arguments) > 1 and arguments[1] == 0:
            arguments[1] = pair.target_descriptor
        try:
            function(*arguments)
        except (TypeError, ValueError, OverflowError, OSError):
            continue
