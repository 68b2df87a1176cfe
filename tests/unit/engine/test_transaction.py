from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeTable

from engine.errors import ClosedBatch, RecordTooLarge
from engine.producer_record import ProducerRecord
from engine.transactions.transaction import BatchTransaction, Transaction


def scope_of(transaction: Transaction, partition: int = 0) -> BatchTransaction:
    return BatchTransaction(transaction, partition, record_bytes_max=1000, output_bytes_max=3000)


def committed(table: FakeTable, **values: Any) -> None:
    writes = {key: table.encode_value(value) for key, value in values.items()}
    table.partition_state(0).commit(writes, {}, 1, {})


def test_a_batch_sees_its_own_writes_and_others_see_them_after_the_commit() -> None:
    table, transaction = FakeTable(), Transaction()
    view = scope_of(transaction).view(table)
    view["a"] = [1]
    assert view["a"] == [1]
    assert "a" in view
    assert table.partition_state(0).get("a") is None


def test_seal_and_apply_write_the_last_value_per_key_only() -> None:
    table, transaction = FakeTable(), Transaction()
    scope = scope_of(transaction)
    view = scope.view(table)
    view["a"], view["b"] = 1, 2
    view["a"] = 3
    scope.seal()
    assert transaction.writes[table, 0] == {"a": b"3", "b": b"2"}
    transaction.positions[table, 0] = 17
    transaction.handled({("in", 0): 5}, 2, good=True)
    transaction.apply()
    state = table.partition_state(0)
    assert (state.get("a"), state.get("b"), state.store.position) == (3, 2, 17)
    assert state.sources == {"in": 5}


def test_a_dropped_scope_leaves_no_trace_even_of_values_changed_in_place() -> None:
    table, transaction = FakeTable(), Transaction()
    committed(table, a={"seen": [1]})
    failed = scope_of(transaction)
    failed.view(table)["a"]["seen"].append(2)
    failed.emit(ProducerRecord("out", "a", b"x"))
    failed.drop()
    again = scope_of(transaction)
    assert again.view(table)["a"] == {"seen": [1]}
    again.seal()
    assert transaction.writes == {}
    assert transaction.outputs == []


def test_the_next_scope_of_a_transaction_sees_what_the_last_one_sealed() -> None:
    table, transaction = FakeTable(), Transaction()
    committed(table, a=1, b=1)
    first = scope_of(transaction)
    view = first.view(table)
    view["a"] = 2
    del view["b"]
    first.seal()
    second = scope_of(transaction).view(table)
    assert second["a"] == 2
    assert "b" not in second
    assert second.get("b", "gone") == "gone"


def test_deletes_become_tombstones() -> None:
    table, transaction = FakeTable(), Transaction()
    committed(table, a=1)
    scope = scope_of(transaction)
    assert scope.view(table).pop("a") == 1
    scope.seal()
    assert transaction.writes[table, 0] == {"a": None}
    transaction.apply()
    assert len(table.partition_state(0).store) == 0


def test_partitions_and_tables_are_apart() -> None:
    table, other, transaction = FakeTable(), FakeTable("other"), Transaction()
    scope_of(transaction, 1).view(table)["a"] = 1
    scope = scope_of(transaction, 2)
    scope.view(table)["a"] = 2
    scope.view(other)["a"] = 3
    scope.seal()
    assert transaction.writes == {(table, 2): {"a": b"2"}, (other, 2): {"a": b"3"}}


def test_due_times_follow_the_sealed_values() -> None:
    table, transaction = FakeTable(due_ms=lambda value: value["due"]), Transaction()
    scope = scope_of(transaction)
    view = scope.view(table)
    view["a"], view["b"], view["c"] = {"due": 10}, {"due": None}, {"due": 5}
    del view["c"]
    scope.seal()
    transaction.apply()
    assert table.partition_state(0).due.due(100, 10) == [(10, "a")]


def test_an_encode_error_seals_nothing() -> None:
    good, bad, transaction = FakeTable(), FakeTable("bad"), Transaction()
    scope = scope_of(transaction)
    scope.view(good)["a"] = 1
    scope.view(bad)["a"] = object()
    with pytest.raises(TypeError):
        scope.seal()
    assert transaction.writes == {}


def test_limits_are_clear_errors() -> None:
    table, transaction = FakeTable(), Transaction()
    scope = scope_of(transaction)
    with pytest.raises(RecordTooLarge, match="record_bytes_max"):
        scope.emit(ProducerRecord("out", "k", b"x" * 1001))
    for _ in range(3):
        scope.emit(ProducerRecord("out", None, b"x" * 900))
    with pytest.raises(RecordTooLarge, match="output_bytes_max"):
        scope.emit(ProducerRecord("out", None, b"x" * 900))
    scope.view(table)["a"] = "x" * 2000
    with pytest.raises(RecordTooLarge, match="counts"):
        scope.seal()


def test_a_batch_is_unusable_after_its_end() -> None:
    scope = scope_of(Transaction())
    scope.seal()
    with pytest.raises(ClosedBatch):
        scope.emit(ProducerRecord("out", "k", b"x"))
    with pytest.raises(ClosedBatch):
        scope.view(FakeTable())


def test_none_is_no_value() -> None:
    view = scope_of(Transaction()).view(FakeTable())
    with pytest.raises(TypeError, match="del"):
        view["a"] = None


def expiring() -> FakeTable:
    return FakeTable(expires_ms=lambda value: value["until"])


def test_an_entry_is_gone_from_its_time_on_by_record_time() -> None:
    table, transaction = expiring(), Transaction()
    scope = BatchTransaction(transaction, 0, record_bytes_max=100, output_bytes_max=100, time_ms=50)
    view = scope.view(table)
    view["a"] = {"until": 100}
    view["for ever"] = {"until": None}
    assert "a" in view
    scope.clock.advance(99)
    scope.clock.advance(20)
    assert "a" in view, "time goes by the largest record time"
    scope.clock.advance(100)
    assert "a" not in view
    assert "for ever" in view


def test_expired_entries_become_tombstones_unless_they_were_renewed() -> None:
    table, transaction = expiring(), Transaction()
    first = scope_of(transaction)
    for key in ("old", "renewed", "young"):
        first.view(table)[key] = {"until": 500 if key == "young" else 100}
    first.seal()
    transaction.apply()
    later = Transaction()
    scope = BatchTransaction(later, 0, record_bytes_max=100, output_bytes_max=100, time_ms=200)
    scope.view(table)["renewed"] = {"until": 900}
    scope.seal()
    assert later.writes[table, 0] == {"renewed": b'{"until":900}', "old": None}
    later.apply()
    assert table.partition_state(0).expiry.due(1000, 10) == [(500, "young"), (900, "renewed")]
