"""A small shop whose whole history is right: evidence from which tests take one piece away."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from paystream.verify import balances, deliveries, ledger, reconciliation, tables
from paystream.verify.dataset import Dataset
from paystream.verify.sources import GroupBacklog, SourceUnavailable
from runtime.consumer_lag import GroupPosition
from runtime.kafka import StoredRecord
from schemas import topics
from schemas.codec import encode
from schemas.enums import CommandKind, MerchantEventType, Outcome, Source
from schemas.envelopes import to_message
from schemas.ids import command_id, fingerprint, payment_id
from schemas.partitioning import partition_of
from schemas.public_view import public_view
from schemas.records import (
    BankLine,
    Endpoint,
    Merchant,
    MerchantEvent,
    NetworkRequest,
    PaymentCommand,
    PaymentEvent,
    PayoutEvent,
    PayoutItem,
    PayoutRequest,
    ReconciliationEvent,
    SettlementLine,
    WebhookAttempt,
    WebhookDelivery,
)
from sinks.audit.ledger import EntryRow, expected_entries
from sinks.payouts import aggregate, rules, state
from sinks.webhooks import fanout
from streams.domain import PaymentState, Policy, decide
from streams.state_codec import encode_state

PARTITIONS = 3
MERCHANT = "mer_shop"
MODE = "live"
ENDPOINT = "we_shop"
BEGAN_AT_MS = 1_790_000_000_000


@dataclass
class Shop:
    """Records as the topics hold them, and what the outside saw; change any of it."""

    commands: list[PaymentCommand] = field(default_factory=list)
    events: list[PaymentEvent] = field(default_factory=list)
    requests: list[NetworkRequest] = field(default_factory=list)
    states: dict[str, PaymentState | None] = field(default_factory=dict)
    network: list[dict[str, Any]] = field(default_factory=list)
    bank: list[dict[str, Any]] = field(default_factory=list)
    lines: list[SettlementLine] = field(default_factory=list)
    bookings: list[BankLine] = field(default_factory=list)
    matching: list[ReconciliationEvent] = field(default_factory=list)
    injected: list[dict[str, Any]] | None = field(default_factory=list)
    items: list[PayoutItem] = field(default_factory=list)
    payouts: list[PayoutEvent] = field(default_factory=list)
    payouts_table: dict[str, Any] = field(default_factory=dict)
    webhooks: list[WebhookDelivery] = field(default_factory=list)
    attempts: list[WebhookAttempt] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    merchants: list[MerchantEvent] = field(default_factory=list)
    cache: dict[str, bytes] = field(default_factory=dict)
    accepted: list[dict[str, Any]] | None = field(default_factory=list)
    positions: list[GroupBacklog] = field(default_factory=list)
    extra_records: dict[str, list[StoredRecord]] = field(default_factory=dict)
    changelogs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    logs: list[tuple[str, bytes]] = field(default_factory=list)
    table_rows: list[tuple[str, bytes]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    starts: dict[str, dict[int, int]] = field(default_factory=dict)
    now_ms: int = BEGAN_AT_MS
    mode: str = MODE

    def send(self, key: str, kind: str, **fields: Any) -> PaymentCommand:
        """A merchant's command, accepted and decided."""
        payment = payment_id(MERCHANT, self.mode, key)
        command = PaymentCommand(
            command_id=command_id(payment, kind, f"{key}/{fields.get('refund_id', '')}"),
            payment_id=payment,
            merchant_id=MERCHANT,
            mode=self.mode,
            kind=kind,
            fingerprint=fingerprint({"kind": kind, **fields}),
            issued_at_ms=self.now_ms,
            source=Source.API,
            idempotency_key=key if kind == CommandKind.CREATE else None,
            **fields,
        )
        assert self.accepted is not None
        accepted = {"command_id": command.command_id, "payment_id": payment}
        self.accepted.append(accepted)
        self.decide(command)
        return command

    def decide(self, command: PaymentCommand) -> None:
        """What the payment agent does."""
        self.now_ms += 20_000
        decision = decide(self.states.get(command.payment_id), command, Policy())
        self.commands.append(command)
        self.events += decision.events
        self.requests += decision.requests
        self.states[command.payment_id] = decision.state

    def answer(self, outcome: str = Outcome.APPROVED, **fields: Any) -> None:
        """The network executes the newest request, and its result comes back."""
        request = self.requests[-1]
        self.network.append(
            {
                "idempotency_key": request.operation_id,
                "operation": request.operation,
                "outcome": outcome,
                "amount_minor": request.amount_minor,
                "currency": request.currency,
                "at_ms": self.now_ms,
            }
        )
        self.decide(
            PaymentCommand(
                command_id=command_id(request.payment_id, request.operation, request.request_id),
                payment_id=request.payment_id,
                merchant_id=MERCHANT,
                mode=self.mode,
                kind=CommandKind.NETWORK_RESULT,
                fingerprint=fingerprint({"outcome": outcome, "request": request.request_id}),
                issued_at_ms=self.now_ms,
                source=Source.NETWORK,
                operation=request.operation,
                operation_id=request.operation_id,
                attempt=request.attempt,
                outcome=outcome,
                network_reference="net_1",
                **fields,
            )
        )

    def settle(self) -> Shop:
        """Let every sink do its work."""
        self._pay_out()
        self._send_webhooks()
        self.entries = list(expected_entries([*self.events, *self.payouts, *self.matching]))
        views: dict[str, Any] = {}
        for event in self.events:
            views[event.payment_id] = public_view(event, views.get(event.payment_id))
        self.cache = {f"payment:{key}": json.dumps(view).encode() for key, view in views.items()}
        self.changelogs = {
            tables.PAYMENTS_CHANGELOG: {k: encode_state(s) for k, s in self.states.items() if s},
            balances.PAYOUTS_CHANGELOG: {k: state.encode(v) for k, v in self.payouts_table.items()},
            deliveries.PENDING_CHANGELOG: {},
            tables.ARCHIVED_CHANGELOG: {},
        }
        end = GroupPosition("streams-payments", topics.PAYMENTS_COMMANDS, 0, 7, 0, 8, 8)
        self.positions = [GroupBacklog(end, 0)]
        return self

    def reconcile(self) -> None:
        """The network reports all captures, the first one with another amount, and pays."""
        captures = [
            line
            for line in self.network
            if (line["operation"], line["outcome"]) == ("capture", Outcome.APPROVED)
        ]
        if not captures:
            return
        wrong = captures[0]["idempotency_key"]
        grosses = [c["amount_minor"] + 7 * (c is captures[0]) for c in captures]
        self.lines = [
            _settlement_line(capture, gross_minor, len(captures), sum(grosses))
            for capture, gross_minor in zip(captures, grosses, strict=True)
        ]
        self.bookings = [_deposit(sum(grosses))]
        self.injected = [{"kind": "amount", "report_id": "set_1", "operation_id": wrong}]
        outcome = reconciliation.recomputed(self.dataset())
        self.matching = outcome.events
        for command in outcome.commands:
            self.decide(command)

    def _pay_out(self) -> None:
        accounts = {MERCHANT: rules.Account(bank_account="acct_1", schedule="manual")}
        fold = aggregate.PayoutAggregate(self.payouts_table, rules.PayoutPolicy(), accounts.get)
        items = (rules.item_of(event) for event in self.events)
        self.items = [item for item in items if item is not None]
        for item in self.items[:-1] or self.items:
            self.payouts += fold.add(item)
        self.payouts += fold.apply(self._payout_request("close"))
        for payout in tuple(self.payouts):
            self.bank.append(
                {
                    "idempotency_key": payout.payout_id,
                    "account": payout.bank_account,
                    "amount_minor": payout.amount_minor,
                    "currency": payout.currency,
                    "status": "accepted",
                }
            )
            paid = {"payout_id": payout.payout_id, "attempt": 1, "outcome": "paid"}
            self.payouts += fold.apply(self._payout_request("bank_result", **paid))
        for item in self.items[-1:] if len(self.items) > 1 else ():
            self.payouts += fold.add(item)

    def _payout_request(self, kind: str, **fields: Any) -> PayoutRequest:
        return PayoutRequest(
            request_id=f"req_{kind}",
            merchant_id=MERCHANT,
            mode=MODE,
            kind=kind,
            issued_at_ms=self.now_ms,
            source=Source.API,
            **fields,
        )

    def _send_webhooks(self) -> None:
        merchant = Merchant(
            merchant_id=MERCHANT,
            version=1,
            name="Shop",
            status="active",
            registered_at_ms=BEGAN_AT_MS - 60_000,
            updated_at_ms=BEGAN_AT_MS - 60_000,
            payout_schedule="manual",
            fee_basis_points=250,
            fee_fixed_minor=25,
            endpoints=[
                Endpoint(endpoint_id=ENDPOINT, url="http://x", encrypted_secrets=[], enabled=True)
            ],
        )
        self.merchants = [
            MerchantEvent(
                event_id=f"{MERCHANT}-1",
                merchant_id=MERCHANT,
                sequence=1,
                type=MerchantEventType.REGISTERED,
                command_id="cmd_register",
                fingerprint="",
                occurred_at_ms=merchant.registered_at_ms,
                source=Source.API,
                endpoint_id=ENDPOINT,
            )
        ]
        for event in self.events:
            if fanout.is_public(event):
                self.webhooks += fanout.webhook_deliveries(event, merchant, self.now_ms)
        self.attempts = [
            WebhookAttempt(
                attempt_id=f"{delivery.delivery_id}#1",
                delivery_id=delivery.delivery_id,
                endpoint_id=delivery.endpoint_id,
                merchant_id=MERCHANT,
                event_id=delivery.event_id,
                payment_id=delivery.payment_id,
                attempt=1,
                result="delivered",
                http_status=200,
                latency_ms=5,
                attempted_at_ms=self.now_ms,
            )
            for delivery in self.webhooks
        ]

    def dataset(self) -> Dataset:
        """What the rules read."""
        return Dataset(ShopSources(self))


def _settlement_line(
    capture: Mapping[str, Any], gross_minor: int, lines: int, net_minor: int
) -> SettlementLine:
    return SettlementLine(
        line_id=f"set_1:{capture['idempotency_key']}",
        report_id="set_1",
        network="network",
        report_day="2026-09-21",
        line_kind="capture",
        operation_id=capture["idempotency_key"],
        network_reference="net_1",
        currency=capture["currency"],
        gross_minor=gross_minor,
        fee_minor=0,
        net_minor=gross_minor,
        value_day="2026-09-22",
        effective_at_ms=capture["at_ms"],
        published_at_ms=capture["at_ms"] + 1_000_000,
        report_lines=lines,
        report_net_minor=net_minor,
    )


def _deposit(amount_minor: int) -> BankLine:
    return BankLine(
        line_id="dep_1",
        statement_day="2026-09-22",
        line_kind="deposit",
        reference="set_1",
        currency="EUR",
        amount_minor=amount_minor,
        value_day="2026-09-22",
        booked_at_ms=BEGAN_AT_MS + 86_400_000,
    )


def open_shop() -> Shop:
    """Captured, refunded in part, declined, authorized only, unknown outcome; all sinks done."""
    shop = Shop()
    create = {"currency": "EUR", "fee_basis_points": 250, "fee_fixed_minor": 25, "card": "jwe"}
    shop.send("one", CommandKind.CREATE, amount_minor=5_000, **create)
    shop.answer()
    shop.answer()
    shop.send("one", CommandKind.REFUND, amount_minor=1_000, refund_id="ref_1")
    shop.answer()
    shop.send("two", CommandKind.CREATE, amount_minor=700, **create)
    shop.answer(Outcome.DECLINED, decline_code="generic_decline")
    shop.send("three", CommandKind.CREATE, amount_minor=900, capture_method="manual", **create)
    shop.answer()
    shop.send("four", CommandKind.CREATE, amount_minor=1_200, **create)
    shop.answer()
    shop.answer()
    shop.reconcile()
    shop.send("five", CommandKind.CREATE, amount_minor=300, **create)
    return shop.settle()


Rows = Iterator[Mapping[str, Any]]


class ShopSources:
    """The shop's history behind the port that verify reads."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def _need(self, part: str) -> Shop:
        if part in self._shop.missing:
            raise SourceUnavailable(f"{part} does not answer")
        return self._shop

    def records(self, topic: str) -> Iterator[StoredRecord]:
        shop = self._need("kafka")
        if topic in shop.changelogs:
            yield from _stored(topic, shop.changelogs[topic].items())
        else:
            keyed = ((_key(record), encode(record)) for record in self._topic(topic))
            yield from _stored(topic, keyed)
        yield from shop.extra_records.get(topic, ())

    def _topic(self, topic: str) -> list[Any]:
        shop = self._shop
        contents: dict[str, list[Any]] = {
            **{
                name: [c for c in shop.commands if to_message(c, "test").topic == name]
                for name in topics.PAYMENT_COMMAND_TOPICS
            },
            topics.PAYMENTS_EVENTS: shop.events,
            topics.NETWORK_REQUESTS: shop.requests,
            topics.MERCHANTS_EVENTS: shop.merchants,
            topics.PAYOUTS_ITEMS: shop.items,
            topics.PAYOUTS_EVENTS: shop.payouts,
            topics.NETWORK_SETTLEMENTS: shop.lines,
            topics.BANK_STATEMENTS: shop.bookings,
            topics.RECONCILIATION_EVENTS: shop.matching,
            topics.WEBHOOKS_DELIVERIES: shop.webhooks,
            topics.WEBHOOKS_ATTEMPTS: shop.attempts,
        }
        return contents.get(topic, [])

    def log_starts(self, topic: str) -> Mapping[int, int]:
        return self._shop.starts.get(topic, {})

    def topics(self) -> list[str]:
        return [*topics.TOPICS, *self._need("kafka").changelogs]

    def query(self, sql: str) -> Rows:
        shop = self._need("clickhouse")
        answers: dict[str, Callable[[list[EntryRow]], list[dict[str, Any]]]] = {
            ledger.TRANSACTIONS: _transactions,
            ledger.UNBALANCED: _unbalanced,
            ledger.TRIAL_BALANCE: _trial_balance,
            ledger.ENTRIES: lambda entries: [entry._asdict() for entry in entries],
            balances.BALANCES: _merchant_balances,
            reconciliation.SETTLED_SUMS: _settled_sums,
        }
        by_sql = {text.replace("{views}", "paystream"): rows for text, rows in answers.items()}
        return iter(by_sql[sql](shop.entries))

    def table_lines(self, database: str) -> Iterator[tuple[str, bytes]]:
        return iter(self._need("clickhouse").table_rows)

    def cache_entries(self, pattern: str) -> Iterator[tuple[str, bytes]]:
        prefix = pattern.removesuffix("*")
        entries = self._need("valkey").cache.items()
        return ((key, value) for key, value in entries if key.startswith(prefix))

    def counterparty_log(self, name: str) -> Rows:
        shop = self._need(name)
        return iter({"network": shop.network, "bank": shop.bank}[name])

    def injected_discrepancies(self) -> list[dict[str, Any]] | None:
        return self._need("network").injected

    def accepted_commands(self) -> Rows | None:
        return None if self._shop.accepted is None else iter(self._shop.accepted)

    def positions(self) -> list[GroupBacklog]:
        return self._need("kafka").positions

    def log_lines(self) -> Iterator[tuple[str, bytes]]:
        return iter(self._need("files").logs)


def _key(record: msgspec.Struct) -> str:
    for name in ("payment_id", "endpoint_id", "merchant_id", "line_id", "subject_id"):
        if isinstance(record, WebhookDelivery | WebhookAttempt):
            return record.endpoint_id
        if key := getattr(record, name, None):
            return str(key)
    raise AssertionError(record)


def _stored(topic: str, keyed: Any) -> Iterator[StoredRecord]:
    offsets: Counter[int] = Counter()
    for key, value in keyed:
        partition = partition_of(key, PARTITIONS)
        yield StoredRecord(topic, partition, offsets[partition], key, value, {}, BEGAN_AT_MS)
        offsets[partition] += 1


def _sums(entries: list[EntryRow], *names: str) -> dict[tuple[str, ...], int]:
    sums: Counter[tuple[str, ...]] = Counter()
    for entry in entries:
        sums[tuple(getattr(entry, name) for name in names)] += entry.amount_minor
    return dict(sums)


def _settled_sums(entries: list[EntryRow]) -> list[dict[str, Any]]:
    settled = [entry for entry in entries if entry.transaction_type == "line.settled"]
    sums = _sums(settled, "account", "currency")
    return [{"account": a, "currency": c, "amount_minor": n} for (a, c), n in sums.items()]


def _transactions(entries: list[EntryRow]) -> list[dict[str, Any]]:
    return [{"transactions": len({entry.transaction_id for entry in entries})}]


def _unbalanced(entries: list[EntryRow]) -> list[dict[str, Any]]:
    sums = _sums(entries, "transaction_id", "currency", "state")
    names = ("transaction_id", "currency", "state")
    return [dict(zip(names, key, strict=True), imbalance_minor=n) for key, n in sums.items() if n]


def _trial_balance(entries: list[EntryRow]) -> list[dict[str, Any]]:
    sums = _sums(entries, "currency", "state")
    return [{"currency": c, "state": s, "balance_minor": n} for (c, s), n in sums.items()]


def _merchant_balances(entries: list[EntryRow]) -> list[dict[str, Any]]:
    """As the view merchant_balances defines the columns; test_verify_live runs the view itself."""
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    for entry in entries:
        row = rows.setdefault((entry.merchant_id, entry.mode, entry.currency), Counter())
        payable = entry.account == "merchant_payable"
        posted = entry.state == "posted"
        if payable and posted:
            row["owed"] -= entry.amount_minor
            if entry.transaction_type.startswith("payout."):
                row["paid_out_minor"] += entry.amount_minor
        if payable and not posted:
            row["in_payout_minor"] += entry.amount_minor
        if entry.account == "merchant_reserve" and posted:
            row["reserved_minor"] -= entry.amount_minor
    for row in rows.values():
        row["available_minor"] = row["owed"] - row["in_payout_minor"]
    names = ("paid_out_minor", "in_payout_minor", "available_minor", "reserved_minor")
    return [
        {"merchant_id": m, "mode": mode, "currency": c, **{name: row[name] for name in names}}
        for (m, mode, c), row in rows.items()
    ]
