"""The client: one method for each call, typed answers, and waiting for what takes time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from longshore.client.errors import (
    ActionFailed,
    NoProgress,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from longshore.client.values import (
    CatalogueFile,
    Execution,
    ExecutionFile,
    Job,
    Nas,
    NasShare,
    Part,
    Pool,
    Task,
)
from longshore.domain.execution import IDLE

PREFIX = "/api/v2"
REQUEST_SECONDS = 60.0  # for one answer; a page of a long listing is far from that
POLL_SECONDS = 0.1  # between two looks at something that is under way; a look costs 2 ms
PAGE_ROWS = 1_000  # of a listing that is read whole, about 500 KB
ACTION_SECONDS = 60.0  # until a requested action has taken effect; running slices end first
STALL_SECONDS = 300.0  # without any change of a task that runs: as long as storages are retried

Answer = TypeVar("Answer")


class _Refusal(msgspec.Struct):
    messages: list[str] = []
    details: dict[str, object] = {}


class Client:
    """A user's connection to a server. Not for several threads at once.

    Every method raises Unreachable when no server answers and Refused, with the server's own
    messages, when it says no. Nothing is sent twice.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            auth=(user, password),
            timeout=REQUEST_SECONDS,
            trust_env=False,  # a proxy of the environment must not see the password
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # ------------------------------------------------------------------ storages

    def add_nas(self, *, name: str, host: str, type: str) -> Nas:  # noqa: A002 — the API's word
        return self._post("/nas", {"name": name, "host": host, "type": type}, Nas)

    def add_nas_share(self, nas_id: int, *, name: str, path: str, options: str) -> NasShare:
        """A share; `options` as in `mount_point=/absolute/folder`."""
        body = {"name": name, "path": path, "options": options}
        return self._post(f"/nas/{nas_id}/nas_shares", body, NasShare)

    def add_nas_pool(self, *, name: str, type: str, nas_share_ids: list[int]) -> Pool:  # noqa: A002
        body = {"name": name, "type": type, "content": "nas", "nas_share_ids": nas_share_ids}
        return self._post("/pools", body, Pool)

    # ------------------------------------------------------------------ tasks

    def add_task(self, **fields: object) -> Task:
        """A task with the API's fields: name, workflow_type, workflow_action and so on."""
        return self._post("/tasks", fields, Task)

    def task(self, task_id: int) -> Task:
        return self._get(f"/tasks/{task_id}", Task)

    def add_task_source(self, task_id: int, **fields: object) -> Part:
        return self._post(f"/tasks/{task_id}/task_sources", fields, Part)

    def add_task_destination(self, task_id: int, **fields: object) -> Part:
        return self._post(f"/tasks/{task_id}/task_destinations", fields, Part)

    def add_task_option(self, task_id: int, type: str, value: str) -> Part:  # noqa: A002
        return self._post(f"/tasks/{task_id}/task_options", {"type": type, "value": value}, Part)

    def add_task_callback(self, task_id: int, script: str) -> Part:
        """A filter: the script decides for every file whether it is processed."""
        body = {"type": "filter", "script": script}
        return self._post(f"/tasks/{task_id}/task_callbacks", body, Part)

    def run(self, task_id: int) -> None:
        """Start the task; returns when it is in the queue. Raises ActionFailed."""
        self._act(task_id, "run")

    def watch(self, task_id: int, *, stall_seconds: float = STALL_SECONDS) -> Iterator[Task]:
        """The task as it changes, for the last time when it has ended. Raises NoProgress."""
        last = self.task(task_id)
        changed_at = self._monotonic()
        yield last
        while last.status not in IDLE:
            self._sleep(POLL_SECONDS)
            task = self.task(task_id)
            if task != last:
                changed_at = self._monotonic()
                yield task
            elif self._monotonic() - changed_at > stall_seconds:
                raise NoProgress(
                    f"task {task.name} is {task.status.value} "
                    f"and has not changed for {stall_seconds:.0f} s"
                )
            last = task

    def wait(self, task_id: int, *, stall_seconds: float = STALL_SECONDS) -> Task:
        """The task once it has ended. Raises NoProgress."""
        *_, last = self.watch(task_id, stall_seconds=stall_seconds)
        return last

    # ------------------------------------------------------------------ what became of it

    def last_execution(self, task_id: int) -> Execution | None:
        """The task's newest execution; None when it never ran."""
        path = f"/tasks/{task_id}/task_executions"
        found = self._page(path, "task_executions", Execution, {"sort_by": "id:desc", "limit": 1})
        return found[0] if found else None

    def execution_files(self, execution_id: str, **filters: str) -> Iterator[ExecutionFile]:
        """Every file of the execution, in the order of its work, read page by page."""
        path = f"/task_executions/{quote(execution_id, safe='')}/files"
        return self._pages(path, "files", ExecutionFile, filters)

    def catalogue_children(self, folder_id: int) -> Iterator[CatalogueFile]:
        """What the catalogue has in the folder, read page by page."""
        return self._pages(f"/files/{folder_id}/children", "files", CatalogueFile, {})

    # ------------------------------------------------------------------ inside

    def _act(self, task_id: int, action: str) -> None:
        path = f"/tasks/{task_id}/action/{action}"
        job = self._read(self._send("PUT", path), Job)
        deadline = self._monotonic() + ACTION_SECONDS
        while job.status not in {"completed", "failed"}:
            if self._monotonic() > deadline:
                raise ActionFailed(f"cannot {action}: no effect within {ACTION_SECONDS:.0f} s")
            self._sleep(POLL_SECONDS)
            job = self._get(path, Job, {"job_id": job.job_id})
        if job.status == "failed":
            raise ActionFailed(f"cannot {action}: {job.reason or 'the server does not say why'}")

    def _pages(
        self, path: str, plural: str, kind: type[Answer], filters: Mapping[str, str]
    ) -> Iterator[Answer]:
        offset = 0
        while True:
            page: dict[str, str | int] = {**filters, "limit": PAGE_ROWS, "offset": offset}
            rows = self._page(path, plural, kind, page)
            yield from rows
            offset += len(rows)
            if len(rows) < PAGE_ROWS:
                return

    def _page(
        self, path: str, plural: str, kind: type[Answer], query: Mapping[str, str | int]
    ) -> list[Answer]:
        answer = self._get(path, dict[str, msgspec.Raw], query)
        try:
            return msgspec.json.decode(answer[plural], type=list[kind])  # type: ignore[valid-type]
        except (KeyError, msgspec.MsgspecError) as error:
            raise UnexpectedAnswer(f"GET {path}: {error}") from error

    def _get(
        self, path: str, kind: type[Answer], query: Mapping[str, str | int] | None = None
    ) -> Answer:
        return self._read(self._send("GET", path, query=query), kind)

    def _post(self, path: str, body: Mapping[str, object], kind: type[Answer]) -> Answer:
        return self._read(self._send("POST", path, body=body), kind)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> httpx.Response:
        try:
            return self._http.request(method, PREFIX + path, params=query, json=body)
        except httpx.HTTPError as error:
            raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error

    @staticmethod
    def _read(answer: httpx.Response, kind: type[Answer]) -> Answer:
        if not answer.is_success:
            raise _refused(answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as error:
            request = answer.request
            raise UnexpectedAnswer(f"{request.method} {request.url.path}: {error}") from error


def _refused(answer: httpx.Response) -> Refused:
    try:
        refusal = msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.MsgspecError:
        refusal = _Refusal()
    return Refused(answer.status_code, refusal.messages, refusal.details)
