"""The payments agent: a batch of commands in, events and requests out, what is stored updated."""

from typing import Any

from engine import Batch, Record, TableView
from runtime import log
from runtime.telemetry import counter
from schemas.enums import PaymentStatus, RejectionReason
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT
from schemas.records import PaymentCommand
from schemas.topics import CLIENT_COMMAND_TOPICS
from streams.agents.admission import Admission
from streams.domain import ArchivedPayment, Decision, Handled, PaymentState, Policy, Stored, handle
from streams.domain.admission import Refusal
from workers.catalogue import WORKERS

GROUP = WORKERS["payments"].group
_LOG = log.get("streams.payments")


class PaymentsAgent:
    """Handles batches of the topics of payment commands; `admission` says which are commands."""

    def __init__(self, policy: Policy, admission: Admission) -> None:
        self._policy = policy
        self._admission = admission
        self._duplicates = counter("paystream_duplicate_commands_total")
        self._events = counter("paystream_payment_events_total")
        self._archive_operations = counter("paystream_archive_operations_total")

    def handle(
        self, batch: Batch, payments: TableView[PaymentState], archive: TableView[ArchivedPayment]
    ) -> None:
        """Handle every command of the batch, in order. Raises MisplacedCommand, TooManyWaiting."""
        for record in batch:
            found = self._admission.admit(batch.topic, record)
            if isinstance(found, PaymentCommand):
                self._handle(batch, payments, archive, record, found)
            else:
                self._reject(batch, record, found)

    def _reject(self, batch: Batch, record: Record, found: Refusal) -> None:
        rejection = self._admission.rejection(record, found)
        batch.emit(rejection.topic, rejection.key, rejection.value, rejection.headers)

    def _handle(
        self,
        batch: Batch,
        payments: TableView[PaymentState],
        archive: TableView[ArchivedPayment],
        record: Record,
        command: PaymentCommand,
    ) -> None:
        payment_id, trace = command.payment_id, record.headers.get(TRACEPARENT)
        stored: Stored = payments.get(payment_id)
        if stored is None:
            stored = archive.get(payment_id)
        if batch.topic in CLIENT_COMMAND_TOPICS and not _is_owner(stored, command):
            self._reject(batch, record, _NOT_THEIRS)
            return
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


_NOT_THEIRS = Refusal(
    RejectionReason.NO_SUCH_PAYMENT,
    "The merchant has no such payment in this mode. Check payment_id, merchant_id and mode.",
)


def _is_owner(stored: Stored, command: PaymentCommand) -> bool:
    """Whether the payment is the merchant's, or nobody's yet: a stranger leaves no trace in it."""
    if stored is None or stored.status == PaymentStatus.NEW:
        return True
    return (stored.merchant_id, stored.mode) == (command.merchant_id, command.mode)


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
