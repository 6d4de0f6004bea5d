"""From a task to the plan of an execution: what is missing or wrong is said before it starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from longshore.callbacks import SandboxReport
from longshore.config import Config
from longshore.database import runs
from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.errors import LongshoreError
from longshore.domain.storage import (
    MOUNT_POINT_OPTION,
    PoolContent,
    PoolType,
    StorageAddress,
    StorageKind,
    StorageReference,
    folder_address,
    parse_share_options,
)
from longshore.domain.task import (
    ConflictResolution,
    OptionType,
    StorageType,
    WorkflowAction,
    WorkflowType,
    needs_destination,
    refused_fields,
)
from longshore.pipeline.messages import Callback, Destination, ExecutionPlan, Source

SUPPORTED_ACTIONS = frozenset({WorkflowAction.COPY, WorkflowAction.MOVE})
SUPPORTED_OPTIONS = frozenset(
    {
        OptionType.FILE_CHECKSUM,
        OptionType.RENAME_TO,
        OptionType.PARALLEL_PROCESSING,
        OptionType.FULL_REPORT,
        OptionType.OVERWRITE,
        OptionType.TASK_TEMPLATE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A plan, and the two ends as the execution's history shows them."""

    plan: ExecutionPlan
    source_type: StorageType
    destination_type: StorageType


def admit(
    connection: Connection, task: runs.TaskRow, execution_id: int, config: Config
) -> Admission:
    """The plan of a new execution. Raises CannotStart."""
    options = _options(connection, task)
    sources = [
        end
        for row in runs.sources(connection, task.id)
        for end in ends(connection, row, task, config)
    ]
    targets = [
        end
        for row in runs.destinations(connection, task.id)
        for end in ends(connection, row, task, config)[:1]
    ]
    source_type, destination_type = _check(task, sources, targets)
    rename_to = options.get(OptionType.RENAME_TO, "")
    if rename_to and (len(sources) != 1 or not sources[0].path):
        raise CannotStart("rename_to needs exactly one source that is a file or folder")
    for source, target in product(sources, targets):
        check_apart(source, target)
    plan = ExecutionPlan(
        execution_id=execution_id,
        task_id=task.id,
        sources=[
            Source(
                storage=source.storage,
                path=source.path,
                target=paths.join(target.path, source.prefix),
                target_name=rename_to.encode(),
                root_id=source.root_id,
                optional=source.optional,
                destination=index,
            )
            for index, target in enumerate(targets)
            for source in sources
        ],
        destinations=[Destination(target.storage, target.root_id) for target in targets],
        conflict=_conflict(task, options),
        checksum=ChecksumKind(options.get(OptionType.FILE_CHECKSUM, "none")),
        verify=config.verify_by_reading_back,
        callbacks=[Callback(*each) for each in runs.callbacks(connection, task.id)],
        workers=int(
            options.get(OptionType.PARALLEL_PROCESSING, config.parallel_processing_default)
        ),
        slice_seconds=config.slice_seconds,
        batch_files=config.batch_files_maximum,
        batch_bytes=config.batch_bytes_maximum,
        action=WorkflowAction(task.workflow_action),
        verify_from_medium=config.verify_from_medium,
    )
    return Admission(plan=plan, source_type=source_type, destination_type=destination_type)


def require_callbacks(plan: ExecutionPlan, report: SandboxReport) -> None:
    """Return if this machine can hold the plan's callbacks. Raises CannotStart.

    A task never runs without its callbacks, and they never run without their locks.
    """
    for callback in plan.callbacks:
        refusal = report.refusal(callback.script)
        if refusal is not None:
            raise CannotStart(f"callback {callback.id}: {refusal}")


# ------------------------------------------------------------------------------- the task


def _options(connection: Connection, task: runs.TaskRow) -> dict[OptionType, str]:
    options = {OptionType(kind): value for kind, value in runs.options(connection, task.id).items()}
    if options.get(OptionType.TASK_TEMPLATE) == "1":
        raise CannotStart("the task is a template: it can be copied, not run")
    for option in options:
        if option not in SUPPORTED_OPTIONS:
            raise CannotStart(f"this version cannot run a task with the option {option.value}")
    return options


def _conflict(task: runs.TaskRow, options: dict[OptionType, str]) -> ConflictResolution:
    """An explicit rule wins over the option `overwrite`; the rule of last resort is to rename."""
    if task.conflict_resolution:
        return ConflictResolution(task.conflict_resolution)
    if options.get(OptionType.OVERWRITE) == "1":
        return ConflictResolution.OVERWRITE
    return ConflictResolution.RENAME


def _check(
    task: runs.TaskRow, sources: Sequence[End], destinations: Sequence[End]
) -> tuple[StorageType, StorageType]:
    """The types of both ends, once everything that a run needs is there."""
    if not task.workflow_type or not task.workflow_action:
        raise CannotStart("the task has no workflow type or no workflow action yet")
    action = WorkflowAction(task.workflow_action)
    if action not in SUPPORTED_ACTIONS:
        raise CannotStart(f"this version cannot run the action {action.value}")
    if not sources:
        raise CannotStart("the task has no source")
    if not destinations:
        raise CannotStart("the task has no destination")
    source_type = _one_type(sources, task.source_type, "source")
    destination_type = _one_type(destinations, task.destination_type, "destination")
    workflow_type = WorkflowType(task.workflow_type)
    refused = refused_fields(workflow_type, action, source_type, destination_type)
    if refused:
        raise CannotStart(
            f"{workflow_type.value} {action.value} does not go from {source_type.value} "
            f"to {destination_type.value}"
        )
    assert needs_destination(workflow_type, action, source_type)
    return source_type, destination_type


def _one_type(ends: Sequence[End], declared: str | None, side: str) -> StorageType:
    found = {end.type for end in ends}
    if len(found) > 1:
        raise CannotStart(f"the {side}s are of different types")
    (only,) = found
    if declared and declared != only.value:
        raise CannotStart(f"{side}_type is {declared}, but the {side} is a {only.value}")
    return only
