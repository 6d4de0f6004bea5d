"""A site's rules: an archive has a cost centre and checksums, and ends in the site's journal."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from longshore.domain.outcome import Outcome
from longshore.hooks import FileRequest, FileResults, TaskEnd, TaskStart


class SitePolicy:
    """One object per controller and mover; each asks from one thread."""

    def __init__(self) -> None:
        self._journal = Path(os.environ.get("SITE_POLICY_JOURNAL", "/var/log/site-policy.jsonl"))
        self._failed: dict[int, int] = {}

    def before_task_executed(self, start: TaskStart) -> TaskStart | None:
        if start.workflow_action not in {"copy", "move"}:
            return None
        if "cost_centre" not in start.metadata:
            raise ValueError("metadata cost_centre is missing")
        return replace(
            start,
            options={"file_checksum": "sha256", **start.options},
            metadata={**start.metadata, "policy": "site-policy 1.0"},
        )

    def before_request_dispatched(self, request: FileRequest) -> FileRequest | bool | None:
        if request.path.endswith(b".tmp"):
            return False
        if request.path.endswith(b".mov") and request.target_name:
            return replace(request, target_folder=b"films", target_name=b"film.mov")
        return None

    def after_result_received(self, results: FileResults) -> None:
        failed = sum(file.outcome is Outcome.FAILED for file in results.files)
        before = self._failed.get(results.execution_id, 0)
        self._failed[results.execution_id] = before + failed

    def after_task_executed(self, end: TaskEnd) -> None:
        line = {
            "task": end.task_id,
            "execution": end.execution_id,
            "status": end.status,
            "failed_files": self._failed.pop(end.execution_id, 0),
        }
        with self._journal.open("a") as journal:
            journal.write(json.dumps(line) + "\n")
