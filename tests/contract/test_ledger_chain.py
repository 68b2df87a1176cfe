"""The signed chain on a real engine: each way to tamper is found, and the row is named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from contract.ledger_scenario import NEXT_DAY_MS, a_day_at_the_shop

from engine import TopicPartition
from paystream.verify.chain import PUBLIC_KEY_VARIABLE
from paystream.verify.dataset import Dataset
from paystream.verify.live import LiveSources
from paystream.verify.result import RuleResult
from paystream.verify.run import CHAIN_RULES, check
from runtime.kafka import RecordsGone, StoredRecord
from runtime.store_connections import ClickHouseConnection
from schemas.codec import encode
from schemas.enums import EventType
from schemas.records import ReconciliationEvent
from schemas.topics import PAYMENTS_EVENTS, PAYOUTS_EVENTS, RECONCILIATION_EVENTS
from sinks.audit.app import SOURCES
from sinks.audit.chain.chain import SEGMENT_OFFSETS, Checkpoint, Leaves, Offsets, leaves_of
from sinks.audit.chain.checkpoint_writer import CheckpointWriter, by_partition
from sinks.audit.chain.keys import public_keys, signer
from sinks.audit.chain.setup import record_of
from sinks.audit.inserts import positions_of
from sinks.audit.migrations import migrate
from sinks.audit.raw_table import KafkaPosition
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import DecodedRecord, LedgerStore, connect, rows_of

pytestmark = pytest.mark.services

FIRST = SEGMENT_OFFSETS - 5
"""The shop's partition begins here: two segments with few records."""
TOPICS = (PAYMENTS_EVENTS, PAYOUTS_EVENTS, RECONCILIATION_EVENTS)
SETTLED = [
    ReconciliationEvent(
        event_id=f"rcn_{number}",
        subject_id=f"pay_{number}",
        sequence=1,
        type="line.settled",
        occurred_at_ms=NEXT_DAY_MS + number,
        merchant_id="mer_1",
        payment_id=f"pay_{number}",
        mode="live",
        line_id=f"line_{number}",
        currency="EUR",
        gross_minor=1000 + number,
        fee_minor=12,
        expected_currency="EUR",
        expected_minor=1000 + number,
        found_at_ms=NEXT_DAY_MS if number % 2 else None,
    )
    for number in range(8)
]


class Log:
    """Kafka, as far as a chain reads it again."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[tuple[int, bytes]]] = {}

    def read(self, source: TopicPartition, first: int, end: int) -> tuple[Offsets, Leaves]:
        found = [(at, value) for at, value in self.records.get(source, []) if first <= at < end]
        if first < FIRST:
            raise RecordsGone("retention took them")
        return np.array([at for at, _ in found], np.int64), leaves_of([v for _, v in found])


class Stack:
    """A sealed ledger and everything to tamper with it."""

    def __init__(self, url: str, databases: DatabaseNames, directory: Path) -> None:
        self.databases, self.directory = databases, directory
        self.client: Client = connect(ClickHouseConnection(url), 60)
        migrate(self.client, databases)
        self.store = LedgerStore(ClickHouseConnection(url), databases, 60)
        self.shop = a_day_at_the_shop()
        self.log = Log()
        self.published: list[Checkpoint] = []
        self.env = {
            "CLICKHOUSE_URL": url,
            "PAYSTREAM_AUDIT_RAW_DATABASE": databases.raw,
            "PAYSTREAM_AUDIT_VIEWS_DATABASE": databases.views,
            PUBLIC_KEY_VARIABLE: str(directory),
        }

    def records(self, topic: str) -> list[Any]:
        """Two partitions' worth of payments, one of the others; a gap after each fifth."""
        events: Sequence[Any] = {
            PAYMENTS_EVENTS: self.shop.payments,
            PAYOUTS_EVENTS: self.shop.payouts,
            RECONCILIATION_EVENTS: SETTLED,
        }[topic]
        half = (len(events) + 1) // 2 if topic == PAYMENTS_EVENTS else len(events)
        return [
            SimpleNamespace(
                value=event,
                raw=encode(event),
                partition=number // half,
                offset=FIRST + number % half + number % half // 5,
            )
            for number, event in enumerate(events)
        ]

    def fill(self) -> None:
        """Rows as the sink makes them."""
        for topic in TOPICS:
            for table in SOURCES[topic][1]:
                self.client.command(f"TRUNCATE TABLE {self.databases.raw}.{table.name}")
        for topic in TOPICS:
            sourced = [
                DecodedRecord(
                    r.value, KafkaPosition(topic, r.partition, r.offset, NEXT_DAY_MS, r.raw)
                )
                for r in self.records(topic)
            ]
            for table in SOURCES[topic][1]:
                self.store.insert(table, rows_of(table, sourced))

    def checkpoint_writer(self) -> CheckpointWriter:
        log: Any = self.log
        return CheckpointWriter(
            self.store, log, signer(self.directory), public_keys(self.directory), lambda: 1
        )

    def checkpoint(
        self, checkpoint_writer: CheckpointWriter, batch_records: int
    ) -> list[Checkpoint]:
        made: list[Checkpoint] = []
        for topic in TOPICS:
            records = self.records(topic)
            for record in records:
                source = self.log.records.setdefault(TopicPartition(topic, record.partition), [])
                if (record.offset, record.raw) not in source:
                    source.append((record.offset, record.raw))
            for at in range(0, len(records), batch_records):
                batch = records[at : at + batch_records]
                made += checkpoint_writer.write(
                    by_partition(batch, positions_of(topic, batch, at_ms=0))
                )
        return made + checkpoint_writer.checkpoint_tails()

    def stored(self) -> list[tuple[Any, ...]]:
        sql = f"SELECT * EXCEPT (ingested_at) FROM {self.databases.views}.ledger_checkpoints"
        return [tuple(row) for row in self.client.query(f"{sql} ORDER BY ALL").result_rows]

    def raw(self, sql: str) -> None:
        """Statements of somebody who may write the tables; `raw.` is their database."""
        settings = {"mutations_sync": 2}
        self.client.command(sql.replace("raw.", f"{self.databases.raw}."), settings=settings)

    def verify(self) -> tuple[RuleResult, RuleResult]:
        """What `paystream verify --chain` says: of the rows, and of the witness."""
        sources = LiveSources(self.env)
        sources.records = self.witness  # type: ignore[assignment,method-assign] # no broker here
        sealed, witness = (check(rule, Dataset(sources, self.env)) for rule in CHAIN_RULES)
        return sealed, witness

    def witness(self, topic: str) -> Iterator[StoredRecord]:
        for offset, checkpoint in enumerate(self.published):
            key, value = record_of(checkpoint)
            yield StoredRecord(topic, 0, offset, key, value, {}, 0)


@pytest.fixture(scope="module")
def whole(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(
        clickhouse_url, DatabaseNames("chain_raw", "chain"), tmp_path_factory.mktemp("keys")
    )
    made.fill()
    made.published = made.checkpoint(made.checkpoint_writer(), 7)
    yield made
    made.store.close()
    for name in (made.databases.raw, made.databases.views):
        made.client.command(f"DROP DATABASE IF EXISTS {name} SYNC")
    made.client.close()


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    """As it was sealed: what a test changes is undone after it."""
    keys = whole.directory / "kept"
    shutil.copytree(whole.directory, keys)
    yield whole
    whole.fill()
    whole.raw("TRUNCATE TABLE raw.ledger_checkpoints")
    for path in whole.directory.glob("*.pem"):
        path.unlink()
    for path in keys.iterdir():
        shutil.move(path, whole.directory)
    keys.rmdir()
    whole.published = whole.checkpoint(whole.checkpoint_writer(), 7)


def words(result: RuleResult) -> str:
    return "\n".join(result.violations)


def test_what_was_not_touched_holds(stack: Stack) -> None:
    sealed, witness = stack.verify()
    assert (words(sealed), words(witness)) == ("", "")
    assert sealed.held
    assert witness.held
    assert sealed.checked > len(stack.shop.payments)
    assert {c.complete for c in stack.published} == {True, False}


def test_batches_repetition_and_another_worker_give_the_same_chain(stack: Stack) -> None:
    before = stack.stored()
    stack.checkpoint(stack.checkpoint_writer(), 3)
    assert stack.stored() == before
    checkpoint_writer = stack.checkpoint_writer()
    stack.checkpoint(checkpoint_writer, 1000)
    stack.checkpoint(checkpoint_writer, 1)  # everything again
    assert stack.stored() == before
    stack.raw("ALTER TABLE raw.ledger_checkpoints DELETE WHERE segment = 0 OR kafka_partition = 0")
    stack.checkpoint(stack.checkpoint_writer(), 4)
    assert stack.stored() == before


def test_rows_inserted_again_change_nothing(stack: Stack) -> None:
    fresh = NEXT_DAY_MS + 5
    for topic in TOPICS:
        again = [
            DecodedRecord(r.value, KafkaPosition(topic, r.partition, r.offset, fresh, r.raw))
            for r in stack.records(topic)
        ]
        for table in SOURCES[topic][1]:
            stack.store.insert(table, rows_of(table, again))
    assert stack.verify()[0].held


def captured(stack: Stack, number: int = 0) -> str:
    found = [e.event_id for e in stack.shop.payments if e.type == EventType.CAPTURED]
    return found[number]


# Each: what somebody does to the tables, and what must be said; {a} and {b} are captures.
TAMPERED = {
    "an entry's amount edited": (
        "ALTER TABLE raw.ledger_entries UPDATE amount_minor = amount_minor + 1"
        " WHERE entry_id = '{a}#1'",
        r"ledger_entries {a}#1 \(payments\.events/\d@\d+\): edited: amount_minor is",
    ),
    "an event's amount edited": (
        "ALTER TABLE raw.payment_events UPDATE amount_minor = 1 WHERE event_id = '{a}'",
        r"payment_events {a} \(.*\): edited: amount_minor is 1, its record says",
    ),
    "an event's text edited": (
        "ALTER TABLE raw.payment_events UPDATE reference = 'x' WHERE event_id = '{a}'",
        r"payment_events {a} \(.*\): edited: reference is 'x'",
    ),
    "a currency's decimals edited": (
        "ALTER TABLE raw.ledger_entries UPDATE currency_exponent = 0 WHERE entry_id = '{a}#2'",
        r"ledger_entries {a}#2 \(.*\): edited: amount_decimal is",
    ),
    "an event edited with its record": (
        "ALTER TABLE raw.payment_events UPDATE record = (SELECT record FROM raw.payment_events"
        " WHERE event_id = '{b}') WHERE event_id = '{a}'",
        r"payment_events {a} \(.*\): its record differs from its checkpoint: edited",
    ),
    "a settled line edited": (
        "ALTER TABLE raw.reconciliation_events UPDATE gross_minor = 1 WHERE event_id = 'rcn_3'",
        r"reconciliation_events rcn_3 \(.*\): edited: gross_minor is 1, its record says 1003",
    ),
    "an entry of a settled line deleted": (
        "ALTER TABLE raw.ledger_entries DELETE WHERE entry_id = 'rcn_2#1'",
        r"ledger_entries rcn_2#1 \(reconciliation\.events/0@\d+\): .*not there: deleted",
    ),
    "an entry deleted": (
        "ALTER TABLE raw.ledger_entries DELETE WHERE entry_id = '{a}#2'",
        r"ledger_entries {a}#2 \(.*\): its record says so and it is not there: deleted",
    ),
    "an event deleted": (
        "ALTER TABLE raw.payment_events DELETE WHERE event_id = '{a}'",
        r"payment_events at payments\.events/\d@\d+: is covered and is not there: deleted",
    ),
    "an entry inserted": (
        "INSERT INTO raw.ledger_entries SELECT * REPLACE ('{a}#9' AS entry_id, 9 AS leg)"
        " FROM (SELECT * FROM raw.ledger_entries WHERE entry_id = '{a}#1')",
        r"ledger_entries {a}#9 \(.*\): no covered record says so: inserted",
    ),
    "a transaction inserted where nothing was": (
        "INSERT INTO raw.ledger_entries SELECT * REPLACE ('evil#1' AS entry_id, 'evil' AS"
        " transaction_id, 4100 AS kafka_offset)"
        " FROM (SELECT * FROM raw.ledger_entries WHERE entry_id = '{a}#1')",
        r"ledger_entries evil#1 \(.*\): no covered record says so: inserted",
    ),
    "an event inserted into a gap": (
        "INSERT INTO raw.payment_events SELECT * REPLACE ('evil-1' AS event_id, 'evil' AS"
        " payment_id, 4096 AS kafka_offset)"
        " FROM (SELECT * FROM raw.payment_events WHERE event_id = '{a}')",
        r"payment_events evil-1 \(.*@4096\): is not covered by a checkpoint: inserted",
    ),
    "two entries swapped": (
        "ALTER TABLE raw.ledger_entries UPDATE amount_minor = -amount_minor"
        " WHERE entry_id IN ('{a}#4', '{a}#5')",
        r"(?s)ledger_entries {a}#4 .*edited: amount_minor.*ledger_entries {a}#5 .*edited: amount",
    ),
    "two events swapped": (
        "ALTER TABLE raw.payment_events UPDATE kafka_offset = kafka_offset + if(event_id = '{a}',"
        " {step}, -{step}) WHERE event_id IN ('{a}', '{b}')",
        r"(?s)payment_events ({a}|{b}) .*differs from its checkpoint.*payment_events ({a}|{b}) .*"
        r"differs from its checkpoint",
    ),
    "a leaf edited": (
        "ALTER TABLE raw.ledger_checkpoints UPDATE leaves = reverse(leaves) WHERE segment = 0"
        " AND kafka_partition = 0",
        r"checkpoint payments\.events/0 .*: its offsets or leaves are not those that were signed",
    ),
    "a checkpoint forged": (
        "ALTER TABLE raw.ledger_checkpoints UPDATE records = records - 1, key_id = key_id"
        " WHERE segment = 0 AND kafka_partition = 1",
        r"checkpoint payments\.events/1 4091 to 4096: is not signed by a trusted key",
    ),
    "a checkpoint taken away": (
        "ALTER TABLE raw.ledger_checkpoints DELETE WHERE segment = 0 AND kafka_partition = 1",
        r"payments\.events/1: the checkpoints before segment 1 are missing",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_it_is_found_and_named(stack: Stack, name: str) -> None:
    sql, said = TAMPERED[name]
    by_id = {r.value.event_id: r for r in stack.records(PAYMENTS_EVENTS)}
    a, b = captured(stack, 0), captured(stack, 1)
    step = by_id[b].offset - by_id[a].offset
    assert by_id[a].partition == by_id[b].partition
    stack.raw(sql.replace("{a}", a).replace("{b}", b).replace("{step}", str(step)))
    sealed, _ = stack.verify()
    assert not sealed.held
    found = words(sealed)
    pattern = said.replace("{a}", a).replace("{b}", b)
    assert re.search(pattern, found), found


def test_checkpoints_of_another_key_are_no_ones(stack: Stack) -> None:
    """Somebody with a key of his own makes the whole chain again over rows that he changed."""
    (stack.directory / "signing.pem").unlink()
    trusted = [path.read_bytes() for path in stack.directory.glob("*.pub.pem")]
    stack.raw("TRUNCATE TABLE raw.ledger_checkpoints")
    stack.checkpoint(stack.checkpoint_writer(), 7)
    for path in stack.directory.glob("*.pub.pem"):
        if path.read_bytes() not in trusted:
            path.unlink()
    sealed, witness = stack.verify()
    assert "is not signed by a trusted key" in words(sealed)
    assert witness.held, "what is published is still there, made by the right key"


def test_a_rotated_key_leaves_the_old_checkpoints_good(stack: Stack) -> None:
    (stack.directory / "signing.pem").unlink()
    stack.raw("ALTER TABLE raw.ledger_checkpoints DELETE WHERE segment = 1")
    stack.checkpoint(stack.checkpoint_writer(), 7)
    assert len({row[8] for row in stack.stored()}) >= 1
    assert len(list(stack.directory.glob("*.pub.pem"))) == 2
    assert stack.verify()[0].held


def test_the_witness_misses_what_was_set_back(stack: Stack) -> None:
    """The newest rows and their checkpoint vanish together: only Kafka shows it."""
    stack.raw("ALTER TABLE raw.ledger_checkpoints DELETE WHERE segment = 1")
    for table in ("payment_events", "ledger_entries"):
        stack.raw(f"ALTER TABLE raw.{table} DELETE WHERE kafka_offset >= 4096")
    sealed, witness = stack.verify()
    assert "payments.events" not in words(sealed)
    assert "is on Kafka and not in ClickHouse" in words(witness)


def test_rows_that_no_checkpoint_covers_are_said(stack: Stack) -> None:
    stack.raw("ALTER TABLE raw.ledger_checkpoints DELETE WHERE segment = 1")
    sealed, _ = stack.verify()
    assert sealed.held
    assert any(
        "from offset 4096 on are not signed" in note or "are not signed" in note
        for note in sealed.notes
    )


def test_a_segment_that_must_be_sealed_by_now_and_is_not(stack: Stack) -> None:
    stack.raw("TRUNCATE TABLE raw.ledger_checkpoints")
    sealed, witness = stack.verify()
    assert "the checkpoint of segment 0 is missing" in words(sealed)
    assert "is on Kafka and not in ClickHouse" in words(witness)


def test_without_a_key_nothing_is_claimed(stack: Stack, tmp_path: Path) -> None:
    stack.env[PUBLIC_KEY_VARIABLE] = str(tmp_path)
    try:
        sealed, _ = stack.verify()
    finally:
        stack.env[PUBLIC_KEY_VARIABLE] = str(stack.directory)
    assert sealed.skipped_reason is not None
    assert "no public key" in sealed.skipped_reason
