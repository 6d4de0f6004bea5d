"""Erasing a copy is not erasing the file: it is deleted when nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from longshore.database.connection import reading
from longshore.database.tables.catalogue import copies
from longshore.domain.outcome import Outcome
from tests.exactness import outcomes
from tests.unit.engine.archiving import Archiving
from tests.workshop import Workshop


@pytest.fixture
def archiving(workshop: Workshop, tmp_path: Path) -> Archiving:
    archiving = Archiving(workshop, tmp_path / "s")
    (archiving.source / "folder").mkdir()
    (archiving.source / "folder" / "file").write_text("content")
    return archiving


def state(archiving: Archiving) -> str:
    return archiving.state("folder", "file")


def live_copies(archiving: Archiving) -> list[bool]:
    """Of each copy of the file whether it is live, in the order of the storages."""
    query = select(copies.c.live).where(copies.c.path == b"folder/file")
    with reading(archiving.workshop.database.journal) as connection:
        return list(connection.execute(query.order_by(copies.c.storage_id)).scalars())


SOFTLY = pytest.mark.parametrize("options", [{}, {"soft_erase": "1"}], ids=["erase", "soft_erase"])


@SOFTLY
def test_a_file_stays_live_when_its_archived_copy_is_erased(
    archiving: Archiving, options: dict[str, str]
) -> None:
    second = archiving.add_pool("second", "offline_archive")
    archiving.run(archiving.copy(archiving.away))
    archiving.run(archiving.copy(second))
    execution = archiving.run(archiving.erase(archiving.away, **options))
    assert outcomes(archiving.workshop.database, execution) == {Outcome.ERASED: 1}
    assert (archiving.destination / "folder" / "file").exists() == bool(options)
    assert state(archiving) == archiving.state("folder") == "live"
    assert live_copies(archiving) == [False, True]
    archiving.run(archiving.erase(second, **options))
    assert state(archiving) == "live", "the original is there"
    assert live_copies(archiving) == [False, False]


@SOFTLY
def test_a_stub_is_deleted_with_its_last_copy(
    archiving: Archiving, options: dict[str, str]
) -> None:
    second = archiving.add_pool("second", "offline_archive")
    archiving.run(archiving.copy(second))
    archiving.run(archiving.move())
    assert state(archiving) == "stub"
    archiving.run(archiving.erase(second, **options))
    assert state(archiving) == archiving.state("folder") == "stub"
    assert live_copies(archiving) == [True, False]
    archiving.run(archiving.erase(archiving.away, **options))
    assert state(archiving) == "deleted"
    assert live_copies(archiving) == [False, False]


def test_a_folder_is_deleted_with_its_last_copy(archiving: Archiving) -> None:
    archiving.run(archiving.move())
    archiving.run(archiving.erase(archiving.away))
    assert not (archiving.destination / "folder").exists()
    assert state(archiving) == archiving.state("folder") == "deleted"


def test_the_copies_of_an_erased_original_live_on(archiving: Archiving) -> None:
    archiving.run(archiving.copy(archiving.away))
    archiving.run(archiving.erase(archiving.live))
    assert state(archiving) == "deleted"
    assert live_copies(archiving) == [True]
