"""Answers of the server as values. Fields that are not listed here are left out.

Sizes are bytes, dates the API's text, ids numbers except those of executions.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from longshore.domain.execution import TaskStatus


class Nas(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str


class NasShare(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    nas_id: int


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """`primary_id` is the root of the pool's files in the catalogue, for primary pools."""

    id: int
    name: str
    primary_id: int | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A source, destination, option or callback of a task."""

    id: int


class Task(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    status: TaskStatus
    progress: int = 0  # percent
    processed_size: int = 0
    to_process_size: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """How far a requested action has come."""

    job_id: str
    status: Literal["queued", "working", "completed", "failed"]
    reason: str | None = None  # of a failure


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a task; `reason` says why it did not simply end in `done`."""

    id: str
    task_id: int | None
    status: TaskStatus
    reason: str | None = None
    to_process_files: int = 0
    processed_files: int = 0
    failed_files: int = 0
    to_process_size: int = 0
    processed_size: int = 0


class FileError(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    text: str | None = None


class ExecutionFile(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file in one execution."""

    file_path: str
    outcome: str
    size: int
    checksum_type: str | None = None
    checksum: str | None = None
    error: FileError | None = None


class CatalogueFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of the catalogue; `offline` counts its copies on secondary storage."""

    id: int
    name: str
    type: Literal["file", "folder"]
    size: int
    offline: int = 0
