"""Tasks: their vocabulary, and which actions go with which workflow types and storages."""

from __future__ import annotations

from enum import StrEnum

PRIORITY_MINIMUM = 1
PRIORITY_MAXIMUM = 10  # runs first
PRIORITY_DEFAULT = 5
NAME_CHARACTERS_MAXIMUM = 255
COMMENT_CHARACTERS_MAXIMUM = 65_535
WORKERS_MAXIMUM = 64  # of `parallel_processing`


class WorkflowType(StrEnum):
    ACTIVE_ARCHIVE = "active_archive"
    OFFLINE_ARCHIVE = "offline_archive"
    DATA_EXCHANGE = "data_exchange"
    DATA_MIGRATION = "data_migration"
    MAINTENANCE = "maintenance"
    DATA_ENRICHMENT = "data_enrichment"


class WorkflowAction(StrEnum):
    COPY = "copy"
    MOVE = "move"
    ERASE = "erase"
    SCAN = "scan"
    REHYDRATATION = "rehydratation"
    FORMAT = "format"
    CHECK_CONSISTENCY = "check_consistency"
    DUPLICATION = "duplication"
    CACHE_CLEANING = "cache_cleaning"
    EJECTION = "ejection"
    GET_INDEX = "get_index"
    FULL_BACKUP = "full_backup"
    INCREMENTAL_BACKUP = "incremental_backup"
    RESTORE = "restore"
    SPEEDTEST = "speedtest"


class StorageType(StrEnum):
    """The ends of a task: `source_type` and `destination_type`."""

    CONTAINER = "container"
    PRIMARY_NAS = "primary_nas"
    SECONDARY_NAS = "secondary_nas"
    PRIMARY_CLOUD = "primary_cloud"
    SECONDARY_CLOUD = "secondary_cloud"
    SECONDARY_TAPE = "secondary_tape"


class ConflictResolution(StrEnum):
    RENAME = "rename"
    OVERWRITE = "overwrite"
    IGNORE = "ignore"


class CallbackType(StrEnum):
    FILTER = "filter"


class ProcessingOrder(StrEnum):
    """In which order files that were found together are processed."""

    NONE = "none"
    NAME = "name"
    SIZE = "size"
    DATE = "date"
    TAPE = "tape"


class OptionType(StrEnum):
    FILE_CHECKSUM = "file_checksum"
    RESET_FILE_DATE = "reset_file_date"
    RESET_FOLDER_DATE = "reset_folder_date"
    RENAME_TO = "rename_to"
    EXECUTION_TASK_ID = "execution_task_id"
    SELECTED_DRIVE = "selected_drive"
    PARALLEL_PROCESSING = "parallel_processing"
    TASK_ID = "task_id"
    FULL_REPORT = "full_report"
    PROCESSING_ORDER = "processing_order"
    REHYDRATION_USAGE_THRESHOLD = "rehydration_usage_threshold"
    REHYDRATION_DELETED_FILES_THRESHOLD = "rehydration_deleted_files_threshold"
    LEARNING_TYPE = "learning_type"
    LEARNING_THRESHOLD = "learning_threshold"
    TAPE_TO_SCRATCH = "tape_to_scratch"
    EJECT_TAPE_AFTER = "eject_tape_after"
    BARCODES = "barcodes"
    OVERWRITE = "overwrite"
    SOFT_ERASE = "soft_erase"
    TASK_TEMPLATE = "task_template"


Ends = frozenset[StorageType]
"""Storage types that may stand at one end; empty means that this end has to be null."""

_C: Ends = frozenset({StorageType.CONTAINER})
_P: Ends = frozenset({StorageType.PRIMARY_NAS, StorageType.PRIMARY_CLOUD})
_T: Ends = frozenset({StorageType.SECONDARY_TAPE})
_S: Ends = frozenset({StorageType.SECONDARY_NAS, StorageType.SECONDARY_CLOUD}) | _T
_ANY: Ends = _C | _P | _S
_NONE: Ends = frozenset()

Pairs = tuple[tuple[Ends, Ends], ...]

_TRANSFERS: dict[WorkflowType, Pairs] = {
    WorkflowType.ACTIVE_ARCHIVE: ((_C, _S), (_P, _C), (_S, _C)),
    WorkflowType.OFFLINE_ARCHIVE: ((_C | _P, _S),),
    WorkflowType.DATA_EXCHANGE: ((_C | _P, _T), (_T, _C | _P)),
    WorkflowType.DATA_MIGRATION: ((_ANY, _ANY),),
}

MATRIX: dict[WorkflowAction, dict[WorkflowType, Pairs]] = {
    WorkflowAction.COPY: _TRANSFERS,
    WorkflowAction.MOVE: _TRANSFERS,
    WorkflowAction.RESTORE: {
        WorkflowType.ACTIVE_ARCHIVE: ((_S, _C),),
        WorkflowType.OFFLINE_ARCHIVE: ((_S, _C | _P),),
        WorkflowType.DATA_EXCHANGE: ((_T, _C | _P),),
        WorkflowType.DATA_MIGRATION: ((_S, _C | _P),),
    },
    WorkflowAction.FULL_BACKUP: {WorkflowType.OFFLINE_ARCHIVE: ((_C | _P, _S),)},
    WorkflowAction.INCREMENTAL_BACKUP: {WorkflowType.OFFLINE_ARCHIVE: ((_C | _P, _S),)},
    WorkflowAction.ERASE: dict.fromkeys(WorkflowType, ((_ANY, _NONE),)),
    WorkflowAction.SCAN: {
        WorkflowType.MAINTENANCE: ((_P | _S, _NONE),),
        WorkflowType.DATA_EXCHANGE: ((_T, _NONE),),
        WorkflowType.DATA_ENRICHMENT: ((_ANY, _NONE),),
    },
    WorkflowAction.GET_INDEX: dict.fromkeys(
        (WorkflowType.MAINTENANCE, WorkflowType.DATA_EXCHANGE), ((_T, _NONE),)
    ),
    WorkflowAction.FORMAT: {WorkflowType.MAINTENANCE: ((_T, _NONE),)},
    WorkflowAction.CHECK_CONSISTENCY: {WorkflowType.MAINTENANCE: ((_T, _NONE),)},
    WorkflowAction.REHYDRATATION: {WorkflowType.MAINTENANCE: ((_T, _NONE), (_T, _T))},
    WorkflowAction.DUPLICATION: dict.fromkeys(
        (
            WorkflowType.MAINTENANCE,
            WorkflowType.OFFLINE_ARCHIVE,
            WorkflowType.ACTIVE_ARCHIVE,
            WorkflowType.DATA_EXCHANGE,
        ),
        ((_T, _T),),
    ),
    WorkflowAction.EJECTION: dict.fromkeys(
        (WorkflowType.MAINTENANCE, WorkflowType.DATA_EXCHANGE, WorkflowType.OFFLINE_ARCHIVE),
        ((_T, _NONE),),
    ),
    WorkflowAction.CACHE_CLEANING: dict.fromkeys(
        (WorkflowType.MAINTENANCE, WorkflowType.ACTIVE_ARCHIVE), ((_C, _NONE),)
    ),
    WorkflowAction.SPEEDTEST: {WorkflowType.MAINTENANCE: ((_ANY, _ANY), (_ANY, _NONE))},
}
"""Which ends each pair of action and workflow type accepts (semantics, section 3)."""


def refused_fields(
    workflow_type: WorkflowType | None,
    workflow_action: WorkflowAction | None,
    source_type: StorageType | None,
    destination_type: StorageType | None,
) -> tuple[str, ...]:
    """The names of the given fields that fit no row of the matrix.

    A null field is not yet decided and fits everything, so a task may be filled in step by step.
    """
    if workflow_action is None:
        return ()
    rows = _rows(workflow_type, workflow_action)
    if not rows:
        return ("workflow_action",)
    fitting = [pair for pair in rows if source_type is None or source_type in pair[0]]
    if not fitting:
        return ("source_type",)
    if destination_type is None or any(destination_type in ends for _, ends in fitting):
        return ()
    return ("destination_type",)


def needs_destination(
    workflow_type: WorkflowType, workflow_action: WorkflowAction, source_type: StorageType
) -> bool:
    """Whether the task cannot run without a destination."""
    rows = [ends for source, ends in _rows(workflow_type, workflow_action) if source_type in source]
    return bool(rows) and all(rows)


def _rows(workflow_type: WorkflowType | None, workflow_action: WorkflowAction) -> Pairs:
    by_type = MATRIX[workflow_action]
    if workflow_type is None:
        return tuple(pair for pairs in by_type.values() for pair in pairs)
    return by_type.get(workflow_type, ())
