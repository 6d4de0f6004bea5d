"""`processing_order` holds for all files of an execution, wherever and whenever they are found."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from longshore.domain.execution import IDLE, TaskStatus
from longshore.pipeline import scan
from tests.exactness import check_exact, last_execution
from tests.story import Task, add_copy_task, add_share_pool
from tests.workshop import Workshop, reaching

FILES = 24  # of eight folders: in several batches of five, found in several slices
SMALL_SLICE = 6  # files that one slice finds


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    source, destination = tmp_path / "source", tmp_path / "destination"
    destination.mkdir()
    for number in range(FILES):
        # Sizes and dates run against each other, and both against the names.
        size, date = 7 * number % FILES, 11 * number % FILES
        path = source / f"folder-{number % 8}" / f"file-{number:02}-{size:02}-{date:02}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, (1_000_000 + date, 1_000_000 + date))
    return source, destination


def copied(workshop: Workshop, folders: tuple[Path, Path], order: str) -> list[str]:
    """The names of the files in the order in which they are copied."""
    source, destination = folders
    client = workshop.client()
    task = add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        options={"processing_order": order},
    )
    seen: list[str] = []

    def reach(point: str, detail: bytes) -> None:
        if point == "mover.file":
            seen.append(detail.decode())

    client.put(f"/tasks/{task.id}/action/run").raise_for_status()
    with reaching(reach):
        workshop.live(lambda: is_over(workshop, task))
    execution_id = last_execution(workshop.database, task.id)
    check_exact(workshop.database, execution_id, source, destination)
    return seen


def is_over(workshop: Workshop, task: Task) -> bool:
    status = workshop.status(task.id)
    return status is not TaskStatus.NOT_ACTIVATED and status in IDLE


def keys(names: list[str], order: str) -> list[tuple[str, ...]]:
    if order == "name":
        return [(f"folder-{int(name.split('-')[1]) % 8}", name) for name in names]
    return [(name.split("-")[2 if order == "size" else 3],) for name in names]


@pytest.mark.parametrize("order", ["name", "size", "date"])
def test_files_of_one_slice_are_copied_in_order_over_all_folders(
    workshop: Workshop, folders: tuple[Path, Path], order: str
) -> None:
    names = copied(workshop, folders, order)
    assert len(names) == FILES
    assert keys(names, order) == sorted(keys(names, order))


@pytest.mark.parametrize("order", ["size", "date"])
def test_batches_of_several_slices_come_by_their_first_file(
    workshop: Workshop,
    folders: tuple[Path, Path],
    order: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan, "FOUND_FILES_MAXIMUM", SMALL_SLICE)
    names = copied(workshop, folders, order)
    assert len(names) == FILES
    found = keys(names, order)
    # A batch is sorted in itself; a new one begins where the order falls back.
    begins = [
        found[0],
        *(after for before, after in pairwise(found) if after < before),
    ]
    assert begins == sorted(begins)
    assert len(begins) > 1, "all was found in one slice"


def test_nothing_is_copied_before_everything_is_found(
    workshop: Workshop, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "FOUND_FILES_MAXIMUM", SMALL_SLICE)
    copied(workshop, folders, "size")
    kinds = [order.kind.name for order in workshop.executor.orders]
    assert kinds.count("SCAN") > 1
    assert "SCAN" not in kinds[kinds.index("COPY") :]
