"""Plug-ins of the administrator: what they may change, and what they cannot damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from longshore.hooks import (
    GROUP,
    FileResults,
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
