"""The payments agent: a batch of commands in, events and requests out, what is stored updated."""

from typing import Any

from engine import Batch, Record, TableView
from runtime import log
from runtime.telemetry import counter
from schemas.enums import CommandKind
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT
from schemas.partitioning import partition_of
from schemas.records import PaymentCommand
from streams.domain import ArchivedPayment, Decision, Handled, PaymentState, Policy, Stored, handle
from workers.catalogue import WORKERS

GROUP = WORKERS["payments"].group
_LOG = log.get("streams.payments")


class KeyMismatch(Exception):
    """A command has another key, or is in another partition, than its payment's.

    Two partitions could each hold the payment if it were handled: it goes to the dead letters.
    """


class PaymentsAgent:
    """Handles batches of payments.commands; `partitions` is that topic's number of partitions."""

    def __init__(self, policy: Policy, partitions: int) -> None:
        self._policy = policy
        self._partitions = partitions
        self._duplicates = counter("paystream_duplicate_commands_total")
        self._events = counter("paystream_payment_events_total")
        self._archive_operations = counter("paystream_archive_operations_total")

    def handle(
        self, batch: Batch, payments: TableView[PaymentState], archive: TableView[ArchivedPayment]
    ) -> None:
        """Handle every command of the batch, in order. Raises KeyMismatch, TooManyWaiting."""
        for record in batch:
            self._handle(batch, payments, archive, record)

    def _handle(
        self,
        batch: Batch,
        payments: TableView[PaymentState],
        archive: TableView[ArchivedPayment],
        record: Record,
    ) -> None:
        command: PaymentCommand = record.value
        payment_id, trace = command.payment_id, record.headers.get(TRACEPARENT)
        if record.key != payment_id:
            raise KeyMismatch(
                f"The command for {payment_id!r} has the key {record.key!r}. "
                "Produce it with the payment id as its key."
            )
        stored: Stored = payments.get(payment_id)
        if stored is None:
            stored = archive.get(payment_id)
            if stored is None and command.kind == CommandKind.CREATE:
                self._check_partition(record, payment_id)
        handled = handle(stored, command, self._policy, trace)
        _store(payments, archive, payment_id, stored, handled.stored)
        for decision, decision_trace in handled.decisions:
            self._emit(batch, decision, decision_trace)
        if handled.history_request is not None:
            batch.emit(*to_message(handled.history_request, GROUP, trace))
        if not handled.decisions or isinstance(stored, ArchivedPayment):
            self._report(command, stored, handled)

    def _report(self, command: PaymentCommand, before: Stored, handled: Handled) -> None:
        was_archived = isinstance(before, ArchivedPayment)
        is_archived = isinstance(handled.stored, ArchivedPayment)
        if handled.history_rejected is not None:
            self._archive_operations.labels("history_rejected").inc()
            reason = handled.history_rejected
            _LOG.error("history_rejected", payment=command.payment_id, reason=reason)
        elif is_archived and not was_archived:
            self._archive_operations.labels("archived").inc()
        elif was_archived and not is_archived:
            self._archive_operations.labels("restored").inc()
        elif handled.history_request is not None:
            self._archive_operations.labels("history_requested").inc()

    def _emit(self, batch: Batch, decision: Decision, trace: bytes | None) -> None:
        if not decision.events:
            self._duplicates.inc()
            return
        for event in decision.events:
            self._events.labels(event.type).inc()
            batch.emit(*to_message(event, GROUP, trace))
        for request in decision.requests:
            batch.emit(*to_message(request, GROUP, trace))

    def _check_partition(self, record: Record, payment_id: str) -> None:
        """A payment is created in the partition to which every other copy of its create goes."""
        expected = partition_of(payment_id, self._partitions)
        if record.partition != expected:
            raise KeyMismatch(
                f"{payment_id} belongs to partition {expected}, but its command is in partition "
                f"{record.partition}. Produce with the murmur2 partitioner of the Java client "
                "(librdkafka: partitioner=murmur2_random)."
            )


def _store(payments: Any, archive: Any, key: str, before: Stored, after: Stored) -> None:
    """Write what changed; a deletion is a tombstone on the changelog."""
    if after is before:
        return
    if isinstance(after, PaymentState):
        payments[key] = after
    elif isinstance(before, PaymentState):
        del payments[key]
    if isinstance(after, ArchivedPayment):
        archive[key] = after
    elif isinstance(before, ArchivedPayment):
        del archive[key]
