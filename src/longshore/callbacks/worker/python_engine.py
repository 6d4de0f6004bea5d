"""Python scripts: compiled and run by this process's own interpreter, after the lock-down.

The loop over the files has no cost per file beyond the call itself. Time is kept by a timer that
looks a few times per soft time-out whether the number of answers has moved:

    moved        -> the group is cut after the file at hand, so that its answers leave soon
    stands still -> once the file has had its time, SoftTimeout is raised inside the script
"""

import builtins
import contextlib
import gc
import inspect
import itertools
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from . import frames, messages, modules
from .main import InvalidScriptError
from .output import BoundedOutput
from .request import NodeInfo, Request, nodes, utils_module

SCRIPT_NAME: Final = "<callback>"
NAMESPACE_NAME: Final = "callback"

TICKS_PER_TIMEOUT: Final = 4
"""How often the timer looks during one soft time-out."""

STALLED_TICKS: Final = 2 * TICKS_PER_TIMEOUT
"""A file that waits instead of computing is given up after so many looks.

Computing time is what counts otherwise, so that a busy machine does not fail an innocent script.
Looks are counted, and not time, because none are made while the whole process is stopped or frozen.
"""

EXCEPTION_NAME_CHARACTERS: Final = 80

Run = Callable[[Request], object]


class SoftTimeout(BaseException):
    """The script has had its time for one file; `except Exception` lets it by."""


class PythonEngine:
    """The engine of `Language.PYTHON`."""

    def __init__(self) -> None:
        modules.warm_up()
        self._run: Run = lambda _: None
        self._decode = msgspec.msgpack.Decoder(messages.Batch).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._codes = bytearray()
        self._group: list[NodeInfo] = []

    def load(self, load: messages.Load) -> None:
        """Compile and run the script's top level, and find its `run`."""
        self._load = load
        self._output = BoundedOutput(lines=load.log_lines, characters=load.log_line_characters)
        sys.stdout = sys.stderr = self._output
        sys.path[:] = []
        Request.id = load.task_id
        _guard_imports(modules.inert_sys(self._output))
        self._watch = _Watch(load.soft_timeout_seconds, self._codes, self._cut_group)
        self._watch.armed = True
        with self._watch.watching():
            self._run = _load_script(load.script, load.error_text_characters)
        self._watch.armed = False
        gc.freeze()

    def decide(self, body: bytes) -> None:
        """Ask the script about every file of the batch."""
        batch = self._decode(body)
        files = nodes(batch)
        self._output.start_batch()
        done = 0
        with self._watch.watching():
            while done < len(files):
                self._group = files[done : done + batch.group_files]
                self._watch.armed = True
                failures = self._decide_group(done)
                self._watch.armed = False
                self._send(done, failures)
                done += len(self._codes)

    def _cut_group(self) -> None:
        del self._group[len(self._codes) + 1 :]

    def _decide_group(self, first: int) -> list[messages.Failure]:
        codes, failures, run = self._codes, list[messages.Failure](), self._run
        del codes[:]
        add = codes.append
        for request in map(Request, self._group):
            try:
                answer = run(request)
                if answer is True:
                    add(frames.ANSWER_ACCEPTED)
                elif answer is False:
                    add(frames.ANSWER_REFUSED)
                else:
                    raise TypeError(
                        f"run(req) must return True or False, not {type(answer).__name__}"
                    )
            except SoftTimeout as error:
                failures.append(self._failure(first, error))
                add(frames.ANSWER_TIMED_OUT)
                break  # the server counts time-outs, so it hears of this one now
            except BaseException as error:  # whatever a script raises is about this one file
                failures.append(self._failure(first, error))
                add(frames.ANSWER_ERROR)
        return failures

    def _failure(self, first: int, error: BaseException) -> messages.Failure:
        text = describe(error, self._load.error_text_characters)
        step = _step_in_script(error)
        return messages.Failure(first + len(self._codes), text, step.tb_lineno if step else 0)

    def _send(self, first: int, failures: list[messages.Failure]) -> None:
        lines, truncated = self._output.take()
        trailer = self._encode(messages.Trailer(failures, lines, truncated))
        head = frames.ANSWERS_HEAD.pack(first, len(self._codes))
        frames.send(frames.ANSWERS, head + self._codes + trailer)


class _Watch:
    """The timer that ends files which take too long, without a cost for those that do not."""

    def __init__(self, seconds: float, codes: bytearray, on_progress: Callable[[], None]) -> None:
        self._seconds, self._codes, self._on_progress = seconds, codes, on_progress
        self._tick_seconds = seconds / TICKS_PER_TIMEOUT
        self.armed = False
        self._restart()
        signal.signal(signal.SIGALRM, self._tick)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Let the timer run; it acts only while `armed`, which is while the script runs."""
        self._restart()
        signal.setitimer(signal.ITIMER_REAL, self._tick_seconds, self._tick_seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _restart(self) -> None:
        self._seen, self._stalled_ticks = len(self._codes), 0
        self._computed_before = time.process_time()

    def _tick(self, _signal: int, _frame: types.FrameType | None) -> None:
        if not self.armed:
            return
        if self._seen != len(self._codes):
            self._restart()
            self._on_progress()
            return
        self._stalled_ticks += 1
        computed = time.process_time() - self._computed_before
        if computed >= self._seconds or self._stalled_ticks >= STALLED_TICKS:
            raise SoftTimeout(f"took longer than {self._seconds:g} s")


def _guard_imports(script_sys: types.ModuleType) -> None:
    real_import = builtins.__import__
    utils_module()

    def guarded_import(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 (the interpreter's own name)
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        # A list is what C code passes, which imports on behalf of a module (datetime's strptime).
        own = globals is not None and globals.get("__name__") == NAMESPACE_NAME
        if not own or isinstance(fromlist, list):
            return real_import(name, globals, locals, fromlist, level)
        if level or name.partition(".")[0] not in modules.ALLOWED:
            raise ImportError(f"the module {name!r} is not available to callbacks")
        if name == "sys":
            return script_sys
        return real_import(name, globals, locals, fromlist, level)

    builtins.__import__ = guarded_import


def _load_script(script: str, text_characters: int) -> Run:
    try:
        code = compile(script, SCRIPT_NAME, "exec", dont_inherit=True)
    except SyntaxError as error:
        message = f"syntax error: {error.msg}"[:text_characters]
        raise InvalidScriptError(message, error.lineno or 0, error.offset or 0) from None
    except BaseException as error:  # too deep, too large: the compiler's limits have many names
        text = describe(error, text_characters)
        raise InvalidScriptError(f"cannot be compiled: {text}"[:text_characters]) from None
    namespace = {"__name__": NAMESPACE_NAME, "__builtins__": builtins}
    try:
        exec(code, namespace)  # noqa: S102 (this is what the sandbox is for)
        return _checked_run(namespace.get("run"))
    except InvalidScriptError:
        raise
    except BaseException as error:  # a script may raise anything while it is loaded
        step = _step_in_script(error)
        line, column = (step.tb_lineno, _column(step)) if step else (0, 0)
        raise InvalidScriptError(describe(error, text_characters), line, column) from None


def _checked_run(run: object) -> Run:
    if isinstance(run, types.FunctionType) and not _takes_one(run):
        raise InvalidScriptError("run must take one argument", run.__code__.co_firstlineno, 1)
    if not callable(run):
        raise InvalidScriptError("the script must define run(req)")
    return run


def _takes_one(function: types.FunctionType) -> bool:
    code = function.__code__
    needed = code.co_argcount - len(function.__defaults__ or ())
    keyword_only = code.co_kwonlyargcount - len(function.__kwdefaults__ or {})
    accepts_many = bool(code.co_flags & inspect.CO_VARARGS)
    return needed <= 1 and keyword_only == 0 and (code.co_argcount >= 1 or accepts_many)


def describe(error: BaseException, characters: int) -> str:
    """Return the error's type and text, cut to a number of characters."""
    try:
        text = f"{type(error).__name__[:EXCEPTION_NAME_CHARACTERS]}: {str(error)[:characters]}"
    except BaseException:  # the script's own __str__ may fail, or run out of time
        text = "an error that cannot be shown"
    return text[:characters].encode("utf-8", "backslashreplace").decode()[:characters]


def _step_in_script(error: BaseException) -> types.TracebackType | None:
    found, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == SCRIPT_NAME:
            found = step
        step = step.tb_next
    return found


def _column(step: types.TracebackType) -> int:
    positions = step.tb_frame.f_code.co_positions()
    _, _, column, _ = next(itertools.islice(positions, step.tb_lasti // 2, None))
    return 0 if column is None else column + 1
