"""The worker's life: lock down, say so, take one script (or a probe), decide until told to stop."""

import contextlib
import os
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from . import frames, messages, probes
from .lockdown import Boundary, LockdownError, lock_down


class InvalidScriptError(Exception):
    """The script cannot be loaded; the worker has no further use."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.answer = messages.Invalid(message, line, column)


class Engine(Protocol):
    """One language: takes the script once, then decides batches and sends ANSWERS itself."""

    def load(self, load: messages.Load) -> None:
        """Compile and run the script's top level; InvalidScriptError says why not."""

    def decide(self, body: bytes) -> None:
        """Send one or more ANSWERS frames that cover the whole batch, in order."""


def serve(settings: Mapping[str, Any]) -> None:
    """Run the worker; never returns. Leaves quietly when the server closes its end."""
    engine = _engine(settings["engine"])
    try:
        locked = lock_down(Boundary.from_settings(settings))
    except LockdownError as error:
        frames.send(frames.REFUSED, str(error).encode("utf-8", "backslashreplace"))
        os._exit(3)
    encode = msgspec.msgpack.Encoder().encode
    ready = messages.Ready(True, locked.landlock_abi, locked.uid_dropped)
    frames.send(frames.READY, encode(ready))
    kind, body = frames.receive()
    if kind == frames.PROBE:
        probes.run()
    with _reporting_invalid_script():
        engine.load(msgspec.msgpack.decode(body, type=messages.Load))
    frames.send(frames.LOADED, b"")
    while True:
        _, body = frames.receive()
        engine.decide(body)


def _engine(language: str) -> Engine:
    # Loaded before the lock-down, with every module that scripts may import.
    if language == "javascript":
        from .javascript_engine import JavaScriptEngine

        return JavaScriptEngine()
    from .python_engine import PythonEngine

    return PythonEngine()


@contextlib.contextmanager
def _reporting_invalid_script() -> Any:
    try:
        yield
    except InvalidScriptError as error:
        frames.send(frames.INVALID, msgspec.msgpack.encode(error.answer))
        os._exit(0)
