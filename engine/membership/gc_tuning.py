"""Python's collector of reference cycles, set for a process that handles batches of records."""

from __future__ import annotations

import gc

YOUNG_OBJECTS_MAX = 50_000
"""A batch of 4,000 records makes some 20,000 objects, none in a cycle; by the default (700) the
collector looks through them, and through all of Faust, many times.
"""


def freeze_and_raise_thresholds() -> None:
    """Call it once, at start: what lives then lives as long as the process, and is left alone."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 10, 10)
