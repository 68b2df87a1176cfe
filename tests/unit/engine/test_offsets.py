from __future__ import annotations

import random

import pytest

from engine.consumers.offsets import OffsetTracker


def test_commits_only_below_the_first_open_record() -> None:
    tracker = OffsetTracker()
    for offset in (3, 4, 7):
        tracker.add(offset)
    assert tracker.committable is None
    tracker.done(4)
    assert tracker.committable is None
    tracker.done(3)
    assert tracker.committable == 5
    tracker.done(7)
    assert (tracker.committable, tracker.open_count) == (8, 0)


def test_any_order_of_completion_ends_at_the_end() -> None:
    rng = random.Random(3)
    tracker = OffsetTracker()
    offsets = sorted(rng.sample(range(1000), 200))
    for offset in offsets:
        tracker.add(offset)
    done: set[int] = set()
    for offset in rng.sample(offsets, len(offsets)):
        tracker.done(offset)
        done.add(offset)
        first_open = next((o for o in offsets if o not in done), None)
        below = [o for o in offsets if first_open is None or o < first_open]
        assert tracker.committable == (below[-1] + 1 if below else None)


def test_offsets_must_rise() -> None:
    tracker = OffsetTracker()
    tracker.add(5)
    with pytest.raises(AssertionError, match="rise"):
        tracker.add(5)
