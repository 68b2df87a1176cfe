"""A small shop's history, always the same: data of the ledger's tests and the sample questions.

Events of payments come from the real `decide`; the rest is written out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from schemas.enums import CommandKind, EventType
from schemas.ids import command_id, payment_id
from schemas.partitioning import partition_of
from schemas.records import (
    DeadLetter,
    PaymentCommand,
    PaymentEvent,
    PayoutEvent,
    WebhookAttempt,
)
from schemas.topics import (
    PAYMENTS_DEAD_LETTERS,
    PAYMENTS_EVENTS,
    PAYOUTS_EVENTS,
    WEBHOOKS_ATTEMPTS,
)
from sinks.audit.app import SOURCES
from sinks.audit.raw_table import KafkaPosition
from sinks.audit.store import DecodedRecord, LedgerStore, rows_of
from streams.domain.decide import decide
from streams.domain.policy import Policy
from streams.domain.state import PaymentState

TEN_O_CLOCK_MS = 1_795_168_800_000  # 2026-11-20 10:00:00 UTC
MINUTE_MS = 60_000
NEXT_DAY_MS = TEN_O_CLOCK_MS + 24 * 60 * MINUTE_MS
PARTITIONS = 12


class Shop:
    """Merchants and customers; each step is a minute after the one before."""

    def __init__(self) -> None:
        self.now_ms = TEN_O_CLOCK_MS
        self.payments: list[PaymentEvent] = []
        self.payouts: list[PayoutEvent] = []
        self.attempts: list[WebhookAttempt] = []
        self.dead_letters: list[DeadLetter] = []
        self._states: dict[str, PaymentState | None] = {}
        self._commands = 0

    def pay(self, merchant: str, amount_minor: int, currency: str, **fields: Any) -> str:
        """A create; the network's answer is still to come."""
        key = f"order-{len(self._states) + 1}"
        payment = payment_id(merchant, "test", key)
        self._states[payment] = None
        self._command(
            payment,
            CommandKind.CREATE,
            merchant_id=merchant,
            idempotency_key=key,
            amount_minor=amount_minor,
            currency=currency,
            fee_basis_points=150,
            fee_fixed_minor=25,
            **({"capture_method": "automatic"} | fields),
        )
        return payment

    def paid(self, merchant: str, amount_minor: int, currency: str, **fields: Any) -> str:
        """A payment that is captured at once."""
        payment = self.pay(merchant, amount_minor, currency, **fields)
        self.answer(payment, "approved")
        self.answer(payment, "approved")
        return payment

    def answer(self, payment: str, outcome: str, **fields: Any) -> None:
        """The network's answer to the newest open operation."""
        state = self._states[payment]
        assert state is not None
        operation = [o for o in state.operations if o.status not in ("approved", "declined")][-1]
        self._command(
            payment,
            CommandKind.NETWORK_RESULT,
            source="network",
            operation_id=operation.key(payment),
            attempt=operation.attempt,
            outcome=outcome,
            network_reference=f"net_{len(self.payments)}",
            **fields,
        )

    def ask(self, payment: str, kind: CommandKind, **fields: Any) -> None:
        """Any other command about a payment."""
        self._command(payment, kind, **fields)

    def payout(self, payout: str, merchant: str, currency: str, items: list[str], end: str) -> None:
        """A payout of these events, and its end: paid or failed."""
        amounts = [self._owed(item) for item in items]
        created = PayoutEvent(
            event_id=f"{payout}-1",
            payout_id=payout,
            merchant_id=merchant,
            mode="test",
            sequence=1,
            type="payout.created",
            status="created",
            currency=currency,
            amount_minor=sum(amounts),
            item_count=len(items),
            items=items,
            request_id=f"req_{payout}",
            occurred_at_ms=self._tick(),
            bank_account=f"account-{merchant}",
        )
        ended = msgspec.structs.replace(
            created,
            event_id=f"{payout}-2",
            sequence=2,
            type=f"payout.{end}",
            status=end,
            items=[],
            occurred_at_ms=self._tick(),
            bank_reference="bank_1" if end == "paid" else None,
            reason=None if end == "paid" else "account_closed",
        )
        self.payouts += [created, ended]

    def webhook(self, event: PaymentEvent, attempt: int, status: int | None) -> None:
        """One attempt to deliver an event; None: no answer."""
        delivery = f"{event.event_id}@we_1"
        self.attempts.append(
            WebhookAttempt(
                attempt_id=f"{delivery}#{attempt}",
                delivery_id=delivery,
                endpoint_id="we_1",
                merchant_id=event.merchant_id,
                event_id=event.event_id,
                payment_id=event.payment_id,
                attempt=attempt,
                result="delivered" if status == 200 else "failed",
                http_status=status,
                error=None if status else "ReadTimeout",
                latency_ms=12,
                attempted_at_ms=self._tick(),
            )
        )

    def event_of(self, payment: str, event_type: EventType) -> PaymentEvent:
        """The first event of that type."""
        return next(e for e in self.payments if e.payment_id == payment and e.type == event_type)

    def _owed(self, item: str) -> int:
        event = next(e for e in self.payments if e.event_id == item)
        return (
            event.amount_minor - event.fee_minor
            if event.type == EventType.CAPTURED
            else (-event.amount_minor)
        )

    def _command(self, payment: str, kind: CommandKind, **fields: Any) -> None:
        self._commands += 1
        state = self._states[payment]
        given = {"source": "api", "merchant_id": state.merchant_id if state else ""} | fields
        command = PaymentCommand(
            command_id=command_id(payment, kind, str(self._commands)),
            payment_id=payment,
            mode="test",
            kind=kind,
            fingerprint=str(self._commands),
            issued_at_ms=self._tick(),
            **given,
        )
        decision = decide(state, command, Policy())
        self._states[payment] = decision.state
        self.payments += decision.events

    def _tick(self) -> int:
        self.now_ms += MINUTE_MS
        return self.now_ms


def a_day_at_the_shop() -> Shop:
    """Every kind of event at least once; three merchants, three currencies."""
    shop = Shop()
    book = shop.paid("mer_books", 10_000, "EUR", reference="book")
    pen = shop.paid("mer_books", 5_000, "EUR", reference="pen")
    tea = shop.paid("mer_tea", 3_000, "JPY")
    oil = shop.paid("mer_oil", 1_234_567, "KWD")
    shop.answer(shop.pay("mer_books", 7_000, "EUR"), "declined", decline_code="expired_card")
    shop.answer(shop.pay("mer_tea", 900, "JPY"), "declined", decline_code="insufficient_funds")
    lost = shop.pay("mer_tea", 800, "JPY")
    shop.answer(lost, "unknown")
    challenged = shop.pay("mer_books", 2_000, "EUR")
    shop.answer(challenged, "requires_action", action_url="http://network/actions/1")
    shop.ask(challenged, CommandKind.COMPLETE_ACTION)
    shop.answer(challenged, "approved")
    shop.answer(challenged, "approved")
    held = shop.pay("mer_oil", 500_000, "KWD", capture_method="manual")
    shop.answer(held, "approved")
    part = shop.pay("mer_oil", 400_000, "KWD", capture_method="manual")
    shop.answer(part, "approved")
    shop.ask(part, CommandKind.CAPTURE, amount_minor=150_000, final=True)
    shop.answer(part, "approved")
    gone = shop.pay("mer_tea", 600, "JPY", capture_method="manual")
    shop.answer(gone, "approved")
    shop.ask(gone, CommandKind.VOID)
    shop.answer(gone, "approved")
    shop.ask(gone, CommandKind.CAPTURE)
    shop.ask(book, CommandKind.SETTLE, source="network")
    shop.ask(book, CommandKind.REFUND, amount_minor=3_000)
    shop.answer(book, "approved")
    shop.ask(pen, CommandKind.REFUND)
    shop.answer(pen, "declined", decline_code="generic_decline")
    shop.ask(oil, CommandKind.OPEN_DISPUTE, source="network", dispute_id="dsp_1")
    shop.ask(tea, CommandKind.OPEN_DISPUTE, source="network", dispute_id="dsp_2")
    shop.ask(tea, CommandKind.WIN_DISPUTE, source="network", dispute_id="dsp_2")
    items = [
        shop.event_of(book, EventType.CAPTURED).event_id,
        shop.event_of(pen, EventType.CAPTURED).event_id,
        shop.event_of(book, EventType.REFUND_SUCCEEDED).event_id,
    ]
    shop.payout("po_1", "mer_books", "EUR", items, "paid")
    shop.payout(
        "po_2", "mer_tea", "JPY", [shop.event_of(tea, EventType.CAPTURED).event_id], "failed"
    )
    captured = shop.event_of(book, EventType.CAPTURED)
    shop.webhook(captured, 1, 500)
    shop.webhook(captured, 2, None)
    shop.webhook(captured, 3, 200)
    shop.webhook(shop.event_of(tea, EventType.CAPTURED), 1, 200)
    shop.dead_letters.append(
        DeadLetter(
            source_app="streams-payments",
            topic="payments.commands",
            partition=4,
            offset=11,
            key="pay_x",
            reason_code="undecodable",
            detail="UndecodableRecord: not a valid PaymentCommand",
            headers={"ce_id": b"1"},
            value=b"\x00garbage",
            failed_at_ms=shop.now_ms,
        )
    )
    return shop


def records_of(shop: Shop, ingested_at_ms: int = NEXT_DAY_MS) -> dict[str, list[DecodedRecord]]:
    """Topic -> its records with the place that Kafka would give them."""
    sources: dict[str, tuple[Sequence[Any], str]] = {
        PAYMENTS_EVENTS: (shop.payments, "payment_id"),
        PAYOUTS_EVENTS: (shop.payouts, "merchant_id"),
        WEBHOOKS_ATTEMPTS: (shop.attempts, "endpoint_id"),
        PAYMENTS_DEAD_LETTERS: (shop.dead_letters, "key"),
    }
    return {
        topic: _placed(topic, records, key, ingested_at_ms)
        for topic, (records, key) in sources.items()
    }


def _placed(topic: str, records: Iterable[Any], key: str, at_ms: int) -> list[DecodedRecord]:
    offsets: dict[int, int] = defaultdict(int)
    placed = []
    for record in records:
        partition = partition_of(getattr(record, key), PARTITIONS)
        placed.append(
            DecodedRecord(record, KafkaPosition(topic, partition, offsets[partition], at_ms))
        )
        offsets[partition] += 1
    return placed


def insert(store: LedgerStore, shop: Shop, ingested_at_ms: int = NEXT_DAY_MS) -> None:
    """All rows of the shop, as the sink would insert them at that time."""
    for topic, records in records_of(shop, ingested_at_ms).items():
        for table in SOURCES[topic][1]:
            store.insert(table, rows_of(table, records))
