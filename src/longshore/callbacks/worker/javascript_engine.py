"""JavaScript scripts: QuickJS inside the same kind of locked process.

The files of a batch become columns of JSON once, each of them read by QuickJS when a script first
asks for that fact of a file; the loop over them runs inside QuickJS, in slices
of a quarter of the soft time-out, so that slow answers leave in time and the engine's own
time limit (computing time of one slice) means one file.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import _quickjs  # type: ignore[import-not-found]
import msgspec

from . import frames, messages
from .main import InvalidScriptError
from .prelude import PRELUDE

SLICES_PER_TIMEOUT: Final = 4
"""One call into QuickJS begins no further file after this part of the soft time-out."""

_STACK_LINE: Final = re.compile(r"<input>:(\d{1,6})(?!\d)")
_CODES: Final = bytes.maketrans(b"012", bytes((0, 1, 2)))
_NANOSECONDS_PER_MICROSECOND: Final = 1000


class _Outcome(msgspec.Struct, array_like=True):
    """What one slice did: a digit per file, the failures, the log, and how it ended.

    `busy` when a file is open, `missing` when the script wants facts that were not sent.
    """

    codes: str
    failures: list[messages.Failure]
    log_lines: list[str]
    log_truncated: bool
    busy: bool
    missing: bool


class JavaScriptEngine:
    """The engine of `Language.JAVASCRIPT`."""

    def __init__(self) -> None:
        self._decode = msgspec.msgpack.Decoder(messages.Batch).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._json = msgspec.json.Encoder().encode
        self._outcome = msgspec.json.Decoder(_Outcome).decode
        self._failed: tuple[type[Exception], ...] = (_quickjs.JSException, _quickjs.StackOverflow)

    def load(self, load: messages.Load) -> None:
        """Run the script's top level in a fresh context, and find its `run`."""
        self._load = load
        context = _quickjs.Context()
        context.set_memory_limit(load.javascript_memory_bytes)
        context.set_max_stack_size(load.javascript_stack_bytes)
        context.eval(PRELUDE)
        configure, use, self._feed, self._go, self._take = _take_functions(context)
        configure(
            load.task_id, load.log_lines, load.log_line_characters, load.error_text_characters
        )
        self._slice_seconds = load.soft_timeout_seconds / SLICES_PER_TIMEOUT
        context.set_time_limit(load.soft_timeout_seconds + self._slice_seconds)
        use(self._load_run(context, load.script))

    def decide(self, body: bytes) -> None:
        """Ask the script about every file of the batch."""
        batch = self._decode(body)
        self._feed(*map(self._text, _columns(batch)))
        done = 0
        while done < batch.files:
            done += self._decide_group(done, min(done + batch.group_files, batch.files))

    def _text(self, column: object) -> str | None:
        return None if column is None else self._json(column).decode()

    def _load_run(self, context: Any, script: str) -> Any:
        if "\0" in script:
            # QuickJS would silently end the script there.
            raise InvalidScriptError("the script contains a NUL character")
        try:
            context.eval(script)
            is_function = context.eval("typeof run === 'function'")
            if is_function is True:
                return context.eval("run")
        except self._failed as error:
            text, line = _described(error, self._load.error_text_characters)
            raise InvalidScriptError(text, line) from None
        raise InvalidScriptError("the script must define function run(req)")

    def _decide_group(self, first: int, end: int) -> int:
        stopped: Exception | None = None
        try:
            self._go(first, end, round(self._slice_seconds * 1000))
        except self._failed as error:  # out of time or memory: what JavaScript itself cannot catch
            stopped = error
        outcome = self._outcome(self._take())
        if outcome.missing:
            frames.leave_for_want_of_facts()
        codes = outcome.codes.encode("ascii").translate(_CODES)
        failures = [failure for failure in outcome.failures if failure.index < first + len(codes)]
        if stopped is not None and outcome.busy and first + len(codes) < end:
            code, failure = self._stopped(first + len(codes), stopped)
            codes, failures = codes + bytes((code,)), [*failures, failure]
        trailer = self._encode(messages.Trailer(failures, outcome.log_lines, outcome.log_truncated))
        head = frames.ANSWERS_HEAD.pack(first, len(codes))
        frames.send(frames.ANSWERS, head + codes + trailer)
        return len(codes)

    def _stopped(self, index: int, error: Exception) -> tuple[int, messages.Failure]:
        text, line = _described(error, self._load.error_text_characters)
        if "interrupted" not in text:
            return frames.ANSWER_ERROR, messages.Failure(index, text, line)
        text = f"SoftTimeout: took longer than {self._load.soft_timeout_seconds:g} s"
        return frames.ANSWER_TIMED_OUT, messages.Failure(index, text, line)


def _take_functions(context: Any) -> list[Any]:
    # The script must not find them: it runs in the same global scope afterwards.
    functions = [context.eval(f"__longshore[{index}]") for index in range(5)]
    context.eval("delete globalThis.__longshore")
    return functions


def _columns(batch: messages.Batch) -> Iterator[object]:
    """The facts in the order of `messages.FACTS`, times in microseconds; None was not sent."""
    yield batch.paths("replace")
    for name in messages.NUMBERS:
        numbers = batch.numbers.get(name)
        if numbers is not None and name in messages.TIMES:
            numbers = [number // _NANOSECONDS_PER_MICROSECOND for number in numbers]
        yield numbers
    yield batch.metadata


def _described(error: Exception, characters: int) -> tuple[str, int]:
    text = str(error)
    found = _STACK_LINE.search(text)
    first_line = text.split("\n", 1)[0][:characters]
    shown = first_line.encode("utf-8", "backslashreplace").decode()[:characters]
    return shown, int(found[1]) if found else 0
