import threading
from dataclasses import replace

import pytest

from longshore.callbacks import (
    Answer,
    CallbackFilter,
    CallbackGaveUp,
    FileInfo,
    FilterChain,
    Limits,
)
from longshore.callbacks.conversation import Conversation
from longshore.domain.entry import Entry, EntryKind
from tests.javascript import needs_javascript

from .examples import QUICK, file

pytestmark = pytest.mark.usefixtures("sandbox")

EVEN = "import utils\ndef run(req):\n    return utils.get_node_info(req).size % 2 == 0\n"
EVEN_IN_JAVASCRIPT = "function run(r) { return utils.getNodeInfo(r).getSize() % 2 === 0; }"

DIES_AT_MULTIPLES = """
import utils
os = __import__("os", {})
def run(req):
    size = utils.get_node_info(req).size
    if size % 1500 == 7: os._exit(1)
    return size % 2 == 0
"""


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def numbered(count: int) -> list[FileInfo]:
    return [file(size=number) for number in range(count)]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(EVEN, id="python"),
        pytest.param(EVEN_IN_JAVASCRIPT, id="javascript", marks=needs_javascript),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 1000, 1001, 3333])
def test_every_file_gets_its_own_answer_in_order(script: str, count: int) -> None:
    with CallbackFilter(script, task_id=1, limits=QUICK) as callback:
        decisions = callback.decide(numbered(count))
        assert decisions.answers == bytes((number + 1) % 2 for number in range(count))
        assert decisions.failures == {}
        assert callback.usage.files == count


def test_only_the_files_that_kill_the_worker_fail() -> None:
    with CallbackFilter(DIES_AT_MULTIPLES, task_id=1, limits=QUICK) as callback:
        decisions = callback.decide(numbered(2500))
    expected = bytearray((number + 1) % 2 for number in range(2500))
    expected[7] = expected[1507] = Answer.ERROR
    assert decisions.answers == expected
    assert decisions.failures.keys() == {7, 1507}
    assert callback.usage.deaths == 2


def test_the_limit_of_deaths_holds_across_calls_and_is_final() -> None:
    with CallbackFilter(DIES_AT_MULTIPLES, task_id=1, limits=QUICK) as callback:
        for _ in range(QUICK.max_deaths - 1):
            assert callback.decide([file(size=7)]).answers[0] == Answer.ERROR
        with pytest.raises(CallbackGaveUp, match="3 times"):
            callback.decide([file(size=7)])
        with pytest.raises(CallbackGaveUp, match="3 times"):
            callback.decide([file(size=8)])
        assert callback.worker_pid is None


@needs_javascript
def test_slow_files_that_stay_within_their_time_are_all_answered() -> None:
    limits = Limits(soft_timeout_seconds=0.3, hard_timeout_seconds=0.9)
    python = (
        "import time\ndef run(req):\n    end = time.monotonic() + 0.1\n"
        "    while time.monotonic() < end: pass\n    return True\n"
    )
    javascript = (
        "function run(r) { const end = Date.now() + 100; while (Date.now() < end); return true; }"
    )
    for script in (python, javascript):
        with CallbackFilter(script, task_id=1, limits=limits) as callback:
            decisions = callback.decide(numbered(15))
            assert set(decisions.answers) == {Answer.ACCEPTED}
            assert callback.usage.deaths == 0
            assert callback.usage.seconds > 1.4


def with_odd_facts() -> list[FileInfo]:
    files = numbered(10)
    files[1] = file(size=1, mtime=10**12)
    files[3] = file(size=3, metadata={"broken": "\udcff"})
    files[6] = file(size=6, metadata={"long": "x" * (5 << 20)})
    return files


EVEN_BY_OTHER_NAME = EVEN.replace(".size", ".__getattribute__('si' 'ze')")


@pytest.mark.parametrize("script", [f"# mtime, metadata\n{EVEN}", EVEN_BY_OTHER_NAME])
def test_a_file_whose_facts_cannot_be_sent_fails_alone(script: str) -> None:
    with CallbackFilter(script, task_id=1, limits=QUICK) as callback:
        decisions = callback.decide(with_odd_facts())
    expected = bytearray((number + 1) % 2 for number in range(10))
    expected[1] = expected[3] = expected[6] = Answer.ERROR
    assert decisions.answers == expected
    assert decisions.failures.keys() == {1, 3, 6}


def test_facts_that_a_script_does_not_name_cannot_fail_a_file() -> None:
    with CallbackFilter(EVEN, task_id=1, limits=QUICK) as callback:
        decisions = callback.decide(with_odd_facts())
    assert decisions.answers == bytes((number + 1) % 2 for number in range(10))


@pytest.mark.parametrize("number", [0, 7, 600, 1234])
@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=needs_javascript)])
def test_a_fact_asked_for_by_a_name_put_together_is_sent_after_all(
    language: str, number: int
) -> None:
    script = {
        "python": f"""
import utils
def run(req):
    info = utils.get_node_info(req)
    size = int(info.path[-4:])
    print("asked")
    try:
        return size != {number} or getattr(info, "mo" "de") == 33188
    except BaseException:
        return False
""",
        "javascript": f"""// js
function run(req) {{
  const info = utils.getNodeInfo(req);
  const size = +info.getPath().slice(-4);
  print('asked');
  try {{ return size !== {number} || info['getM' + 'ode']() === 33188; }} catch (e) {{ }}
  return false;
}}
""",
    }[language]
    files = [file(b"/file-%04d" % number) for number in range(1300)]
    with CallbackFilter(script, task_id=1, limits=replace(QUICK, log_lines=2000)) as callback:
        decisions = callback.decide(files)
        worker = callback.worker_pid
        assert decisions.answers == bytes((Answer.ACCEPTED,)) * 1300
        assert decisions.log_lines == ("asked",) * 1300
        assert set(callback.decide(files).answers) == {Answer.ACCEPTED}
        assert callback.usage.deaths == 0
        assert callback.worker_pid == worker


def test_a_remembered_file_keeps_its_facts() -> None:
    script = (
        "import utils\nfirst = None\ndef run(req):\n    global first\n"
        "    first = first or utils.get_node_info(req)\n"
        "    return (first.path, first.size, first.mtime.seconds) == ('/first', 7, 8)\n"
    )
    with CallbackFilter(script, task_id=1, limits=QUICK) as callback:
        first = callback.decide([file(b"/first", size=7, mtime=8), file(b"/second")])
        assert list(first.answers) == [Answer.ACCEPTED] * 2
        assert list(callback.decide([file(b"/third", size=9)]).answers) == [Answer.ACCEPTED]


def test_a_prefix_too_long_for_all_names_is_sent_with_fewer_of_them() -> None:
    script = "import utils\ndef run(req): return len(utils.get_node_info(req).path) == 60003\n"
    entries = [Entry(b"a", EntryKind.FILE, 1, 0, 0, 0, 0, 0, 0)] * 200
    with CallbackFilter(script, task_id=1, limits=QUICK) as callback:
        decisions = callback.decide_folder(b"x" * 60000, entries)
    assert decisions.answers == bytes((Answer.ACCEPTED,)) * 200


def test_an_interrupted_question_leaves_no_answer_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with CallbackFilter(EVEN, task_id=1, limits=QUICK) as callback:
        callback.decide(numbered(1))
        with monkeypatch.context() as patched:
            patched.setattr(Conversation, "_checked", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                callback.decide(numbered(2000))
        assert callback.decide([file(size=1), file(size=2)]).answers == bytes((0, 1))


def test_a_script_that_cannot_be_loaded_is_given_up_with_the_reason() -> None:
    with (
        CallbackFilter("def run(req:", task_id=1, limits=QUICK) as callback,
        pytest.raises(CallbackGaveUp, match=r"cannot be loaded: syntax error.*line 1, column"),
    ):
        callback.decide([file()])


def test_a_filter_can_be_used_again_after_it_was_closed() -> None:
    callback = CallbackFilter(EVEN, task_id=1, limits=QUICK)
    callback.close()
    assert callback.decide([file()]).answers[0] == Answer.ACCEPTED
    callback.close()
    callback.close()
    assert callback.decide([file()]).answers[0] == Answer.ACCEPTED
    callback.close()


def test_the_end_of_the_thread_that_started_the_worker_is_not_the_scripts_fault() -> None:
    with CallbackFilter(EVEN, task_id=1, limits=QUICK) as callback:
        thread = threading.Thread(target=lambda: callback.decide(numbered(3)))
        thread.start()
        thread.join()
        assert callback.decide(numbered(3)).answers == bytes((1, 0, 1))
        assert callback.usage.deaths == 0


def test_two_filters_share_neither_worker_nor_globals() -> None:
    script = "count = 0\ndef run(req):\n    global count\n    count += 1\n    return count == 1\n"
    with (
        CallbackFilter(script, task_id=1, limits=QUICK) as first,
        CallbackFilter(script, task_id=1, limits=QUICK) as second,
    ):
        assert first.decide([file()]).answers[0] == Answer.ACCEPTED
        assert second.decide([file()]).answers[0] == Answer.ACCEPTED
        assert first.worker_pid != second.worker_pid


SMALL = "import utils\ndef run(req):\n    return utils.get_node_info(req).size < 10\n"
FAILS_AT_FOUR = (
    "import utils\ndef run(req):\n    print(utils.get_node_info(req).size)\n"
    "    return 12 // (utils.get_node_info(req).size - 4) < 1000\n"
)


@needs_javascript
def test_all_callbacks_of_a_chain_must_accept_and_the_decider_is_named() -> None:
    callbacks = [(30, EVEN_IN_JAVASCRIPT), (10, SMALL), (20, FAILS_AT_FOUR)]
    with FilterChain(callbacks, task_id=1, limits=QUICK) as chain:
        decisions = chain.decide(numbered(12))
    accepted = [i for i, answer in enumerate(decisions.answers) if answer == Answer.ACCEPTED]
    assert accepted == [0, 2, 6, 8]
    assert decisions.answers[4] == Answer.ERROR
    assert decisions.failures.keys() == {4}
    assert decisions.failures[4].text.startswith("ZeroDivisionError")
    assert decisions.decided_by == {10: 10, 11: 10, 4: 20, 1: 30, 3: 30, 5: 30, 7: 30, 9: 30}
    assert decisions.log_lines == tuple(str(number) for number in range(10))


def test_a_chain_asks_no_further_about_a_refused_file() -> None:
    with FilterChain([(1, EVEN), (2, SMALL)], task_id=1, limits=QUICK) as chain:
        chain.decide(numbered(100))
        assert chain.usage[1].files == 100
        assert chain.usage[2].files == 50


def test_a_chain_without_callbacks_accepts_everything() -> None:
    with FilterChain([], task_id=1, limits=QUICK) as chain:
        assert chain.decide(numbered(3)).answers == bytes((1, 1, 1))


def test_a_chain_names_the_callback_that_gave_up() -> None:
    with (
        FilterChain([(5, EVEN), (6, "x = 1")], task_id=1, limits=QUICK) as chain,
        pytest.raises(CallbackGaveUp, match="callback 6: ") as caught,
    ):
        chain.decide(numbered(3))
    assert caught.value.callback_id == 6
