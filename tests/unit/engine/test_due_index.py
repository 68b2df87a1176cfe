from __future__ import annotations

import random

from engine.state.due_index import DueIndex


def test_earliest_first_and_not_taken_away() -> None:
    index = DueIndex()
    for key, due_ms in (("b", 20), ("a", 10), ("c", 30)):
        index.set(key, due_ms)
    assert index.due(20, 10) == [(10, "a"), (20, "b")]
    assert index.due(20, 1) == [(10, "a")]
    assert index.due(9, 10) == []
    assert index.next_due_ms() == 10


def test_a_change_replaces_and_none_removes() -> None:
    index = DueIndex()
    index.set("a", 10)
    index.set("a", 50)
    index.set("b", 20)
    index.set("b", None)
    assert index.due(49, 10) == []
    assert index.due(50, 10) == [(50, "a")]
    index.set("a", 10)
    index.set("a", 50)
    index.set("a", 10)
    assert index.due(100, 10) == [(10, "a")]


def test_agrees_with_a_plain_dict_over_many_changes() -> None:
    rng = random.Random(7)
    index, plain = DueIndex(), {}
    for _ in range(5000):
        key, due_ms = f"k{rng.randrange(50)}", rng.choice([None, rng.randrange(1000)])
        index.set(key, due_ms)
        plain[key] = due_ms
        now = rng.randrange(1000)
        due = sorted((due, key) for key, due in plain.items() if due is not None and due <= now)
        assert index.due(now, 7) == due[:7]
    assert len(index._heap) <= 2 * 50 + 64


def test_fill_replaces_the_content() -> None:
    index = DueIndex()
    index.set("old", 1)
    index.fill([("a", 5), ("b", None)])
    assert index.due(10, 10) == [(5, "a")]
    assert len(index) == 1
    assert DueIndex().next_due_ms() is None
