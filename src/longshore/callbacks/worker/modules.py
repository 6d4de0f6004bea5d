"""The modules a Python script may import, all loaded before the lock-down.

Nothing can be opened afterwards, so the lazy imports inside the standard library are made here too.
The list is a courtesy with a clear message, not the boundary: a script that gets around it still
cannot make a single harmful system call.
"""

import base64
import calendar
import codecs
import collections
import collections.abc
import contextlib
import datetime
import decimal
import fnmatch
import fractions
import functools
import hashlib
import io
import itertools
import json
import linecache  # noqa: F401  (warnings format their text with it)
import math
import operator
import posixpath
import random
import re
import statistics
import string
import sys
import textwrap
import time
import traceback  # noqa: F401  (used by the interpreter when it prints an error)
import types
import unicodedata
import warnings
from typing import Any, Final

SHARED: Final = (
    base64,
    calendar,
    collections,
    datetime,
    decimal,
    fnmatch,
    fractions,
    functools,
    hashlib,
    itertools,
    json,
    math,
    operator,
    posixpath,
    random,
    re,
    statistics,
    string,
    textwrap,
    time,
    unicodedata,
)

ALLOWED: Final = frozenset(
    {module.__name__ for module in SHARED} | {"__future__", "posixpath", "sys", "utils"}
)
"""Top-level names; what lies below them (`collections.abc`) may be imported as well."""


ENCODINGS: Final = (
    "ascii",
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "latin-1",
    "iso8859-15",
    "cp1252",
    "cp437",
)
"""What text can be encoded as; others are unknown after the lock-down."""


def warm_up() -> None:
    """Use once what loads something lazily, so that it works after the lock-down."""
    # Warnings (a bad escape in a regular expression) must not look for source files.
    warnings.simplefilter("ignore")
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    datetime.datetime.strptime("2000-01-01 UTC", "%Y-%m-%d %Z").astimezone()
    time.localtime()
    for name in hashlib.algorithms_guaranteed:
        with contextlib.suppress(ValueError):  # a machine's policy may forbid some of them
            hashlib.new(name)
    random.random()
    decimal.Decimal("1.5").sqrt()


def inert_sys(output: io.TextIOBase) -> types.ModuleType:
    """Return the `sys` that scripts see: facts about the interpreter and the output, no levers."""
    stand_in: Any = types.ModuleType("sys", "The part of sys that is of use to a callback.")
    for name in ("byteorder", "float_info", "hexversion", "maxsize", "maxunicode", "version"):
        setattr(stand_in, name, getattr(sys, name))
    stand_in.version_info = tuple(sys.version_info)
    stand_in.platform, stand_in.argv, stand_in.path = sys.platform, [], []
    stand_in.stdout = stand_in.stderr = output
    return stand_in  # type: ignore[no-any-return]
