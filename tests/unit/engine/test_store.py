"""The contract of a `PartitionStore`; a new implementation joins STORES."""

from __future__ import annotations

import pytest

from engine.state.store import PartitionStore, StoreFactory, memory_store

STORES: list[StoreFactory] = [memory_store]


@pytest.fixture(params=STORES, ids=lambda factory: factory.__name__)
def store(request: pytest.FixtureRequest) -> PartitionStore:
    return request.param("counts", 3)


def test_is_empty_at_first(store: PartitionStore) -> None:
    assert (len(store), store.position, store.get("a"), list(store.items())) == (0, 0, None, [])


def test_applies_values_deletes_and_the_position(store: PartitionStore) -> None:
    store.apply([("a", b"1"), ("b", b"2"), ("a", b"3")], 4)
    assert (store.get("a"), store.get("b"), len(store), store.position) == (b"3", b"2", 2, 4)
    store.apply([("a", None), ("never", None)], 6)
    assert (store.get("a"), len(store), store.position) == (None, 1, 6)
    assert list(store.items()) == [("b", b"2")]


def test_the_position_moves_without_writes(store: PartitionStore) -> None:
    store.apply([("a", b"")], 1)
    store.apply([], 9)
    assert (store.get("a"), store.position) == (b"", 9)


def test_clear_forgets_everything(store: PartitionStore) -> None:
    store.apply([("a", b"1")], 1)
    store.clear()
    assert (len(store), store.position, store.get("a")) == (0, 0, None)
