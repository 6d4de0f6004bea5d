"""The work that an execution begins with."""

from __future__ import annotations

from longshore.database.journal import NewWork
from longshore.domain.errors import Side
from longshore.domain.task import WorkflowAction
from longshore.engine import file_lists
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.work import SpeedWork, encode, first_scan
from longshore.pipeline.speedtest import TEST_FILE_BYTES


def first_work(plan: ExecutionPlan) -> list[NewWork]:
    """Walk the sources, take over the files of another execution, or measure storages.

    A restore ends with a look at what it should have found.
    """
    if plan.action is WorkflowAction.SPEEDTEST:
        return _measurements(plan)
    if plan.listed_execution:
        return [file_lists.first_work()]
    walk = NewWork(kind=WorkKind.SCAN, files=0, size=0, payload=encode(first_scan(plan)))
    return [walk, file_lists.sweep()] if plan.action is WorkflowAction.RESTORE else [walk]


def _measurements(plan: ExecutionPlan) -> list[NewWork]:
    """Each storage once, whatever the number of its sources."""
    ends = {
        source.storage.reference: (Side.SOURCE, index) for index, source in enumerate(plan.sources)
    }
    for index, destination in enumerate(plan.destinations):
        ends.setdefault(destination.storage.reference, (Side.DESTINATION, index))
    return [
        NewWork(
            kind=WorkKind.SPEEDTEST,
            files=1,
            size=TEST_FILE_BYTES,
            payload=encode(SpeedWork(side, index, TEST_FILE_BYTES)),
        )
        for side, index in ends.values()
    ]
