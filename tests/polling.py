"""Waiting for what comes soon: the first true answer ends it, a bound in seconds fails it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.05


def eventually(check: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true answer of `check`; fails with `what` after the time."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(_PAUSE_SECONDS)
    return found
