"""Dataset as rules want it: decoded once, kept for the rules that come after.

Decoded payment records stay in memory: about 1.5 KB each, 1 GB for 100,000 payments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from paystream.verify.sources import Sources
from runtime.kafka import StoredRecord
from runtime.settings import load
from schemas import topics
from schemas.codec import UndecodableRecord, decode
from schemas.records import (
    BankLine,
    DeadLetter,
    MerchantEvent,
    PaymentCommand,
    PaymentEvent,
    PayoutEvent,
    PayoutItem,
    ReconciliationEvent,
    ReconciliationRequest,
    Rejection,
    SettlementLine,
    WebhookAttempt,
    WebhookDelivery,
)
from sinks.audit.settings import AuditSettings, DatabaseNames
from streams.domain import PaymentState, SequenceGap, evolve

R = TypeVar("R", bound=msgspec.Struct)


class Located(msgspec.Struct, Generic[R], frozen=True):
    """A decoded record and its position."""

    partition: int
    offset: int
    record: R
    topic: str = ""
    given_up: bool = False
    """It is a dead letter; a replay may have handled it later, out of its order."""


class Dataset:
    """Everything that the rules read; a part that is missing raises SourceUnavailable when
    asked.
    """

    def __init__(self, sources: Sources, env: Mapping[str, str] | None = None) -> None:
        self.sources = sources
        self.env: Mapping[str, str] = env or {}
        self.undecodable: dict[str, list[StoredRecord]] = defaultdict(list)

    def _decoded(self, topic: str, cls: type[R]) -> Iterator[Located[R]]:
        self.undecodable[topic].clear()
        for stored in self.sources.records(topic):
            try:
                record = decode(cls, stored.value or b"")
            except UndecodableRecord:
                self.undecodable[topic].append(stored)
                continue
            yield Located(stored.partition, stored.offset, record, topic)

    @cached_property
    def commands(self) -> dict[int, list[Located[PaymentCommand]]]:
        """Accepted payment commands by partition: topic after topic, each in offset order.

        Each has the source that its topic gives it. What was refused is left out.
        """
        return _by_partition(self._accepted_commands())

    def _accepted_commands(self) -> Iterator[Located[PaymentCommand]]:
        refused = {(found.topic, found.partition, found.offset) for found in self.rejections}
        for topic in topics.PAYMENT_COMMAND_TOPICS:
            gone = self.dead_lettered(topic)
            sources = topics.TOPICS[topic].commands
            for found in self._decoded(topic, PaymentCommand):
                if (topic, found.partition, found.offset) in refused:
                    continue
                source = sources.get(found.record.kind, found.record.source)
                yield replace(
                    found,
                    record=replace(found.record, source=source),
                    given_up=(found.partition, found.offset) in gone,
                )

    @cached_property
    def rejections(self) -> list[Rejection]:
        """Clients' records that were not accepted as commands."""
        return [f.record for f in self._decoded(topics.PAYMENTS_REJECTIONS, Rejection)]

    @cached_property
    def events(self) -> dict[int, list[Located[PaymentEvent]]]:
        """Payment events by partition, in offset order."""
        return _by_partition(self._decoded(topics.PAYMENTS_EVENTS, PaymentEvent))

    def all_commands(self) -> Iterator[PaymentCommand]:
        """Payment commands, partition after partition."""
        return (found.record for part in self.commands.values() for found in part)

    def all_events(self) -> Iterator[PaymentEvent]:
        """Payment events, partition after partition: in order for each payment."""
        return (found.record for part in self.events.values() for found in part)

    @cached_property
    def states(self) -> dict[str, PaymentState]:
        """Each payment as the fold of its events."""
        states: dict[str, PaymentState] = {}
        for event in self.all_events():
            with suppress(SequenceGap):  # `sequence_without_gaps` reports it
                states[event.payment_id] = evolve(states.get(event.payment_id), event)
        return states

    @cached_property
    def dead_letters(self) -> list[DeadLetter]:
        """What could not be processed."""
        found = self._decoded(topics.PAYMENTS_DEAD_LETTERS, DeadLetter)
        return [located.record for located in found]

    @cached_property
    def merchant_events(self) -> list[MerchantEvent]:
        """What happened to merchants' registrations."""
        return [f.record for f in self._decoded(topics.MERCHANTS_EVENTS, MerchantEvent)]

    @cached_property
    def payout_items(self) -> list[PayoutItem]:
        """Movements that change what merchants are owed."""
        return [f.record for f in self._decoded(topics.PAYOUTS_ITEMS, PayoutItem)]

    @cached_property
    def payout_events(self) -> list[PayoutEvent]:
        """What happened to payouts."""
        return [f.record for f in self._decoded(topics.PAYOUTS_EVENTS, PayoutEvent)]

    @cached_property
    def reconciliation_events(self) -> list[ReconciliationEvent]:
        """What reconciliation found and posted."""
        found = self._decoded(topics.RECONCILIATION_EVENTS, ReconciliationEvent)
        return [located.record for located in found]

    @cached_property
    def reconciliation_requests(self) -> list[ReconciliationRequest]:
        """What reconciliation was to look at, decisions of people among it."""
        found = self._decoded(topics.RECONCILIATION_REQUESTS, ReconciliationRequest)
        return [located.record for located in found]

    @cached_property
    def settlement_lines(self) -> list[SettlementLine]:
        """Lines of the networks' reports, as often as they were read."""
        return [f.record for f in self._decoded(topics.NETWORK_SETTLEMENTS, SettlementLine)]

    @cached_property
    def bank_lines(self) -> list[BankLine]:
        """Statement lines of the bank, as often as they were read."""
        return [f.record for f in self._decoded(topics.BANK_STATEMENTS, BankLine)]

    @cached_property
    def deliveries(self) -> list[Located[WebhookDelivery]]:
        """Webhook intents."""
        return list(self._decoded(topics.WEBHOOKS_DELIVERIES, WebhookDelivery))

    def attempts(self) -> Iterator[WebhookAttempt]:
        """Webhook attempts, in order for each endpoint; not kept."""
        return (f.record for f in self._decoded(topics.WEBHOOKS_ATTEMPTS, WebhookAttempt))

    def last_values(self, topic: str) -> dict[str, bytes]:
        """What a compacted topic says now: the last value of each key, deleted keys left out."""
        values: dict[str, bytes] = {}
        for stored in self.sources.records(topic):
            if stored.key is None:
                continue
            if stored.value is None:
                values.pop(stored.key, None)
            else:
                values[stored.key] = stored.value
        return values

    @cached_property
    def network_log(self) -> list[Mapping[str, Any]]:
        """Operations that took effect at the card network, and at the fallback if there is one."""
        lines = list(self.sources.counterparty_log("network"))
        if self.env.get("NETWORK_FALLBACK_URL"):
            lines += self.sources.counterparty_log("network_fallback")
        return lines

    @cached_property
    def injected_discrepancies(self) -> list[Mapping[str, Any]] | None:
        """What a simulated network got wrong in its reports on request; None for a real one."""
        return self.sources.injected_discrepancies()

    @cached_property
    def bank_log(self) -> list[Mapping[str, Any]]:
        """Instructions that the bank saw."""
        return list(self.sources.counterparty_log("bank"))

    def ledger(self, sql: str) -> Iterator[Mapping[str, Any]]:
        """Rows of a query; `{views}` in it is the database that analysts read."""
        return self.sources.query(sql.replace("{views}", self._databases.views))

    @cached_property
    def _databases(self) -> DatabaseNames:
        return load(AuditSettings, "audit", self.env).databases

    def table_lines(self) -> Iterator[tuple[str, bytes]]:
        """Every row of every ClickHouse table, as text."""
        return self.sources.table_lines(self._databases.raw)

    def dead_lettered(self, topic: str) -> set[tuple[int, int]]:
        """Partition and offset of the topic's records that were given up."""
        found = self.dead_letters
        return {(letter.partition, letter.offset) for letter in found if letter.topic == topic}

    def commands_cut_off(self) -> set[int]:
        """Partitions in which retention took the oldest commands of some topic."""
        return {part for topic in topics.PAYMENT_COMMAND_TOPICS for part in self.cut_off(topic)}

    def cut_off(self, topic: str) -> dict[int, int]:
        """Partition -> first offset left, of partitions whose beginning retention took."""
        starts = self.sources.log_starts(topic).items()
        return {partition: start for partition, start in starts if start > 0}


def _by_partition(found: Iterator[Located[R]]) -> dict[int, list[Located[R]]]:
    partitions: dict[int, list[Located[R]]] = defaultdict(list)
    for located in found:
        partitions[located.partition].append(located)
    return dict(sorted(partitions.items()))
