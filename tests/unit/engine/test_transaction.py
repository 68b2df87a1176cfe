from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeTable

from engine.errors import ClosedBatch, RecordTooLarge
from engine.producer_record import ProducerRecord
from engine.state.partition import TablePartition
from engine.transactions.transaction import BatchTransaction, Transaction
from engine.types import TopicPartition


def batch_of(transaction: Transaction, partition: int = 0) -> BatchTransaction:
    return BatchTransaction(
        partition, record_bytes_max=1000, output_bytes_max=3000, pending=transaction.writes
    )


def table_of(name: str = "counts", number: int = 0, **times: Any) -> TablePartition:
    return FakeTable(name, **times).partition_state(number)


def committed(table: TablePartition, **values: Any) -> None:
    writes = {key: table.encode(value) for key, value in values.items()}
    table.commit(writes, {}, 1, {})


def test_a_batch_sees_its_own_writes_and_others_see_them_after_the_commit() -> None:
    table, transaction = table_of(), Transaction()
    view = batch_of(transaction).view(table)
    view["a"] = [1]
    assert view["a"] == [1]
    assert "a" in view
    assert table.get("a") is None


def test_commit_and_apply_write_the_last_value_per_key_only() -> None:
    table, transaction = table_of(), Transaction()
    batch = batch_of(transaction)
    view = batch.view(table)
    view["a"], view["b"] = 1, 2
    view["a"] = 3
    batch.commit_to(transaction)
    assert transaction.writes[table] == {"a": b"3", "b": b"2"}
    transaction.positions[table] = 17
    transaction.handled({TopicPartition("in", 0): 5}, 2, good=True)
    transaction.apply()
    state = table
    assert (state.get("a"), state.get("b"), state.store.position) == (3, 2, 17)
    assert state.sources == {"in": 5}


def test_a_discarded_batch_leaves_no_trace_even_of_values_changed_in_place() -> None:
    table, transaction = table_of(), Transaction()
    committed(table, a={"seen": [1]})
    failed = batch_of(transaction)
    failed.view(table)["a"]["seen"].append(2)
    failed.emit(ProducerRecord("out", "a", b"x"))
    failed.discard()
    again = batch_of(transaction)
    assert again.view(table)["a"] == {"seen": [1]}
    again.commit_to(transaction)
    assert transaction.writes == {}
    assert transaction.outputs == []


def test_the_next_batch_of_a_transaction_sees_what_the_last_one_wrote() -> None:
    table, transaction = table_of(), Transaction()
    committed(table, a=1, b=1)
    first = batch_of(transaction)
    view = first.view(table)
    view["a"] = 2
    del view["b"]
    first.commit_to(transaction)
    second = batch_of(transaction).view(table)
    assert second["a"] == 2
    assert "b" not in second
    assert second.get("b", "gone") == "gone"


def test_deletes_become_tombstones() -> None:
    table, transaction = table_of(), Transaction()
    committed(table, a=1)
    batch = batch_of(transaction)
    assert batch.view(table).pop("a") == 1
    batch.commit_to(transaction)
    assert transaction.writes[table] == {"a": None}
    transaction.apply()
    assert len(table.store) == 0


def test_partitions_and_tables_are_apart() -> None:
    first, second = (FakeTable().partition_state(number) for number in (1, 2))
    other, transaction = table_of("other", 2), Transaction()
    batch_of(transaction, 1).view(first)["a"] = 1
    batch = batch_of(transaction, 2)
    batch.view(second)["a"] = 2
    batch.view(other)["a"] = 3
    batch.commit_to(transaction)
    assert transaction.writes == {second: {"a": b"2"}, other: {"a": b"3"}}


def test_due_times_follow_the_written_values() -> None:
    table, transaction = table_of(due_ms=lambda value: value["due"]), Transaction()
    batch = batch_of(transaction)
    view = batch.view(table)
    view["a"], view["b"], view["c"] = {"due": 10}, {"due": None}, {"due": 5}
    del view["c"]
    batch.commit_to(transaction)
    transaction.apply()
    assert table.due.due(100, 10) == [(10, "a")]


def test_an_encode_error_commits_nothing() -> None:
    good, bad, transaction = table_of(), table_of("bad"), Transaction()
    batch = batch_of(transaction)
    batch.view(good)["a"] = 1
    batch.view(bad)["a"] = object()
    with pytest.raises(TypeError):
        batch.commit_to(transaction)
    assert transaction.writes == {}


def test_limits_are_clear_errors() -> None:
    table, transaction = table_of(), Transaction()
    batch = batch_of(transaction)
    with pytest.raises(RecordTooLarge, match="record_bytes_max"):
        batch.emit(ProducerRecord("out", "k", b"x" * 1001))
    for _ in range(3):
        batch.emit(ProducerRecord("out", None, b"x" * 900))
    with pytest.raises(RecordTooLarge, match="output_bytes_max"):
        batch.emit(ProducerRecord("out", None, b"x" * 900))
    batch.view(table)["a"] = "x" * 2000
    with pytest.raises(RecordTooLarge, match="counts"):
        batch.commit_to(transaction)


def test_a_batch_is_unusable_after_its_end() -> None:
    batch = batch_of(Transaction())
    batch.commit_to(Transaction())
    with pytest.raises(ClosedBatch):
        batch.emit(ProducerRecord("out", "k", b"x"))
    with pytest.raises(ClosedBatch):
        batch.view(table_of())


def test_none_is_no_value() -> None:
    view = batch_of(Transaction()).view(table_of())
    with pytest.raises(TypeError, match="del"):
        view["a"] = None


def expiring() -> TablePartition:
    return table_of(expires_ms=lambda value: value["until"])


def test_an_entry_is_gone_from_its_time_on_by_record_time() -> None:
    table = expiring()
    batch = BatchTransaction(0, record_bytes_max=100, output_bytes_max=100, time_ms=50)
    view = batch.view(table)
    view["a"] = {"until": 100}
    view["forever"] = {"until": None}
    assert "a" in view
    batch.clock.advance(99)
    batch.clock.advance(20)
    assert "a" in view, "time goes by the largest record time"
    batch.clock.advance(100)
    assert "a" not in view
    assert "forever" in view


def test_expired_entries_become_tombstones_unless_they_were_renewed() -> None:
    table, transaction = expiring(), Transaction()
    first = batch_of(transaction)
    for key in ("old", "renewed", "young"):
        first.view(table)[key] = {"until": 500 if key == "young" else 100}
    first.commit_to(transaction)
    transaction.apply()
    later = Transaction()
    batch = BatchTransaction(0, record_bytes_max=100, output_bytes_max=100, time_ms=200)
    batch.view(table)["renewed"] = {"until": 900}
    batch.commit_to(later)
    assert later.writes[table] == {"renewed": b'{"until":900}', "old": None}
    later.apply()
    assert table.expiry.due(1000, 10) == [(500, "young"), (900, "renewed")]
