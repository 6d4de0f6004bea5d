"""The ends of a task that is to run: found, and fit for its action and for each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from sqlalchemy import Connection

from longshore.config import Config
from longshore.database import runs
from longshore.domain.task import (
    StorageType,
    WorkflowAction,
    WorkflowType,
    needs_destination,
    refused_fields,
)
from longshore.engine.ends import (
    CannotStart,
    End,
    check_apart,
    destination_end,
    ends,
    every_container,
    every_root,
)

SUPPORTED_ACTIONS = frozenset(
    {
        WorkflowAction.COPY,
        WorkflowAction.MOVE,
        WorkflowAction.RESTORE,
        WorkflowAction.ERASE,
        WorkflowAction.SCAN,
        WorkflowAction.FULL_BACKUP,
        WorkflowAction.INCREMENTAL_BACKUP,
        WorkflowAction.CACHE_CLEANING,
        WorkflowAction.SPEEDTEST,
    }
)
RANGED = frozenset({WorkflowAction.COPY, WorkflowAction.RESTORE})
"""Actions that may take a byte range of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnds:
    """Where files come from and go to: each has its storage, and they fit each other."""

    sources: list[End]
    targets: list[End]  # none where the action needs none
    original_place: bool  # files go back: the targets are all the places they may have come from
    source_type: StorageType
    destination_type: StorageType | None  # as the task has it: none for the original place


def find_ends(connection: Connection, task: runs.TaskRow, config: Config) -> TaskEnds:
    """The ends of the task, or of its action where it names none. Raises CannotStart."""
    sources = _find_sources(connection, task, config)
    targets = [
        destination_end(connection, row, task, config)
        for row in runs.destinations(connection, task.id)
    ]
    source_type, destination_type = _check(task, sources, targets)
    original_place = task.workflow_action == WorkflowAction.RESTORE.value and not targets
    if original_place:
        targets = every_root(connection, config)
    else:
        for source, target in product(sources, targets):
            check_apart(source, target)
    return TaskEnds(
        sources=sources,
        targets=targets,
        original_place=original_place,
        source_type=source_type,
        destination_type=destination_type,
    )


def _find_sources(connection: Connection, task: runs.TaskRow, config: Config) -> list[End]:
    """The task's sources; a cache cleaning that names none cleans every cache."""
    sources = [
        end
        for row in runs.sources(connection, task.id)
        for end in ends(connection, row, task, config)
    ]
    if task.workflow_action == WorkflowAction.CACHE_CLEANING.value and not sources:
        return every_container(connection, config)
    return sources


def _check(
    task: runs.TaskRow, sources: Sequence[End], destinations: Sequence[End]
) -> tuple[StorageType, StorageType | None]:
    """The types of the first ends, once everything that a run needs is there."""
    if not task.workflow_type or not task.workflow_action:
        raise CannotStart("the task has no workflow type or no workflow action yet")
    workflow_type = WorkflowType(task.workflow_type)
    action = WorkflowAction(task.workflow_action)
    if action not in SUPPORTED_ACTIONS:
        raise CannotStart(f"this version cannot run the action {action.value}")
    if (workflow_type, action) == (WorkflowType.DATA_ENRICHMENT, WorkflowAction.SCAN):
        # It would be a plain scan, and its owner would wait for metadata that nobody computes.
        raise CannotStart("this version cannot run a scan of data_enrichment")
    if not sources:
        raise CannotStart("the task has no source")
    source_types = _types(sources, task.source_type, "source")
    optional = action is WorkflowAction.RESTORE  # without one: back to the original place
    if not destinations and not optional:
        for source_type in source_types:
            if needs_destination(workflow_type, action, source_type):
                raise CannotStart("the task has no destination")
    destination_types = _types(destinations, task.destination_type, "destination")
    towards: Sequence[StorageType | None] = destination_types or [None]
    for source_type, destination_type in product(source_types, towards):
        _check_pair(workflow_type, action, source_type, destination_type)
    ranged = any(source.range_last for source in sources)
    if ranged and (action not in RANGED or not destinations):
        raise CannotStart("a byte range goes with copy and with restore to a destination only")
    return source_types[0], destination_types[0] if destination_types else None


def _types(ends: Sequence[End], declared: str | None, side: str) -> list[StorageType]:
    """The types of all these ends, in their order; only the declared one, where one is."""
    found = list(dict.fromkeys(end.type for end in ends))
    for each in found:
        if declared and declared != each.value:
            raise CannotStart(f"{side}_type is {declared}, but a {side} is a {each.value}")
    return found


def _check_pair(
    workflow_type: WorkflowType,
    action: WorkflowAction,
    source_type: StorageType,
    destination_type: StorageType | None,
) -> None:
    """Every source is written to every destination, so each pair has to be in the matrix."""
    values = {
        "workflow_action": action,
        "source_type": source_type,
        "destination_type": destination_type,
    }
    for field in refused_fields(workflow_type, action, source_type, destination_type):
        what = f"{workflow_type.value} {action.value} from {source_type.value}"
        raise CannotStart(f"{field} {values[field]} does not fit {what}")
