"""Callbacks: user scripts that decide which files a task processes, unable to do anything else.

    mover                                        one locked worker process per script
    ─────                                        ─────────────────────────────────────
    FilterChain.decide(files)
      └─ CallbackFilter  ── files, msgpack ──>   Python or QuickJS: run(req) for every file
                         <── one byte each ───   True, False, failed, out of time

The boundary is the kernel, not the language: the worker gives up files, network, processes and
executable memory before the script arrives. See docs/callbacks.md for people who write scripts and
docs/design/0005-callback-sandbox.md for why it is built this way.
"""

from .chain import FilterChain
from .entries import file_info
from .errors import CallbackError, CallbackGaveUp, SandboxUnavailable
from .filter import CallbackFilter
from .language import language_of
from .limits import DEFAULT_LIMITS, LandlockMode, Limits
from .self_test import SandboxReport, begin_self_test, self_test
from .trial import Bounds, Sample, Stop, Trial, try_script
from .validation import validate
from .values import (
    Answer,
    ChainDecisions,
    Decisions,
    FileInfo,
    InvalidScript,
    Language,
    ScriptFailure,
    Usage,
)

__all__ = [
    "DEFAULT_LIMITS",
    "Answer",
    "Bounds",
    "CallbackError",
    "CallbackFilter",
    "CallbackGaveUp",
    "ChainDecisions",
    "Decisions",
    "FileInfo",
    "FilterChain",
    "InvalidScript",
    "LandlockMode",
    "Language",
    "Limits",
    "Sample",
    "SandboxReport",
    "SandboxUnavailable",
    "ScriptFailure",
    "Stop",
    "Trial",
    "Usage",
    "begin_self_test",
    "file_info",
    "language_of",
    "self_test",
    "try_script",
    "validate",
]
