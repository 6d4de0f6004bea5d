"""The matrix of workflow types, actions and ends: every row of the semantics, and nothing else."""

from __future__ import annotations

import itertools

import pytest

from longshore.domain.task import (
    StorageType,
    WorkflowAction,
    WorkflowType,
    needs_destination,
    refused_fields,
)

End = StorageType | None

SHORT: dict[str, set[End]] = {
    "C": {StorageType.CONTAINER},
    "P": {StorageType.PRIMARY_NAS, StorageType.PRIMARY_CLOUD},
    "S": {StorageType.SECONDARY_NAS, StorageType.SECONDARY_CLOUD, StorageType.SECONDARY_TAPE},
    "T": {StorageType.SECONDARY_TAPE},
    "A": set(StorageType),  # any
    "-": {None},
}

TRANSFERS = {
    "active_archive": "C>S P>C S>C",
    "offline_archive": "CP>S",
    "data_exchange": "CP>T T>CP",
    "data_migration": "A>A",
}

TABLE = {
    "copy": TRANSFERS,
    "move": TRANSFERS,
    "restore": {
        "active_archive": "S>C",
        "offline_archive": "S>CP",
        "data_exchange": "T>CP",
        "data_migration": "S>CP",
    },
    "full_backup": {"offline_archive": "CP>S"},
    "incremental_backup": {"offline_archive": "CP>S"},
    "erase": {each.value: "CPS>-" for each in WorkflowType},
    "scan": {"maintenance": "PS>-", "data_exchange": "T>-", "data_enrichment": "CPS>-"},
    "get_index": {"maintenance": "T>-", "data_exchange": "T>-"},
    "format": {"maintenance": "T>-"},
    "check_consistency": {"maintenance": "T>-"},
    "rehydratation": {"maintenance": "T>- T>T"},
    "duplication": {
        "maintenance": "T>T",
        "offline_archive": "T>T",
        "active_archive": "T>T",
        "data_exchange": "T>T",
    },
    "ejection": {"maintenance": "T>-", "data_exchange": "T>-", "offline_archive": "T>-"},
    "cache_cleaning": {"maintenance": "C>-", "active_archive": "C>-"},
    "speedtest": {"maintenance": "A>A A>-"},
}
"""Section 3 of the semantics, written once more: `CP>S` is from C or P to S."""


def ends(letters: str) -> set[End]:
    return set[End]().union(*(SHORT[letter] for letter in letters))


def pairs(rows: str) -> set[tuple[End, End]]:
    """All pairs of ends that the rows allow."""
    found: set[tuple[End, End]] = set()
    for row in rows.split():
        source, _, destination = row.partition(">")
        found |= set(itertools.product(ends(source), ends(destination)))
    return found


COMBINATIONS = list(itertools.product(WorkflowAction, WorkflowType))


@pytest.mark.parametrize(("action", "kind"), COMBINATIONS)
def test_a_task_with_all_fields_is_accepted_exactly_as_the_table_says(
    action: WorkflowAction, kind: WorkflowType
) -> None:
    allowed = pairs(TABLE[action.value].get(kind.value, ""))
    for source, destination in itertools.product(StorageType, StorageType):
        accepted = not refused_fields(kind, action, source, destination)
        assert accepted == ((source, destination) in allowed), (source, destination)


@pytest.mark.parametrize(("action", "kind"), COMBINATIONS)
def test_a_destination_is_needed_exactly_where_no_row_is_without_one(
    action: WorkflowAction, kind: WorkflowType
) -> None:
    allowed = pairs(TABLE[action.value].get(kind.value, ""))
    for source in StorageType:
        fitting = {destination for each, destination in allowed if each is source}
        expected = bool(fitting) and None not in fitting
        assert needs_destination(kind, action, source) == expected, source


@pytest.mark.parametrize(
    ("kind", "action", "source", "destination", "field"),
    [
        ("active_archive", "format", None, None, "workflow_action"),
        ("data_enrichment", "copy", None, None, "workflow_action"),
        ("offline_archive", "copy", "secondary_nas", None, "source_type"),
        ("offline_archive", "copy", "container", "primary_nas", "destination_type"),
        ("data_exchange", "copy", "container", "secondary_nas", "destination_type"),
        ("active_archive", "copy", "primary_nas", "secondary_nas", "destination_type"),
        ("maintenance", "erase", "primary_nas", "secondary_nas", "destination_type"),
    ],
)
def test_a_refusal_names_the_field_that_fits_no_row(
    kind: str, action: str, source: str | None, destination: str | None, field: str
) -> None:
    refused = refused_fields(
        WorkflowType(kind),
        WorkflowAction(action),
        StorageType(source) if source else None,
        StorageType(destination) if destination else None,
    )
    assert refused == (field,)


@pytest.mark.parametrize(("action", "kind"), COMBINATIONS)
def test_a_null_field_fits_whatever_may_still_be_filled_in(
    action: WorkflowAction, kind: WorkflowType
) -> None:
    rows = TABLE[action.value].get(kind.value, "")
    assert (refused_fields(kind, action, None, None) == ()) == bool(rows)
    assert refused_fields(kind, None, StorageType.CONTAINER, StorageType.SECONDARY_TAPE) == ()
    assert refused_fields(None, action, None, None) == ()
    for source, destination in pairs(rows):
        assert refused_fields(None, action, source, destination) == ()
        assert refused_fields(kind, action, source, None) == ()
