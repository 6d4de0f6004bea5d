"""What the demo asks of the server, over the REST API alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from longshore.cli.demo.display import show_progress
from longshore.client import CatalogueFile, Client, Execution, ExecutionFile
from longshore.domain import paths
from longshore.domain.errors import LongshoreError
from longshore.domain.execution import TaskStatus

LEFT_OUT = ".pyc"
CHECKSUM = "xxhash64"
SCRIPT = f"""import utils


def run(req):
    return not utils.get_node_info(req).path.endswith({LEFT_OUT!r})
"""

Say = Callable[[str], None]

_FINISHED = frozenset({TaskStatus.DONE, TaskStatus.FINISHED_WITH_WARNINGS})


class DemoFailed(LongshoreError):
    """The demo cannot go on; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A finished execution, and the root of its source in the catalogue."""

    execution: Execution
    root_id: int


def is_left_out(path: bytes) -> bool:
    """What SCRIPT says of a file."""
    return path.endswith(LEFT_OUT.encode())


def is_text(path: str) -> bool:
    """Whether the path can be written in JSON."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def shown(path: str) -> str:
    return paths.to_text(os.fsencode(path))


def archive(client: Client, source: str, destination: str, say: Say) -> Archived:
    """Declare the storages and the task, and run it to its end. Raises LongshoreError."""
    nas = client.add_nas(name="this machine", host="localhost", type="nfs_v4")
    pools = []
    for name, kind, folder in (
        ("live data", "primary", source),
        ("vault", "offline_archive", destination),
    ):
        options = f"mount_point={folder}"
        share = client.add_nas_share(nas.id, name=name, path="/", options=options)
        pools.append(client.add_nas_pool(name=name, type=kind, nas_share_ids=[share.id]))
    task = client.add_task(name="demo", workflow_type="offline_archive", workflow_action="copy")
    client.add_task_source(task.id, pool_id=pools[0].id)
    client.add_task_destination(task.id, pool_id=pools[1].id)
    client.add_task_option(task.id, "file_checksum", CHECKSUM)
    client.add_task_callback(task.id, SCRIPT)
    say(f"task {task.id}: offline_archive copy with {CHECKSUM}, leaves out *{LEFT_OUT}")
    client.run(task.id)
    execution = show_progress(client, task.id)
    if execution is None or execution.status not in _FINISHED:
        raise DemoFailed(_unfinished(execution))
    assert pools[0].primary_id is not None
    return Archived(execution=execution, root_id=pools[0].primary_id)


def _unfinished(execution: Execution | None) -> str:
    if execution is None:
        return "the task has no execution"
    reason = execution.reason or "the server does not say why"
    return f"the execution is {execution.status.value}: {reason}"


def read_report(client: Client, archived: Archived, say: Say) -> dict[str, ExecutionFile]:
    """What became of each file, by path; what the execution says of itself has to agree."""
    execution = archived.execution
    report = {file.file_path: file for file in client.execution_files(execution.id)}
    outcomes = [file.outcome for file in report.values()]
    refused, failed = outcomes.count("refused"), outcomes.count("failed")
    if execution.to_process_files != len(report) - refused:
        raise DemoFailed(
            f"the execution counts {execution.to_process_files} files, "
            f"its report has {len(report) - refused}"
        )
    say(
        f"execution {execution.id}: {execution.status.value}, "
        f"{execution.processed_files:,} files and {execution.processed_size:,} bytes archived, "
        f"{refused:,} left out, {failed:,} failed"
    )
    return report


def read_catalogue(client: Client, archived: Archived, say: Say) -> Mapping[str, CatalogueFile]:
    """Everything below the catalogue's root of the source, by path."""
    found: dict[str, CatalogueFile] = {}
    pending = [("", archived.root_id)]
    while pending:
        folder, folder_id = pending.pop()
        for file in client.catalogue_children(folder_id):
            path = f"{folder}/{file.name}"
            found[path] = file
            if file.type == "folder":
                pending.append((path, file.id))
    folders = sum(file.type == "folder" for file in found.values())
    say(f"catalogue: {len(found) - folders:,} files in {folders:,} folders")
    return found
