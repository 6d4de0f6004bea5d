"""Showing a task at work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time

from longshore.client import Client, Execution
from longshore.domain.execution import IDLE

LINE_SECONDS = 1.0  # between two plain lines


def show_progress(client: Client, task_id: int) -> Execution | None:
    """Show the task until it has ended; its execution."""
    if sys.stdout.isatty():
        return _show_bar(client, task_id)
    return _show_lines(client, task_id)


def _show_lines(client: Client, task_id: int) -> Execution | None:
    execution = None
    shown_at = -LINE_SECONDS
    for task in client.watch(task_id):
        execution = client.last_execution(task_id)
        now = time.monotonic()
        due = now - shown_at >= LINE_SECONDS or task.status in IDLE
        if execution is not None and due:
            print(_line(execution), flush=True)
            shown_at = now
    return execution


def _line(execution: Execution) -> str:
    return (
        f"  {execution.status.value}: {execution.processed_files:,} of "
        f"{execution.to_process_files:,} files, {execution.processed_size:,} of "
        f"{execution.to_process_size:,} bytes"
    )


def _show_bar(client: Client, task_id: int) -> Execution | None:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description:>11}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[files]}"),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    execution = None
    with Progress(*columns) as progress:
        bar = progress.add_task("in_queue", total=None, files="")
        for _ in client.watch(task_id):
            execution = client.last_execution(task_id)
            if execution is None:
                continue
            progress.update(
                bar,
                description=execution.status.value,
                total=execution.to_process_size,
                completed=execution.processed_size,
                files=f"{execution.processed_files:,}/{execution.to_process_files:,} files",
            )
    return execution
