"""Plug-ins of the administrator: what they may change, and what they cannot damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from longshore.hooks import (
    GROUP,
    FileRequest,
    FileResults,
    HookFailed,
    HookRefused,
    Hooks,
    Plugin,
    TaskEnd,
    TaskStart,
    load_hooks,
)

START = TaskStart(
    task_id=1,
    execution_id=2,
    name="nightly",
    workflow_type="offline_archive",
    workflow_action="copy",
    options={"overwrite": "1"},
    metadata={},
)
REQUEST = FileRequest(
    task_id=1,
    execution_id=2,
    path=b"in/a.txt",
    size=1,
    mode=0o100644,
    uid=0,
    gid=0,
    mtime_ns=0,
    target_folder=b"out",
    target_name=b"a.txt",
)
END = TaskEnd(task_id=1, execution_id=2, status="done", reason=None)


def plugin(name: str, **hooks: Callable[..., object]) -> Plugin:
    return Plugin(name, SimpleNamespace(**hooks))


def failing(_: object) -> object:
    raise RuntimeError("out of paper")


def with_metadata(key: str) -> Callable[[TaskStart], TaskStart]:
    def change(start: TaskStart) -> TaskStart:
        order = str(len(start.metadata))
        return replace(start, metadata={**start.metadata, key: order})

    return change


def test_without_plugins_a_start_stays_as_it_is() -> None:
    assert Hooks().before_task_executed(START) is START
    assert not Hooks().wants_results()


def test_plugins_change_a_start_one_after_the_other() -> None:
    hooks = Hooks(
        (
            plugin("a", before_task_executed=with_metadata("first")),
            plugin("b", before_task_executed=lambda _: None),
            plugin("c"),
            plugin("d", before_task_executed=with_metadata("second")),
        )
    )
    assert hooks.before_task_executed(START).metadata == {"first": "0", "second": "1"}


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        (failing, "plug-in site refuses the start: out of paper"),
        (lambda _: False, "it answered bool"),
        (lambda start: replace(start, options={"overwrite": 1}), "must be text"),
        (lambda start: replace(start, metadata=None), "must be text"),
    ],
)
def test_a_plugin_that_fails_or_answers_nonsense_refuses_the_start(
    hook: Callable[..., object], words: str
) -> None:
    with pytest.raises(HookRefused, match=words):
        Hooks((plugin("site", before_task_executed=hook),)).before_task_executed(START)


def test_what_the_later_hooks_raise_reaches_nobody() -> None:
    told: list[object] = []
    hooks = Hooks(
        (
            plugin("a", after_task_executed=failing, after_result_received=failing),
            plugin("b", after_task_executed=told.append, after_result_received=told.append),
        )
    )
    results = FileResults(task_id=1, execution_id=2, files=())
    hooks.after_result_received(results)
    hooks.after_task_executed(END)
    assert told == [results, END]
    assert hooks.wants_results()


def test_a_plugin_that_cannot_be_loaded_refuses_every_start() -> None:
    missing = EntryPoint("missing", "no_such_module_anywhere:Hooks", GROUP)
    hooks = load_hooks([missing])
    with pytest.raises(HookRefused, match="plug-in missing could not be loaded"):
        hooks.before_task_executed(START)
    hooks.after_task_executed(END)


def test_modules_objects_and_classes_are_plugins_in_the_order_of_their_names() -> None:
    found = [
        EntryPoint("z-class", "collections:OrderedDict", GROUP),
        EntryPoint("a-module", "json", GROUP),
    ]
    hooks = load_hooks(found)
    assert [each.name for each in hooks.plugins] == ["a-module", "z-class"]
    assert hooks.plugins[1].hooks == {}


def redirecting(**target: object) -> Hooks:
    def hook(request: FileRequest) -> FileRequest:
        return replace(request, **target)  # type: ignore[arg-type]

    return Hooks((plugin("site", before_request_dispatched=hook),))


def test_a_plugin_changes_the_target_of_a_file_and_nothing_else() -> None:
    changed = redirecting(target_folder=b"/x//y/", target_name=b"b", path=b"elsewhere", size=9)
    assert changed.before_request_dispatched(REQUEST) == replace(
        REQUEST, target_folder=b"x/y", target_name=b"b"
    )
    assert redirecting(size=9).before_request_dispatched(REQUEST) is REQUEST


def test_false_discards_a_file_and_nobody_else_is_asked() -> None:
    hooks = Hooks(
        (
            plugin("a", before_request_dispatched=lambda _: False),
            plugin("b", before_request_dispatched=failing),
        )
    )
    assert hooks.wants_requests()
    assert hooks.before_request_dispatched(REQUEST) is None


@pytest.mark.parametrize(
    "target",
    [
        {"target_folder": b"../outside"},
        {"target_folder": b"nul\0"},
        {"target_folder": "text"},
        {"target_folder": None},
        {"target_name": b""},
        {"target_name": b"."},
        {"target_name": b".."},
        {"target_name": b"a/b"},
        {"target_name": b"x" * 256},
        {"target_name": b".longshore-1-0-ff"},
        {"target_name": "text"},
    ],
)
def test_an_unusable_target_fails_the_file(target: dict[str, object]) -> None:
    with pytest.raises(HookFailed, match="plug-in site gave an unusable"):
        redirecting(**target).before_request_dispatched(REQUEST)


@pytest.mark.parametrize(
    ("hook", "words"),
    [(failing, "plug-in site: out of paper"), (lambda _: True, "answered bool")],
)
def test_a_plugin_that_fails_on_a_file_fails_the_file(
    hook: Callable[..., object], words: str
) -> None:
    with pytest.raises(HookFailed, match=words):
        Hooks((plugin("site", before_request_dispatched=hook),)).before_request_dispatched(REQUEST)


def test_a_file_that_goes_nowhere_gets_no_target() -> None:
    nowhere = replace(REQUEST, target_folder=b"", target_name=b"")
    with pytest.raises(HookFailed, match="goes nowhere"):
        redirecting(target_name=b"b").before_request_dispatched(nowhere)


def test_a_plugin_that_cannot_be_loaded_fails_every_file() -> None:
    hooks = Hooks((Plugin("site", fault="it is broken"),))
    assert hooks.wants_requests()
    with pytest.raises(HookFailed, match="it is broken"):
        hooks.before_request_dispatched(REQUEST)
