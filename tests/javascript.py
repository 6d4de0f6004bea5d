"""Leaving out what needs callbacks in JavaScript where their engine cannot be installed."""

from importlib.util import find_spec

import pytest

needs_javascript = pytest.mark.skipif(
    find_spec("_quickjs") is None, reason="the package quickjs is missing"
)
