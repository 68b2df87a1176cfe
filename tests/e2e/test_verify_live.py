"""`paystream verify` against a real broker, ClickHouse with its views, Valkey and HTTP logs."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import NewTopic
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "paystream" / "verify"))
from verify_fixture import MERCHANT, MODE, PARTITIONS, Shop, ShopSources, open_shop

from paystream.operations import topics as topics_on_broker
from paystream.operations.payment_timeline import explain, print_story
from paystream.operations.topics_report import print_topics, topics_report
from paystream.verify import live
from paystream.verify.live import ACCEPTED_LOG
from paystream.verify.result import RuleResult
from paystream.verify.run import RULES, Rule, run_verify
from runtime import consumer_lag
from runtime.kafka import consumer_settings
from runtime.kafka_connection import KafkaConnection
from schemas import topics
from schemas.ids import payment_id
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames
from workers.catalogue import GROUPS

pytestmark = pytest.mark.services


class Logs(BaseHTTPRequestHandler):
    """`GET /network/log`, `/bank/log` and settlement differences, as the simulators answer them."""

    lines: dict[str, list[dict[str, Any]]] = {}  # noqa: RUF012 - set once by the fixture
    injected: list[dict[str, Any]] = []  # noqa: RUF012 - set once by the fixture

    def do_GET(self) -> None:
        _, name, page = self.path.split("/", 2)
        if page == "log":
            body = b"".join(json.dumps(line).encode() + b"\n" for line in self.lines[name])
        else:
            body = json.dumps({"differences": self.injected}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, own_broker: str, clickhouse_url: str, valkey_url: str
) -> Iterator[dict[str, str]]:
    """The shop's history in real parts; a broker of its own, because topic names are fixed."""
    logs = ThreadingHTTPServer(("127.0.0.1", 0), Logs)
    threading.Thread(target=logs.serve_forever, daemon=True).start()
    simulators = f"http://127.0.0.1:{logs.server_address[1]}"
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": own_broker,
        "CLICKHOUSE_URL": clickhouse_url,
        "REDIS_URL": valkey_url,
        "NETWORK_URL": f"{simulators}/network",
        "BANK_URL": f"{simulators}/bank",
        "PAYSTREAM_STATE_DIR": str(tmp_path_factory.mktemp("verify-state")),
        "PAYSTREAM_AUDIT_RAW_DATABASE": "verify_live_raw",
        "PAYSTREAM_AUDIT_VIEWS_DATABASE": "verify_live",
    }
    shop = open_shop()
    _fill(env, shop)
    yield env
    logs.shutdown()
    redis.Redis.from_url(valkey_url).delete(*shop.cache)


def _fill(env: dict[str, str], shop: Shop) -> None:
    Logs.lines = {"network": shop.network, "bank": shop.bank}
    Logs.injected = shop.injected
    _fill_kafka(env["KAFKA_BOOTSTRAP_SERVERS"], shop)
    _fill_clickhouse(env, shop)
    redis.Redis.from_url(env["REDIS_URL"]).mset(shop.cache)  # type: ignore[arg-type] # str keys
    accepted = Path(env["PAYSTREAM_STATE_DIR"]) / ACCEPTED_LOG
    accepted.parent.mkdir()
    accepted.write_text("".join(json.dumps(line) + "\n" for line in shop.accepted or ()))


def _fill_kafka(bootstrap: str, shop: Shop) -> None:
    topics_on_broker.create_all(KafkaConnection(bootstrap), partitions=PARTITIONS)
    admin = consumer_lag.admin(KafkaConnection(bootstrap))
    compacted = {"cleanup.policy": "compact"}
    new = [NewTopic(name, PARTITIONS, 1, config=compacted) for name in shop.changelogs]
    for created in admin.create_topics(new).values():
        created.result(20)
    producer = _transactional(bootstrap, "fill")
    producer.begin_transaction()
    for topic in [*topics.TOPICS, *shop.changelogs]:
        for stored in ShopSources(shop).records(topic):
            producer.produce(topic, key=stored.key, value=stored.value, partition=stored.partition)
    producer.commit_transaction(20)
    for group in GROUPS:
        _commit_to_end(bootstrap, group)


def _transactional(bootstrap: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(30)
    return producer


def _commit_to_end(bootstrap: str, group: str, records_back: int = 0) -> None:
    """As a consumer does it: behind the last record, before the transaction's marker."""
    admin = consumer_lag.admin(KafkaConnection(bootstrap))
    where = [(topic, p) for topic in consumer_lag.subscribed(group) for p in range(PARTITIONS)]
    ends = consumer_lag.ends(admin, where)
    while ends != consumer_lag.ends(admin, where, "stable_end"):  # markers are written a bit later
        time.sleep(0.05)
        ends = consumer_lag.ends(admin, where)
    at = [At(t, p, max(0, end - 1 - records_back)) for (t, p), end in ends.items()]
    consumer = Consumer(consumer_settings(KafkaConnection(bootstrap), group))
    done = consumer.commit(offsets=at, asynchronous=False)
    consumer.close()
    assert not [p for p in done if p.error is not None]


def _fill_clickhouse(env: dict[str, str], shop: Shop) -> None:
    names = DatabaseNames(
        env["PAYSTREAM_AUDIT_RAW_DATABASE"], env["PAYSTREAM_AUDIT_VIEWS_DATABASE"]
    )
    with clickhouse_connect.get_client(dsn=env["CLICKHOUSE_URL"]) as client:
        migrate(client, names)
        columns = [c if c != "occurred_at_ms" else "occurred_at" for c in shop.entries[0]._fields]
        client.insert(f"{names.raw}.ledger_entries", shop.entries, column_names=columns)


def _result(env: dict[str, str], name: str) -> RuleResult:
    (result,) = run_verify(env, rules=_only(name)).rules
    return result


def _only(*names: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in RULES if rule.name in names)


def test_all_rules_hold_and_none_is_skipped(stack: dict[str, str]) -> None:
    seen: list[str] = []
    report = run_verify(stack, seen.append)
    assert {rule.name: rule.violations for rule in report.violated} == {}
    assert {rule.name: rule.skipped_reason for rule in report.skipped} == {}
    assert all(rule.checked > 0 for rule in report.rules)
    assert [rule.name for rule in report.rules] == seen
    assert report.ok


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays behind for ever is found after a second, too."""
    monkeypatch.setattr(live, "CATCH_UP_SECONDS_MAX", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_group_that_is_behind_is_named_with_its_records(stack: dict[str, str]) -> None:
    bootstrap = stack["KAFKA_BOOTSTRAP_SERVERS"]
    _commit_to_end(bootstrap, "sinks-audit", records_back=1)
    result = _result(stack, "offsets_at_end")
    _commit_to_end(bootstrap, "sinks-audit")
    assert result.violation_count > 0
    assert all(v.startswith("sinks-audit ") for v in result.violations)
    assert "1 records unread" in result.violations[0]


@pytest.mark.usefixtures("impatient")
def test_an_open_transaction_is_found(stack: dict[str, str]) -> None:
    producer = _transactional(stack["KAFKA_BOOTSTRAP_SERVERS"], "left-open")
    producer.begin_transaction()
    producer.produce(topics.PAYMENTS_EVENTS, key="pay_x", value=b"x", partition=0)
    producer.flush(20)
    result = _result(stack, "offsets_at_end")
    producer.abort_transaction(20)
    assert any("a transaction is open" in violation for violation in result.violations)
    assert _result(stack, "offsets_at_end").held


def test_a_card_number_in_a_log_file_in_valkey_and_in_clickhouse_is_found(
    stack: dict[str, str],
) -> None:
    log = Path(stack["PAYSTREAM_STATE_DIR"]) / "logs" / "api.log"
    log.parent.mkdir()
    log.write_text('{"event": "x"}\n{"pan": "4111111111111111"}\n')
    store = redis.Redis.from_url(stack["REDIS_URL"])
    store.hset("session:1", "card", "4242424242424242")
    result = _result(stack, "no_card_numbers")
    log.unlink()
    store.delete("session:1")
    found = " ".join(result.violations)
    assert result.violation_count == 2
    assert "logs/api.log: a card number: 411111…1111" in found
    assert "Valkey session:1" in found
    assert "4111111111111111" not in found


def test_parts_that_are_away_make_their_rules_not_checked(stack: dict[str, str]) -> None:
    away = {**stack, "REDIS_URL": "redis://127.0.0.1:1", "BANK_URL": "http://127.0.0.1:1"}
    del away["NETWORK_URL"]
    report = run_verify(away)
    skipped = {rule.name: rule.skipped_reason or "" for rule in report.skipped}
    assert skipped.keys() == {
        "charged_once",
        "paid_once",
        "tables_match_events",
        "reconciliation",
        "no_card_numbers",
    }
    assert "NETWORK_URL must be set" in skipped["charged_once"]
    assert "Valkey does not answer" in skipped["tables_match_events"]
    assert not report.ok
    only = _only("charged_once", "sequence_without_gaps")
    assert not run_verify(away, rules=only).ok
    assert run_verify(away, rules=only, allow_skipped=True).ok


def test_explain_tells_the_whole_story_of_a_payment(stack: dict[str, str]) -> None:
    payment = payment_id(MERCHANT, MODE, "one")
    story = explain(stack, payment)
    assert story["missing"] == {}
    assert [c["kind"] for c in story["commands"]] == [
        "create",
        "network_result",
        "network_result",
        "refund",
        "network_result",
    ]
    assert story["events"][-1]["type"] == "refund.succeeded"
    assert [line["operation"] for line in story["network"]] == ["authorize", "capture", "refund"]
    assert sum(row["amount_minor"] for row in story["ledger"]) == 0
    assert len(story["deliveries"]) == len(story["events"])
    assert all(d["attempts"][0]["result"] == "delivered" for d in story["deliveries"])
    assert [e["type"] for e in story["payouts"][0]["events"]] == ["payout.created", "payout.paid"]
    assert "jwe" not in json.dumps(story)
    out = Console(record=True, width=160)
    print_story(story, out)
    assert "refund.succeeded" in out.export_text()


def test_explain_says_which_part_is_away(stack: dict[str, str]) -> None:
    story = explain({**stack, "NETWORK_URL": "http://127.0.0.1:1"}, "pay_unknown")
    assert story["commands"] == []
    assert "does not answer" in story["missing"]["network"]


def test_topics_report_counts_records_and_lags(stack: dict[str, str]) -> None:
    bootstrap = stack["KAFKA_BOOTSTRAP_SERVERS"]
    _commit_to_end(bootstrap, "sinks-audit", records_back=3)
    report = topics_report(KafkaConnection(bootstrap))
    _commit_to_end(bootstrap, "sinks-audit")
    events = next(t for t in report["topics"] if t["name"] == topics.PAYMENTS_EVENTS)
    assert events["partitions"] == PARTITIONS
    assert events["offsets"] >= len(open_shop().events)
    assert events["lags"]["sinks-audit"] > events["lags"]["sinks-status"]
    assert report["missing"] == []
    out = Console(record=True, width=200)
    print_topics(report, out)
    assert "payments.events" in out.export_text()
