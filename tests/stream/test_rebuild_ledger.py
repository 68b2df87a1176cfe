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
from stream.audit_harness import AuditHouse, another_shop

from paystream.rebuild.exchange import Fence
from paystream.rebuild.ledger import (
    COMPARED,
    RebuildFailed,
    RebuildOptions,
    Rebuilt,
    rebuild_ledger,
)
from schemas.topics import PAYMENTS_EVENTS
from sinks.audit.store import connect

pytestmark = pytest.mark.services

FED = {"progress", "funnel_steps", "network_results"}
SIDES = "SELECT name FROM system.databases WHERE name LIKE 'paystream\\_raw\\_%'"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditHouse]:
    """A sink that has written a day at the shop and one record that nobody can read."""
    made = AuditHouse(tmp_path_factory.mktemp("rebuild"))
    made.start_clickhouse()
    made.produce_bytes(PAYMENTS_EVENTS, b"\x00not avro", 3)
    made.produce(a_day_at_the_shop())
    made.start_worker()
    made.wait_committed()
    made.until(lambda: len(made.ask("SELECT 1 FROM paystream.dead_letters")) == 2)
    yield made
    made.stop()


def start(house: AuditHouse, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "paystream.cli", "rebuild", "audit", *options],
        env={**os.environ, **addresses(house)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def addresses(house: AuditHouse) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": house.bootstrap,
        "CLICKHOUSE_URL": house.url,
        "PAYSTREAM_STATE_DIR": str(house.directory),
    }


def rebuild(house: AuditHouse, *, force: bool = False, keep_expired: bool = False) -> Rebuilt:
    return rebuild_ledger(addresses(house), RebuildOptions(force, keep_expired))


def tables(house: AuditHouse) -> dict[str, str]:
    """Raw table -> the identity that the engine gave it."""
    return dict(
        house.ask("SELECT name, toString(uuid) FROM system.tables WHERE database = 'paystream_raw'")
    )


def test_the_same_tables_are_swapped_in_and_the_sink_goes_on(house: AuditHouse) -> None:
    shop, before = a_day_at_the_shop(), tables(house)
    out, err = (process := start(house, "--json")).communicate(timeout=100)
    assert process.returncode == 0, err.decode()
    answer = json.loads(out)
    assert (answer["swapped"], answer["examples"], answer["unreadable"]) == (True, {}, 1)
    assert {each["table"] for each in answer["tables"]} == set(COMPARED)
    assert all(each["same"] for each in answer["tables"])
    empty = {each["table"] for each in answer["tables"] if not each["rows_live"]}
    assert empty == {"reconciliation_events"}
    assert house.ask(SIDES) == []
    after = tables(house)
    assert {name for name in before if before[name] != after[name]} == {*COMPARED, *FED}
    house.check(shop)
    freshness = house.ask("SELECT table_name, last_offsets FROM paystream.freshness")
    more = another_shop(shop, 77)
    house.produce(more)
    house.wait_committed()
    shop.payments += more.payments
    house.check(shop)
    assert house.ask("SELECT table_name, last_offsets FROM paystream.freshness") != freshness


def test_a_changed_row_is_named_and_only_force_restores_it(house: AuditHouse) -> None:
    truth = "SELECT * EXCEPT (ingested_at) FROM paystream.ledger_entries ORDER BY entry_id"
    before, identity = house.ask(truth), tables(house)
    entry = before[0][0]
    house.ask(
        "ALTER TABLE paystream_raw.ledger_entries UPDATE amount_minor = amount_minor + 1"
        f" WHERE entry_id = '{entry}' SETTINGS mutations_sync = 1"
    )
    assert house.ask(truth) != before
    out, err = (process := start(house)).communicate(timeout=100)
    assert process.returncode == 1, err.decode()
    assert b"ledger_entries differs, for one at: live payments.events[" in out
    assert b"ledger_entries: the live tables are not what Kafka says" in err
    assert tables(house) == identity
    assert house.ask(truth) != before
    rebuilt = rebuild(house, force=True)
    assert rebuilt.swapped
    assert house.ask(truth) == before
    [(kept,)] = house.ask(SIDES)
    assert kept == rebuilt.replaced
    assert "_replaced_" in kept
    assert not rebuild(house).examples


def test_kill_9_in_the_middle_leaves_the_live_tables_alone(house: AuditHouse) -> None:
    identity = tables(house)
    process = start(house)
    house.until(lambda: any("_rebuild_" in name for (name,) in house.ask(SIDES)))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert tables(house) == identity
    assert any("_rebuild_" in name for (name,) in house.ask(SIDES))
    assert not rebuild(house).examples
    assert not any("_rebuild_" in name for (name,) in house.ask(SIDES))


def test_a_row_that_kafka_never_had_is_a_difference(house: AuditHouse) -> None:
    house.ask(
        "INSERT INTO paystream_raw.dead_letters (source_app, kafka_topic, kafka_partition,"
        " kafka_offset, failed_at) VALUES ('x', 'payments.dead_letters', 3, 1000000, now())"
    )
    rebuilt = rebuild(house)
    assert not rebuilt.swapped
    assert rebuilt.examples == {"dead_letters": ["live payments.dead_letters[3]@1000000"]}
    assert rebuild(house, force=True).swapped


def test_a_fence_that_was_left_behind_ends_by_itself(house: AuditHouse) -> None:
    shop = another_shop(a_day_at_the_shop(), 5)
    with connect(house.url, 60) as client:
        Fence(client, "paystream_raw", COMPARED, 3).enable()
        until = time.monotonic() + 2.0
        house.produce(shop)
        house.until(lambda: "rebuild_fence" in house.logs())
        assert time.monotonic() < until
        house.wait_committed()
    ids = {event for (event,) in house.ask("SELECT event_id FROM paystream.payment_events")}
    assert {event.event_id for event in shop.payments} <= ids


def test_a_log_without_its_beginning_is_refused_or_kept(house: AuditHouse) -> None:
    before = house.ask("SELECT * EXCEPT (ingested_at) FROM paystream.payment_events ORDER BY ALL")
    [(partition,)] = house.ask(
        "SELECT kafka_partition FROM paystream.payment_events GROUP BY 1"
        " ORDER BY count() DESC LIMIT 1"
    )
    admin = AdminClient({"bootstrap.servers": house.bootstrap})
    [cut] = admin.delete_records([TopicPartition(PAYMENTS_EVENTS, partition, 2)]).values()
    cut.result(20)
    with pytest.raises(RebuildFailed, match=rf"payments.events\[{partition}\] from 2"):
        rebuild(house)
    rebuilt = rebuild(house, keep_expired=True)
    assert rebuilt.swapped
    assert rebuilt.kept_older["payment_events"] == 2
    after = house.ask("SELECT * EXCEPT (ingested_at) FROM paystream.payment_events ORDER BY ALL")
    assert after == before
