"""What the server makes of workers that do not behave; each one here is a real process."""

import struct
import sys
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from longshore.callbacks import CallbackFilter, CallbackGaveUp, SandboxUnavailable, process
from longshore.callbacks import self_test as run_self_test
from longshore.callbacks.values import printable
from longshore.callbacks.worker import frames, messages
from longshore.callbacks.worker.output import BoundedOutput

from .examples import QUICK, file

_encode = msgspec.msgpack.encode


def frame(kind: int, body: bytes) -> bytes:
    return struct.pack("<IB", len(body), kind) + body


READY = frame(frames.READY, _encode(messages.Ready(True, 0, False)))
LOADED = frame(frames.LOADED, b"")
TRAILER = _encode(messages.Trailer([], [], False))


def answers(first: int, codes: bytes, trailer: bytes = TRAILER) -> bytes:
    return frame(frames.ANSWERS, struct.pack("<II", first, len(codes)) + codes + trailer)


def failing(*failures: messages.Failure) -> bytes:
    return _encode(messages.Trailer(list(failures), [], False))


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Speaker":
    return Speaker(tmp_path, monkeypatch)


class Speaker:
    """Replaces the worker's program by one that says what a test wants, then waits for the end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        monkeypatch.setattr(process, "WORKER_FOLDER", folder)

    def __call__(self, text: bytes, *, then_leave: bool = False) -> None:
        program = f"""
            import json, os, sys
            settings = json.loads(sys.argv[1])
            os.write(settings["answer_fd"], {text!r})
            while not {then_leave} and os.read(settings["request_fd"], 1 << 16): pass
        """
        (self._folder / "boot.py").write_text(dedent(program))


def decide() -> bytes:
    with CallbackFilter("def run(r): return True", task_id=1, limits=QUICK) as callback:
        return callback.decide([file(), file()]).answers


def test_an_honest_conversation_is_understood(say: Speaker) -> None:
    say(READY + LOADED + answers(0, b"\1\0"))
    assert decide() == b"\1\0"


def test_answers_may_come_in_several_frames(say: Speaker) -> None:
    say(READY + LOADED + answers(0, b"\1") + answers(1, b"\0"))
    assert decide() == b"\1\0"


@pytest.mark.parametrize(
    "hello",
    [
        b"",
        LOADED,
        frame(frames.READY, b"junk"),
        frame(frames.REFUSED, b"no \xff\x1b luck"),
        b"\xff\xff\xff\xff\x01",
    ],
    ids=["silence", "wrong kind", "junk", "refusal", "huge"],
)
def test_a_worker_that_does_not_get_ready_makes_the_sandbox_unavailable(
    say: Speaker, hello: bytes
) -> None:
    say(hello, then_leave=True)
    with pytest.raises(SandboxUnavailable) as caught:
        decide()
    assert str(caught.value).isprintable()
    report = run_self_test(limits=QUICK)
    assert not report.ok
    assert report.reason
    assert report.languages == frozenset()


@pytest.mark.parametrize(
    "reply",
    [
        frame(frames.INVALID, b"junk"),
        frame(99, b""),
        READY,
        b"\xff\xff\xff\xff\x0e",
    ],
    ids=["junk", "unknown kind", "ready again", "huge"],
)
def test_an_odd_reply_to_the_script_gives_it_up(say: Speaker, reply: bytes) -> None:
    say(READY + reply)
    with pytest.raises(CallbackGaveUp, match="broke the protocol"):
        decide()


@pytest.mark.parametrize(
    "reply",
    [
        answers(1, b"\1"),
        answers(0, b""),
        answers(0, b"\1\1\1"),
        answers(0, b"\1\7"),
        answers(0, b"\1\2"),
        answers(0, b"\1\1", failing(messages.Failure(0, "x", 1))),
        answers(0, b"\2\1", failing(messages.Failure(1, "x", 1))),
        answers(0, b"\2\1", failing(messages.Failure(-5, "x", 1))),
        answers(0, b"\1\1", b"junk"),
        answers(0, b"\1\1", b""),
        frame(frames.ANSWERS, b"abc"),
        frame(frames.LOADED, b""),
        frame(frames.MISSING, b""),
        answers(0, b"\1\1") + b"\0",
    ],
)
def test_a_dishonest_answer_is_never_believed(say: Speaker, reply: bytes) -> None:
    say(READY + LOADED + reply)
    with CallbackFilter("def run(r): return True", task_id=1, limits=QUICK) as callback:
        decisions = callback.decide([file(), file()])
        assert len(decisions.answers) == 2
        believed = reply == answers(0, b"\1\1") + b"\0"
        assert decisions.answers == (b"\1\1" if believed else b"\2\2")
        assert decisions.failures.keys() == (set() if believed else {0, 1})


def test_texts_of_a_worker_are_cut_and_made_printable(say: Speaker) -> None:
    failure = messages.Failure(0, "\x1b[2J" + "x" * 5000, 2**40)
    lines = ["\x1b[2J"] * 5000
    trailer = _encode(messages.Trailer([failure], lines, False))
    say(READY + LOADED + answers(0, b"\2\1", trailer))
    with CallbackFilter("def run(r): return True", task_id=1, limits=QUICK) as callback:
        decisions = callback.decide([file(), file()])
    assert decisions.failures[0].text.startswith("\\x1b[2Jxxx")
    assert len(decisions.failures[0].text) == QUICK.error_text_characters
    assert decisions.failures[0].line is None
    assert decisions.log_lines == ("\\x1b[2J",) * QUICK.log_lines
    assert decisions.log_truncated


def test_an_interpreter_that_cannot_be_run_makes_the_sandbox_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SandboxUnavailable, match="cannot be started"):
        decide()


def test_printable_escapes_what_is_not_text() -> None:
    assert printable("plain é", 100) == "plain é"
    assert printable("a\tb\n\u202e\ud800\0", 100) == "a\\tb\\n\\u202e\\ud800\\x00"
    assert printable("\n\n\n", 4) == "\\n\\n"


def test_bounded_output_keeps_the_first_lines_of_every_batch() -> None:
    output = BoundedOutput(lines=3, characters=4)
    print("loading", file=output)
    output.start_batch()
    print("one\ntwo\nthree", file=output)
    assert output.take() == (["load", "one", "two"], True)
    output.start_batch()
    print("", "x", sep="\n", end="", file=output)
    assert output.take() == (["", "x"], False)
