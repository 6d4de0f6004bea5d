"""Trying a callback over the files of its task, without moving anything.

catalogue ─┐                          ┌─> counts, samples, output, time
sources ───┴─> files, bounded ─> script
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select

from longshore.callbacks import (
    Bounds,
    FileInfo,
    SandboxUnavailable,
    Trial,
    file_info,
    try_script,
)
from longshore.database import catalogue, clouds, subtree
from longshore.database import containers as container_rows
from longshore.database import nas as nas_rows
from longshore.database import nodes as node_rows
from longshore.database import pools as pool_rows
from longshore.database.connection import reading
from longshore.database.tables.tasks import task_sources
from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, StorageError
from longshore.domain.storage import PoolContent, StorageAddress, StorageKind, StorageReference
from longshore.services import locations, task_parts
from longshore.services.context import Context
from longshore.services.errors import BASE, Busy, Invalid, Kind, Problem, Problems
from longshore.services.input import Input, Words
from longshore.services.locations import Place
from longshore.services.principal import Principal
from longshore.services.task_callbacks import PART, check_script
from longshore.services.tasks import require
from longshore.storage.walking import walk

FILES_DEFAULT, FILES_MAXIMUM = 10_000, 100_000
SECONDS_DEFAULT, SECONDS_MAXIMUM = 10, 60  # of a request that keeps one of the api's threads
SAMPLES_DEFAULT, SAMPLES_MAXIMUM = 20, 100  # of each kind; an answer stays below a megabyte
WARNINGS_MAXIMUM = 20  # texts about what could not be looked at; further ones are dropped
RETRY_SECONDS = 5  # until a refused test is worth another try

_MOVABLE = frozenset({EntryKind.FILE, EntryKind.SYMLINK})

Found = tuple[bytes, Entry]


class FileSource(StrEnum):
    """Where the files of a test come from."""

    CATALOGUE = "catalogue"  # what the server knows of the task's sources already
    LIVE = "live"  # what lies in the task's sources now


class ScriptInput(Input):
    """A script that is not saved yet."""

    script: Words | None = None


@dataclass(frozen=True, slots=True)
class CallbackTest:
    """What a script decided, and what could not be looked at."""

    source: FileSource
    trial: Trial
    warnings: list[str]


@dataclass(slots=True)
class _Warnings:
    texts: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        if len(self.texts) < WARNINGS_MAXIMUM and text not in self.texts:
            self.texts.append(text)


def try_saved(
    context: Context,
    principal: Principal,
    task: str,
    identifier: str,
    source: FileSource,
    bounds: Bounds,
) -> CallbackTest:
    """What the saved callback decides. Raises NotFound, Invalid, Busy."""
    row = task_parts.show(context, principal, task, PART, identifier)
    return _try(context, principal, task, row.script, source, bounds)


def try_new(
    context: Context,
    principal: Principal,
    task: str,
    given: ScriptInput,
    problems: Problems,
    source: FileSource,
    bounds: Bounds,
) -> CallbackTest:
    """What a script decides that is not saved. Raises NotFound, Invalid, Busy."""
    with reading(context.database.state) as connection:
        require(connection, principal, task)
    if "script" not in problems and not (given.script or "").strip():
        problems.add("script", Kind.BLANK)
    problems.raise_if_any()
    return _try(context, principal, task, given.script or "", source, bounds)


def _try(
    context: Context,
    principal: Principal,
    task_identifier: str,
    script: str,
    source: FileSource,
    bounds: Bounds,
) -> CallbackTest:
    full = Busy("other callbacks are being tested, try again later", RETRY_SECONDS)
    with context.callback_tests.place(full):
        problems = Problems()
        check_script(context, script, problems)
        problems.raise_if_any()
        with reading(context.database.state) as connection:
            task = require(connection, principal, task_identifier)
        places = _places(context, task)
        warnings = _Warnings()
        list_place = _catalogued if source is FileSource.CATALOGUE else _live
        found = (each for place in places for each in list_place(context, place, warnings))
        try:
            trial = try_script(
                script,
                _asked(found),
                limits=context.callback_limits,
                bounds=bounds,
                task_id=task.id,
            )
        except SandboxUnavailable as error:
            note = f"callbacks cannot run on this server: {error}"
            raise Invalid(Problem("script", Kind.INVALID, value=script, note=note)) from error
    return CallbackTest(source, trial, warnings.texts)


def _asked(found: Iterator[Found | None]) -> Iterator[FileInfo | None]:
    """Those that a task puts to its callbacks; the others are a moment to look at the clock."""
    for each in found:
        asked = each is not None and each[1].kind in _MOVABLE
        yield file_info(*each) if asked and each is not None else None


# -------------------------------------------------------------------------------- sources


def _places(context: Context, task: Row[Any]) -> list[Place]:
    with reading(context.database.state) as connection:
        query = select(task_sources).where(task_sources.c.task_id == task.id)
        rows = connection.execute(query.order_by(task_sources.c.id)).all()
        places = [
            Place(
                pool=pool_rows.fetch(connection, row.pool_id) if row.pool_id else None,
                container=container_rows.fetch(connection, row.container_id)
                if row.container_id
                else None,
                path=bytes(row.path),
            )
            for row in rows
        ]
    if not places:
        raise Invalid(Problem(BASE, Kind.BLANK, note="the task has no source to look for files in"))
    return places


def _catalogued(context: Context, place: Place, warnings: _Warnings) -> Iterator[Found | None]:
    engine = context.database.journal
    if place.root_id is None:
        yield from subtree.copies_on(engine, _references(context, place), place.path)
        return
    with reading(engine) as connection:
        node_id = catalogue.find(connection, place.root_id, paths.names(place.path))
        node = None if node_id is None else node_rows.fetch(connection, node_id)
    if node is None or node_id is None:
        warnings.tell(f"/{paths.to_text(place.path)} is not in the catalogue yet")
    elif EntryKind(node.kind) is EntryKind.FOLDER:
        yield from subtree.below(engine, node_id, place.path, tell=warnings.tell)
    else:
        yield paths.split(place.path)[0], subtree.entry_of(node)


def _references(context: Context, place: Place) -> list[StorageReference]:
    assert place.pool is not None
    with reading(context.database.state) as connection:
        if place.pool.content == PoolContent.CLOUD:
            buckets = clouds.buckets_of_pool(connection, place.pool.id)
            return [StorageReference(StorageKind.CLOUD_BUCKET, each.id) for each in buckets]
        shares = nas_rows.shares_of_pool(connection, place.pool.id)
    return [StorageReference(StorageKind.NAS_SHARE, share.id) for share in shares]


def _live(context: Context, place: Place, warnings: _Warnings) -> Iterator[Found | None]:
    addresses = locations.addresses(context, place)
    if not addresses:
        warnings.tell("a source has no storage that can be reached from here")
    for address in addresses:
        try:
            yield from _listed(context, address, place.path, warnings)
        except StorageError as error:
            # The path may lie on another storage of the same pool.
            if error.kind is not ErrorKind.NOT_FOUND or len(addresses) == 1:
                warnings.tell(str(error))


def _listed(
    context: Context, address: StorageAddress, path: bytes, warnings: _Warnings
) -> Iterator[Found]:
    with context.open_storage(address) as storage:
        yield from walk(storage, path, tell=warnings.tell)
