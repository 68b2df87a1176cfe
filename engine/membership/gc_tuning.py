"""Garbage collector settings for a process that handles batches of records."""

from __future__ import annotations

import gc

YOUNG_OBJECTS_MAX = 50_000
"""A batch of 4,000 records makes some 20,000 objects, none in a reference cycle. With the default
(700) the collector scans them, and all of Faust, many times.
"""


def freeze_and_raise_thresholds() -> None:
    """Call once at startup: freezes all existing objects so that the garbage collector no longer
    scans them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 10, 10)
