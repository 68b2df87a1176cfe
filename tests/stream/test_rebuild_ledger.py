"""`paystream rebuild ledger` on a real broker and a real engine, beside a running sink."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from contract.ledger_scenario import a_day_at_the_shop
from stream.audit_harness import AuditStack, another_shop

from paystream.rebuild.exchange import Fence
from paystream.rebuild.ledger import (
    COMPARED,
    RebuildFailed,
    RebuildOptions,
    Rebuilt,
    rebuild_ledger,
)
from runtime.store_connections import ClickHouseConnection
from schemas.topics import PAYMENTS_EVENTS
from sinks.audit.store import connect

pytestmark = pytest.mark.services

FED = {"progress", "funnel_steps", "network_results"}
SIDES = "SELECT name FROM system.databases WHERE name LIKE 'paystream\\_raw\\_%'"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditStack]:
    """A sink that has written a day at the shop and one record that nobody can read."""
    made = AuditStack(tmp_path_factory.mktemp("rebuild"))
    made.start_clickhouse()
    made.produce_bytes(PAYMENTS_EVENTS, b"\x00not avro", 3)
    made.produce(a_day_at_the_shop())
    made.start_worker()
    made.wait_committed()
    made.until(lambda: len(made.ask("SELECT 1 FROM paystream.dead_letters")) == 2)
    yield made
    made.stop()


def start(stack: AuditStack, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "paystream.cli", "rebuild", "ledger", *options],
        env={**os.environ, **addresses(stack)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def addresses(stack: AuditStack) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
        "CLICKHOUSE_URL": stack.url,
        "PAYSTREAM_STATE_DIR": str(stack.directory),
    }


def rebuild(stack: AuditStack, *, force: bool = False, keep_expired: bool = False) -> Rebuilt:
    return rebuild_ledger(addresses(stack), RebuildOptions(force, keep_expired))


def tables(stack: AuditStack) -> dict[str, str]:
    """Raw table -> the identity that the engine gave it."""
    return dict(
        stack.ask("SELECT name, toString(uuid) FROM system.tables WHERE database = 'paystream_raw'")
    )


def test_the_same_tables_are_swapped_in_and_the_sink_goes_on(stack: AuditStack) -> None:
    shop, before = a_day_at_the_shop(), tables(stack)
    out, err = (process := start(stack, "--json")).communicate(timeout=100)
    assert process.returncode == 0, err.decode()
    answer = json.loads(out)
    assert (answer["swapped"], answer["examples"], answer["unreadable"]) == (True, {}, 1)
    assert {each["table"] for each in answer["tables"]} == set(COMPARED)
    assert all(each["same"] for each in answer["tables"])
    empty = {each["table"] for each in answer["tables"] if not each["rows_live"]}
    assert empty == {"reconciliation_events", "audit_actions", "rejections"}
    assert stack.ask(SIDES) == []
    after = tables(stack)
    assert {name for name in before if before[name] != after[name]} == {*COMPARED, *FED}
    stack.check(shop)
    freshness = stack.ask("SELECT table_name, last_offsets FROM paystream.freshness")
    more = another_shop(shop, 77)
    stack.produce(more)
    stack.wait_committed()
    shop.payments += more.payments
    stack.check(shop)
    assert stack.ask("SELECT table_name, last_offsets FROM paystream.freshness") != freshness


def test_a_changed_row_is_named_and_only_force_restores_it(stack: AuditStack) -> None:
    truth = "SELECT * EXCEPT (ingested_at) FROM paystream.ledger_entries ORDER BY entry_id"
    before, identity = stack.ask(truth), tables(stack)
    entry = before[0][0]
    stack.ask(
        "ALTER TABLE paystream_raw.ledger_entries UPDATE amount_minor = amount_minor + 1"
        f" WHERE entry_id = '{entry}' SETTINGS mutations_sync = 1"
    )
    assert stack.ask(truth) != before
    out, err = (process := start(stack)).communicate(timeout=100)
    assert process.returncode == 1, err.decode()
    assert b"ledger_entries differs, for one at: live payments.events[" in out
    assert b"ledger_entries: the live tables are not what Kafka says" in err
    assert tables(stack) == identity
    assert stack.ask(truth) != before
    rebuilt = rebuild(stack, force=True)
    assert rebuilt.swapped
    assert stack.ask(truth) == before
    [(kept,)] = stack.ask(SIDES)
    assert kept == rebuilt.replaced
    assert "_replaced_" in kept
    assert not rebuild(stack).examples


def test_kill_9_in_the_middle_leaves_the_live_tables_alone(stack: AuditStack) -> None:
    identity = tables(stack)
    process = start(stack)
    stack.until(lambda: any("_rebuild_" in name for (name,) in stack.ask(SIDES)))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert tables(stack) == identity
    assert any("_rebuild_" in name for (name,) in stack.ask(SIDES))
    assert not rebuild(stack).examples
    assert not any("_rebuild_" in name for (name,) in stack.ask(SIDES))


def test_a_row_that_kafka_never_had_is_a_difference(stack: AuditStack) -> None:
    stack.ask(
        "INSERT INTO paystream_raw.dead_letters (source_app, kafka_topic, kafka_partition,"
        " kafka_offset, failed_at) VALUES ('x', 'payments.dead_letters', 3, 1000000, now())"
    )
    rebuilt = rebuild(stack)
    assert not rebuilt.swapped
    assert rebuilt.examples == {"dead_letters": ["live payments.dead_letters[3]@1000000"]}
    assert rebuild(stack, force=True).swapped


def test_a_fence_that_was_left_behind_ends_by_itself(stack: AuditStack) -> None:
    shop = another_shop(a_day_at_the_shop(), 5)
    with connect(ClickHouseConnection(stack.url), 60) as client:
        Fence(client, "paystream_raw", COMPARED, 3).enable()
        until = time.monotonic() + 2.0
        stack.produce(shop)
        stack.until(lambda: "rebuild_fence" in stack.logs())
        assert time.monotonic() < until
        stack.wait_committed()
    ids = {event for (event,) in stack.ask("SELECT event_id FROM paystream.payment_events")}
    assert {event.event_id for event in shop.payments} <= ids


def test_a_log_without_its_beginning_is_refused_or_kept(stack: AuditStack) -> None:
    before = stack.ask("SELECT * EXCEPT (ingested_at) FROM paystream.payment_events ORDER BY ALL")
    [(partition,)] = stack.ask(
        "SELECT kafka_partition FROM paystream.payment_events GROUP BY 1"
        " ORDER BY count() DESC LIMIT 1"
    )
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    [cut] = admin.delete_records([TopicPartition(PAYMENTS_EVENTS, partition, 2)]).values()
    cut.result(20)
    with pytest.raises(RebuildFailed, match=rf"payments.events\[{partition}\] from 2"):
        rebuild(stack)
    rebuilt = rebuild(stack, keep_expired=True)
    assert rebuilt.swapped
    assert rebuilt.kept_older["payment_events"] == 2
    after = stack.ask("SELECT * EXCEPT (ingested_at) FROM paystream.payment_events ORDER BY ALL")
    assert after == before
