"""The history of one payment: commands, events, network calls, webhooks and payouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from paystream.verify.live import LiveSources
from paystream.verify.sources import SourceUnavailable
from runtime.settings import load
from schemas import topics
from schemas.codec import UndecodableRecord, decode
from schemas.headers import rfc3339
from schemas.money import Money, UnknownCurrency
from schemas.records import (
    DeadLetter,
    NetworkRequest,
    PaymentCommand,
    PaymentEvent,
    PayoutEvent,
    WebhookAttempt,
    WebhookDelivery,
)
from sinks.audit.settings import AuditSettings

R = TypeVar("R", bound=msgspec.Struct)
PaymentTimeline = dict[str, Any]

_ENTRIES = """
SELECT entry_id, transaction_type, account, state, amount_minor, currency, occurred_at
FROM {views}.ledger_entries WHERE payment_id = '{payment_id}' ORDER BY kafka_offset, leg
"""
_TIMES = frozenset({"at", "issued_at", "occurred_at", "created_at", "when"})
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def explain(env: Mapping[str, str], payment_id: str) -> PaymentTimeline:
    """Everything that the parts hold about a payment, each list in order of its time.

    A part that does not answer has its sentence under `missing` instead of its list. Times are
    RFC 3339, amounts minor units. A card's ciphertext is left out.
    """
    sources = LiveSources(env)
    views = load(AuditSettings, "audit", env).databases.views
    story: PaymentTimeline = {"payment_id": payment_id, "missing": {}}

    def gather(name: str, rows: Iterator[dict[str, Any]]) -> None:
        try:
            story[name] = list(rows)
        except SourceUnavailable as error:
            story[name], story["missing"][name] = [], str(error)

    gather("commands", _commands(sources, payment_id))
    gather("events", _records(sources, topics.PAYMENTS_EVENTS, PaymentEvent, payment_id))
    gather("requests", _records(sources, topics.NETWORK_REQUESTS, NetworkRequest, payment_id))
    gather("network", _network(sources, payment_id))
    gather("ledger", _ledger(sources, views, payment_id))
    gather("deliveries", _deliveries(sources, payment_id))
    gather("payouts", _payouts(sources, payment_id))
    gather("dead_letters", _dead_letters(sources, payment_id))
    return story


def _records_containing(
    sources: LiveSources, topic: str, cls: type[R], text: str
) -> Iterator[tuple[str, R]]:
    """Records whose bytes contain the text, with where they stand."""
    needle = text.encode()
    for stored in sources.records(topic):
        if stored.value is not None and needle in stored.value:
            try:
                record = decode(cls, stored.value)
            except UndecodableRecord:
                continue
            yield f"{topic} {stored.partition}/{stored.offset}", record


def _records(
    sources: LiveSources, topic: str, cls: type[R], payment_id: str
) -> Iterator[dict[str, Any]]:
    for where, record in _records_containing(sources, topic, cls, payment_id):
        fields = msgspec.to_builtins(record)
        if fields["payment_id"] == payment_id:
            yield {"at": where, **_plain(fields)}


def _commands(sources: LiveSources, payment_id: str) -> Iterator[dict[str, Any]]:
    """From every command topic, in the order in which they were issued."""
    commands = (
        command
        for topic in topics.PAYMENT_COMMAND_TOPICS
        for command in _records(sources, topic, PaymentCommand, payment_id)
    )
    yield from sorted(commands, key=lambda command: command["issued_at"])


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is absent and the card; times readable."""
    shown: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        if name == "card":
            shown[name] = "encrypted"
        elif name.endswith("_at_ms"):
            shown[name.removesuffix("_ms")] = rfc3339(value)
        else:
            shown[name] = value
    return shown


def _network(sources: LiveSources, payment_id: str) -> Iterator[dict[str, Any]]:
    for line in sources.counterparty_log("network"):
        if line["idempotency_key"].partition(":")[0] == payment_id:
            yield {"at": rfc3339(line["at_ms"]), **_plain({**line, "at_ms": None})}


def _ledger(sources: LiveSources, views: str, payment_id: str) -> Iterator[dict[str, Any]]:
    if not _ID_CHARACTERS.issuperset(payment_id):
        raise SourceUnavailable(f"{payment_id!r} is no payment id. Use letters, digits, _ and -.")
    sql = _ENTRIES.replace("{views}", views).replace("{payment_id}", payment_id)
    for row in sources.query(sql):
        at_ms = int(row["occurred_at"].timestamp() * 1000)
        yield {**row, "occurred_at": rfc3339(at_ms)}


def _deliveries(sources: LiveSources, payment_id: str) -> Iterator[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    intents = _records_containing(sources, topics.WEBHOOKS_DELIVERIES, WebhookDelivery, payment_id)
    for _, delivery in intents:
        if delivery.payment_id == payment_id:
            found[delivery.delivery_id] = {
                "delivery_id": delivery.delivery_id,
                "event_type": delivery.event_type,
                "endpoint_id": delivery.endpoint_id,
                "created_at": rfc3339(delivery.created_at_ms),
                "attempts": [],
            }
    attempts = _records_containing(sources, topics.WEBHOOKS_ATTEMPTS, WebhookAttempt, payment_id)
    for _, attempt in attempts:
        if attempt.delivery_id in found:
            fields = ("attempt", "result", "http_status", "error", "latency_ms", "attempted_at_ms")
            shown = _plain({name: getattr(attempt, name) for name in fields})
            found[attempt.delivery_id]["attempts"].append(shown)
    yield from found.values()


def _payouts(sources: LiveSources, payment_id: str) -> Iterator[dict[str, Any]]:
    """Payouts that took one of the payment's items, each with how it ended so far."""
    taking: dict[str, dict[str, Any]] = {}
    for _, event in _records_containing(sources, topics.PAYOUTS_EVENTS, PayoutEvent, "po_"):
        items = [item for item in event.items if item.rpartition("-")[0] == payment_id]
        if items:
            taking[event.payout_id] = {"payout_id": event.payout_id, "items": items, "events": []}
        if event.payout_id in taking:
            names = ("type", "amount_minor", "currency", "bank_reference", "occurred_at_ms")
            shown = _plain({name: getattr(event, name) for name in names})
            taking[event.payout_id]["events"].append(shown)
    yield from taking.values()


def _dead_letters(sources: LiveSources, payment_id: str) -> Iterator[dict[str, Any]]:
    found = _records_containing(sources, topics.PAYMENTS_DEAD_LETTERS, DeadLetter, payment_id)
    for where, letter in found:
        names = ("source_app", "topic", "partition", "offset", "reason_code", "detail")
        shown = {name: getattr(letter, name) for name in names}
        yield {"at": where, **shown, "failed_at": rfc3339(letter.failed_at_ms)}


# -- for people


def print_story(story: PaymentTimeline, console: Console | None = None) -> None:
    """A table per part of the story; parts that do not answer are named."""
    console = console or Console()
    console.print(f"[bold]{story['payment_id']}[/]")
    _print(console, "commands", _commands_for_people(story["commands"]))
    _print(console, "events", _events_for_people(story["events"]))
    network = ("at", "operation", "outcome", "amount_minor", "currency", "decline_code", "requests")
    _print(console, "at the card network", [_pick(line, network) for line in story["network"]])
    ledger = ("occurred_at", "transaction_type", "account", "state", "amount")
    rows = [{**row, "amount": _money(row["amount_minor"], row)} for row in story["ledger"]]
    _print(console, "ledger", [_pick(row, ledger) for row in rows])
    _print(console, "webhooks", _webhooks_for_people(story["deliveries"]))
    _print(console, "payouts", _payouts_for_people(story["payouts"]))
    _print(console, "dead letters", story["dead_letters"])
    for name, reason in story["missing"].items():
        console.print(f"{name}: not available: {reason}", style="yellow", markup=False)


def _print(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print(f"{title}: none", style="dim")
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name.replace("_", " "), justify="right" if name == "amount" else "left")
    for row in rows:
        table.add_row(*(_short(name, row.get(name, "")) for name in names))
    console.print(table)


def _short(name: str, value: Any) -> str:
    """Times without their zone (all are UTC); everything else as it is."""
    text = str(value)
    return text.replace("T", " ").removesuffix("Z") if name in _TIMES else text


def _pick(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


def _money(amount_minor: int | None, row: Mapping[str, Any]) -> str:
    if amount_minor is None:
        return ""
    try:
        return str(Money(amount_minor, row.get("currency", "")))
    except UnknownCurrency:
        return str(amount_minor)


def _commands_for_people(commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("issued_at", "source", "kind", "amount", "operation", "outcome")
    rows = ({**row, "amount": _money(row.get("amount_minor"), row)} for row in commands)
    return [_pick(row, names) for row in rows]


def _events_for_people(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("occurred_at", "sequence", "type", "status", "amount", "fee", "reason")
    rows = (
        {**row, "amount": _money(row["amount_minor"], row), "fee": _money(row["fee_minor"], row)}
        for row in events
    )
    return [_pick(row, names) for row in rows]


def _webhooks_for_people(deliveries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "created_at": delivery["created_at"],
            "event": delivery["event_type"],
            "endpoint": delivery["endpoint_id"],
            "attempts": len(delivery["attempts"]),
            "last": delivery["attempts"][-1]["result"] if delivery["attempts"] else "pending",
        }
        for delivery in deliveries
    ]


def _payouts_for_people(payouts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "payout": payout["payout_id"],
            "items": ", ".join(payout["items"]),
            "when": event["occurred_at"],
            "what": event["type"],
            "amount": _money(event["amount_minor"], event),
        }
        for payout in payouts
        for event in payout["events"]
    ]
