"""Helpers that the tests share: a fake Focus server, a runner of the tap, assertions."""

from __future__ import annotations

import os

import pytest

guarantee = pytest.mark.guarantee
"""Mark a test with the slugs of the guarantees that it proves."""

timing = pytest.mark.timing
"""Mark a test whose result depends on how fast the machine is."""

SLOWNESS = float(os.environ.get("TAP_FOCUS_TEST_SLOWNESS", "1"))
"""Factor for slow machines: multiplies the time limits that such a machine could exceed."""
