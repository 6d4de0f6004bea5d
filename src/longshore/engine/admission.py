"""From a task to the plan of an execution: what is missing or wrong is said before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from longshore.callbacks import SandboxReport
from longshore.config import Config
from longshore.database import runs
from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.task import (
    ConflictResolution,
    OptionType,
    ProcessingOrder,
    StorageType,
    WorkflowAction,
)
from longshore.engine.ends import CannotStart, End
from longshore.engine.task_ends import TaskEnds, find_ends
from longshore.pipeline.messages.plan import Callback, Destination, ExecutionPlan, Source

SUPPORTED_OPTIONS = frozenset(
    {
        OptionType.FILE_CHECKSUM,
        OptionType.RENAME_TO,
        OptionType.RESET_FILE_DATE,
        OptionType.RESET_FOLDER_DATE,
        OptionType.PARALLEL_PROCESSING,
        OptionType.PROCESSING_ORDER,
        OptionType.FULL_REPORT,
        OptionType.EXECUTION_TASK_ID,
        OptionType.TASK_ID,
        OptionType.OVERWRITE,
        OptionType.SOFT_ERASE,
        OptionType.TASK_TEMPLATE,
    }
)
BACKUPS = frozenset({WorkflowAction.FULL_BACKUP, WorkflowAction.INCREMENTAL_BACKUP})
BASE_EXECUTIONS_MAXIMUM = 10_000  # backups one incremental one may build upon: decades of nights

Options = dict[OptionType, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A plan, and the two ends as the execution's history shows them: the first of each."""

    plan: ExecutionPlan
    source_type: StorageType
    destination_type: StorageType | None


def admit(
    connection: Connection,
    task: runs.TaskRow,
    execution_id: int,
    config: Config,
    *,
    changed_options: Mapping[str, str] | None = None,
) -> Admission:
    """The plan of a new execution, with changed options or the task's own. Raises CannotStart."""
    if changed_options is None:
        changed_options = runs.options(connection, task.id)
    options = _options(changed_options)
    found = find_ends(connection, task, config)
    return Admission(
        plan=_plan(connection, task, execution_id, config, options, found),
        source_type=found.source_type,
        destination_type=found.destination_type,
    )


def require_callbacks(plan: ExecutionPlan, report: SandboxReport) -> None:
    """Return if this machine can hold the plan's callbacks. Raises CannotStart.

    A task never runs without its callbacks, and they never run without their locks.
    """
    for callback in plan.callbacks:
        refusal = report.refusal(callback.script)
        if refusal is not None:
            raise CannotStart(f"callback {callback.id}: {refusal}")


# ---------------------------------------------------------------------------- the options


def _options(given: Mapping[str, str]) -> Options:
    options = {OptionType(kind): value for kind, value in given.items()}
    if _is_on(options, OptionType.TASK_TEMPLATE):
        raise CannotStart("the task is a template: it can be copied, not run")
    for option in options:
        if option not in SUPPORTED_OPTIONS:
            raise CannotStart(f"this version cannot run a task with the option {option.value}")
    return options


def _is_on(options: Options, option: OptionType) -> bool:
    return options.get(option) == "1"


def _conflict(task: runs.TaskRow, options: dict[OptionType, str]) -> ConflictResolution:
    """An explicit rule wins over the option `overwrite`; the rule of last resort is to rename."""
    if task.conflict_resolution:
        return ConflictResolution(task.conflict_resolution)
    if options.get(OptionType.OVERWRITE) == "1":
        return ConflictResolution.OVERWRITE
    return ConflictResolution.RENAME


# ------------------------------------------------------------------------------- the plan


def _plan(
    connection: Connection,
    task: runs.TaskRow,
    execution_id: int,
    config: Config,
    options: Options,
    found: TaskEnds,
) -> ExecutionPlan:
    action = WorkflowAction(task.workflow_action)
    folder = _folder_of_backup(task, execution_id)
    return ExecutionPlan(
        execution_id=execution_id,
        task_id=task.id,
        sources=_sources(found.sources, found.targets, folder, options),
        destinations=[
            Destination(target.storage, target.root_id, list(target.further))
            for target in found.targets
        ],
        conflict=_conflict(task, options),
        checksum=ChecksumKind(options.get(OptionType.FILE_CHECKSUM, "none")),
        # A move deletes what it has copied, so its copies are read back whatever the setting says.
        verify=config.verify_by_reading_back or action is WorkflowAction.MOVE,
        callbacks=[Callback(*each) for each in runs.callbacks(connection, task.id)],
        workers=_workers(options, config),
        slice_seconds=config.slice_seconds,
        batch_files=config.batch_files_maximum,
        batch_bytes=config.batch_bytes_maximum,
        segment_bytes=config.segment_bytes,
        action=action,
        verify_from_medium=config.verify_from_medium,
        soft_erase=_is_on(options, OptionType.SOFT_ERASE),
        reset_file_date=_is_on(options, OptionType.RESET_FILE_DATE),
        reset_folder_date=_is_on(options, OptionType.RESET_FOLDER_DATE),
        order=ProcessingOrder(options.get(OptionType.PROCESSING_ORDER, "none")),
        base_executions=_base_executions(connection, task),
        original_place=found.original_place,
        listed_execution=_listed_execution(connection, task, options),
    )


def _sources(
    sources: Sequence[End], targets: Sequence[End], folder: bytes, options: Options
) -> list[Source]:
    """Every source once for every destination; once where the action has none."""
    rename_to = options.get(OptionType.RENAME_TO, "")
    if rename_to and (len(sources) != 1 or not sources[0].path):
        raise CannotStart("rename_to needs exactly one source that is a file or folder")
    return [
        Source(
            storage=source.storage,
            path=source.path,
            target=paths.join(path, folder, source.prefix),
            target_name=rename_to.encode(),
            root_id=source.root_id,
            optional=source.optional,
            destination=index,
            range_first=source.range_first,
            range_last=source.range_last,
        )
        for index, path in enumerate([target.path for target in targets] or [b""])
        for source in sources
    ]


def _folder_of_backup(task: runs.TaskRow, execution_id: int) -> bytes:
    """Each backup has a folder of its own: the task's name, then the execution."""
    if WorkflowAction(task.workflow_action) not in BACKUPS:
        return b""
    name = task.name.replace("/", "_").encode()[:200]
    return paths.join(b"_" if name in {b".", b".."} else name, str(execution_id).encode())


def _workers(options: Options, config: Config) -> int:
    return int(options.get(OptionType.PARALLEL_PROCESSING, config.parallel_processing_default))


def _listed_execution(connection: Connection, task: runs.TaskRow, options: Options) -> int:
    """The execution whose files are taken; 0 where the sources are walked."""
    if OptionType.EXECUTION_TASK_ID in options:
        execution_id = _number(options[OptionType.EXECUTION_TASK_ID])
        row = runs.execution(connection, execution_id)
        if row is None or row.owner_id != task.owner_id:
            raise CannotStart(f"there is no execution {execution_id} of this task's owner")
        return execution_id
    if OptionType.TASK_ID in options:
        listed = runs.task(connection, _number(options[OptionType.TASK_ID]))
        if listed is None or listed.owner_id != task.owner_id:
            raise CannotStart(f"this task's owner has no task {options[OptionType.TASK_ID]}")
        actions = [action.value for action in WorkflowAction]
        found = runs.correct_executions(connection, listed.id, actions, limit=1)
        if not found:
            raise CannotStart(f"task {listed.id} has no execution that ended well")
        return found[0]
    return 0


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 19:
        raise CannotStart(f"{text!r} is not the id of an execution or task")
    return int(text)


def _base_executions(connection: Connection, task: runs.TaskRow) -> list[int]:
    """The backups whose files an incremental one does not write again; none: it is a full one."""
    if task.workflow_action != WorkflowAction.INCREMENTAL_BACKUP.value:
        return []
    return runs.backup_chain(
        connection,
        task.id,
        full=WorkflowAction.FULL_BACKUP.value,
        incremental=WorkflowAction.INCREMENTAL_BACKUP.value,
        limit=BASE_EXECUTIONS_MAXIMUM,
    )
