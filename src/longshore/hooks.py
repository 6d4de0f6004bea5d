"""Plug-ins of the administrator: trusted code that takes part in every execution.

    controller   before_task_executed(TaskStart)   change options and metadata, or refuse the start
                 after_result_received(FileResults)  learn what became of files, once recorded
                 after_task_executed(TaskEnd)        learn how an execution ended
    movers       before_request_dispatched(FileRequest)  change where a file goes, or discard it

A plug-in is a Python entry point of the group `longshore.hooks`: a module, an object, or a class,
which is called without arguments. It has any of the functions above. See docs/hooks.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from longshore.domain import paths
from longshore.domain.errors import LongshoreError
from longshore.domain.outcome import Outcome

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

GROUP = "longshore.hooks"

RESERVED_PREFIX = b".longshore-"
"""Names of staged files begin so; no listing shows them."""

SLOW_SECONDS = 0.1
"""A hook that took longer is named in the log: the controller waits for it meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStart:
    """A task about to be run. A hook returns None, or a copy with other options and metadata."""

    task_id: int
    execution_id: int
    name: str
    workflow_type: str | None
    workflow_action: str | None
    options: Mapping[str, str]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRequest:
    """A file about to be processed. A hook returns None, a copy with another target, or False.

    Paths lie in their storages. Without a destination both targets are empty.
    """

    task_id: int
    execution_id: int
    path: bytes
    size: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    target_folder: bytes
    target_name: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What became of one file; paths are those in source and destination storage."""

    path: bytes
    size: int
    outcome: Outcome
    target_path: bytes
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResults:
    """Some files of an execution whose outcomes are on record now."""

    task_id: int
    execution_id: int
    files: tuple[FileResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd:
    """An execution that is over; `status` is one of the API's."""

    task_id: int
    execution_id: int
    status: str
    reason: str | None


class HookRefused(LongshoreError):
    """A plug-in does not let the task start, or failed when it was asked."""


class HookFailed(LongshoreError):
    """A plug-in failed on one file, or answered what cannot be done with it."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plug-in by the name of its entry point; `fault` says why it could not be loaded."""

    name: str
    hooks: object = None
    fault: str | None = None

    def hook(self, name: str) -> Callable[..., object] | None:
        """The plug-in's function of that name, if it has one."""
        found: Callable[..., object] | None = getattr(self.hooks, name, None)
        return found


@dataclass(frozen=True, slots=True)
class Hooks:
    """All plug-ins, asked in the order of their names."""

    plugins: tuple[Plugin, ...] = field(default=())

    def before_task_executed(self, start: TaskStart) -> TaskStart:
        """The start with what the plug-ins changed. Raises HookRefused.

        A plug-in that cannot be loaded, fails or answers nonsense refuses the start: nobody knows
        what it would have wanted.
        """
        for plugin in self.plugins:
            if plugin.fault is not None:
                raise HookRefused(f"plug-in {plugin.name} could not be loaded: {plugin.fault}")
            hook = plugin.hook("before_task_executed")
            if hook is not None:
                start = _changed(plugin, hook, start)
        return start

    def wants_requests(self) -> bool:
        """Whether any plug-in looks at single files; nothing is built for them otherwise."""
        return any(
            plugin.fault or plugin.hook("before_request_dispatched") for plugin in self.plugins
        )

    def before_request_dispatched(self, request: FileRequest) -> FileRequest | None:
        """The file with the target that the plug-ins want; None to leave it out.

        Raises HookFailed, after which the file must not be processed.
        """
        for plugin in self.plugins:
            if plugin.fault is not None:
                raise HookFailed(f"plug-in {plugin.name} could not be loaded: {plugin.fault}")
            hook = plugin.hook("before_request_dispatched")
            if hook is not None:
                try:
                    answer = hook(request)
                except Exception as error:  # the top of the plug-in's work
                    text = str(error) or repr(error)
                    raise HookFailed(f"plug-in {plugin.name}: {text}") from error
                if answer is False:
                    return None
                request = _redirected(plugin, request, answer)
        return request

    def wants_results(self) -> bool:
        """Whether any plug-in looks at results; nothing is built for them otherwise."""
        return any(plugin.hook("after_result_received") for plugin in self.plugins)

    def after_result_received(self, results: FileResults) -> None:
        """Tell the plug-ins; what they raise is logged."""
        self._tell("after_result_received", results)

    def after_task_executed(self, end: TaskEnd) -> None:
        """Tell the plug-ins; what they raise is logged."""
        self._tell("after_task_executed", end)

    def _tell(self, name: str, news: object) -> None:
        for plugin in self.plugins:
            hook = plugin.hook(name)
            if hook is None:
                continue
            began = time.monotonic()
            try:
                hook(news)
            except Exception as error:  # the top of the plug-in's work: it must not harm a run
                _log().error("a plug-in failed", plugin=plugin.name, hook=name, error=repr(error))
            _note_time(plugin, name, began)


NO_HOOKS = Hooks()


def installed() -> Collection[EntryPoint]:
    """The plug-ins that are there; none of them is loaded yet."""
    return entry_points(group=GROUP)


def load_hooks(found: Iterable[EntryPoint]) -> Hooks:
    """These plug-ins; one that cannot be loaded comes with its fault and is logged."""
    return Hooks(tuple(_loaded(point) for point in sorted(found, key=lambda each: each.name)))


def _loaded(point: EntryPoint) -> Plugin:
    try:
        hooks = point.load()
        plugin = Plugin(point.name, hooks() if isinstance(hooks, type) else hooks)
    except Exception as error:  # the top of the plug-in's own code
        _log().error("a plug-in cannot be loaded", plugin=point.name, error=repr(error))
        return Plugin(point.name, fault=repr(error))
    _log().info("a plug-in is loaded", plugin=point.name, value=point.value)
    return plugin


def _changed(plugin: Plugin, hook: Callable[..., object], start: TaskStart) -> TaskStart:
    began = time.monotonic()
    try:
        answer = hook(start)
    except Exception as error:  # the top of the plug-in's work
        text = str(error) or repr(error)
        raise HookRefused(f"plug-in {plugin.name} refuses the start: {text}") from error
    finally:
        _note_time(plugin, "before_task_executed", began)
    if answer is None:
        return start
    if not isinstance(answer, TaskStart):
        raise HookRefused(
            f"plug-in {plugin.name} refuses the start: it answered {type(answer).__name__}"
        )
    if not (_is_text(answer.options) and _is_text(answer.metadata)):
        raise HookRefused(
            f"plug-in {plugin.name} refuses the start: options and metadata must be text"
        )
    return answer


def _redirected(plugin: Plugin, request: FileRequest, answer: object) -> FileRequest:
    """The request with the answer's target, which lies inside the destination storage."""
    if answer is None:
        return request
    if not isinstance(answer, FileRequest):
        raise HookFailed(f"plug-in {plugin.name} answered {type(answer).__name__}")
    target = (answer.target_folder, answer.target_name)
    if target == (request.target_folder, request.target_name):
        return request
    if not request.target_name:
        raise HookFailed(f"plug-in {plugin.name} gave a target to a file that goes nowhere")
    try:
        folder, names = paths.parse(answer.target_folder), paths.names(paths.parse(target[1]))
    except (paths.InvalidPath, AttributeError, TypeError) as error:
        raise HookFailed(f"plug-in {plugin.name} gave an unusable target: {error}") from error
    if names != [answer.target_name] or answer.target_name.startswith(RESERVED_PREFIX):
        raise HookFailed(f"plug-in {plugin.name} gave an unusable name: {answer.target_name!r}")
    return replace(request, target_folder=folder, target_name=answer.target_name)


def _is_text(pairs: object) -> bool:
    return isinstance(pairs, Mapping) and all(
        isinstance(key, str) and isinstance(value, str) for key, value in pairs.items()
    )


def _note_time(plugin: Plugin, name: str, began: float) -> None:
    seconds = time.monotonic() - began
    if seconds > SLOW_SECONDS:
        _log().warning(
            "a plug-in is slow", plugin=plugin.name, hook=name, seconds=round(seconds, 3)
        )


def _log() -> FilteringBoundLogger:
    # Late: movers without plug-ins write no logs, and do without the library for it.
    from longshore.observability import logger

    return logger("hooks")
