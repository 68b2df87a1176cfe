"""The payments agent: a batch of commands in, events and network requests out, states kept."""

from typing import Any, Protocol

from engine import Batch, Record
from runtime import log
from runtime.telemetry import counter
from schemas.codec import encode
from schemas.enums import CommandKind
from schemas.headers import TRACEPARENT, record_headers
from schemas.partitioning import partition_of
from schemas.records import HistoryRequest, NetworkRequest, PaymentCommand, PaymentEvent
from schemas.topics import HISTORY_REQUESTS, NETWORK_REQUESTS, PAYMENTS_EVENTS
from streams.domain import Decision, PaymentState, Policy, decide
from streams.domain.archive import ArchivedPayment
from streams.domain.archived_payments import STORAGE_KINDS, Taken, take
from workers.catalogue import WORKERS

GROUP = WORKERS["payments"].group
_LOG = log.get("streams.payments")


class KeyMismatch(Exception):
    """A command stands under another key or in another partition than its payment's.

    Taken as it is, two partitions could each hold the payment: it goes to the dead letters.
    """


class States(Protocol):
    """The partition of the table that a batch works on; `engine.PartitionView` is one."""

    def get(self, key: str, /) -> PaymentState | None:
        """State of a payment, None if it was never heard of or is archived."""

    def __setitem__(self, key: str, value: PaymentState, /) -> None: ...

    def __delitem__(self, key: str, /) -> None: ...


class Markers(Protocol):
    """The same partition of the table of archived payments."""

    def get(self, key: str, /) -> ArchivedPayment | None:
        """What stayed of a payment, None if it is not archived."""

    def __setitem__(self, key: str, value: ArchivedPayment, /) -> None: ...

    def __delitem__(self, key: str, /) -> None: ...


class PaymentsAgent:
    """Handles batches of payments.commands; `partitions` is that topic's number of partitions."""

    def __init__(self, policy: Policy, partitions: int) -> None:
        self._policy = policy
        self._partitions = partitions
        self._repeats = counter("paystream_duplicate_commands_total")
        self._events = counter("paystream_payment_events_total")
        self._moves = counter("paystream_archive_operations_total")

    def handle(self, batch: Batch, states: States, markers: Markers) -> None:
        """Decide every command of the batch, in order."""
        for record in batch:
            self.take(batch, states, markers, record)

    def take(self, batch: Batch, states: States, markers: Markers, record: Record) -> None:
        """Decide one command. Raises KeyMismatch, TooManyWaiting."""
        command: PaymentCommand = record.value
        payment_id = command.payment_id
        if record.key != payment_id:
            raise KeyMismatch(f"key {record.key!r} of a command for {payment_id!r}")
        state = states.get(payment_id)
        if state is None or command.kind in STORAGE_KINDS:
            marker = markers.get(payment_id)
            if marker is not None or command.kind in STORAGE_KINDS:
                self._take_archived(batch, states, markers, record, state, marker)
                return
            if command.kind == CommandKind.CREATE:
                self._check_partition(record, payment_id)
        decision = decide(state, command, self._policy)
        if decision.events and decision.state is not None:
            states[payment_id] = decision.state
        self._emit(batch, decision, record.headers.get(TRACEPARENT))

    def _take_archived(
        self,
        batch: Batch,
        states: States,
        markers: Markers,
        record: Record,
        state: PaymentState | None,
        marker: ArchivedPayment | None,
    ) -> None:
        """A payment that leaves the table, is out of it, or comes back."""
        command: PaymentCommand = record.value
        taken = take(state, marker, command, self._policy, record.headers.get(TRACEPARENT))
        _keep(states, command.payment_id, state, taken.state)
        _keep(markers, command.payment_id, marker, taken.marker)
        for decision, trace in taken.decisions:
            self._emit(batch, decision, trace)
        if taken.question is not None:
            _emit_question(batch, taken.question, record.headers.get(TRACEPARENT))
        self._tell(command, marker, taken)

    def _tell(self, command: PaymentCommand, marker: ArchivedPayment | None, taken: Taken) -> None:
        if taken.refused is not None:
            self._moves.labels("refused").inc()
            _LOG.error("history_refused", payment=command.payment_id, reason=taken.refused)
        elif marker is None and taken.marker is not None:
            self._moves.labels("archived").inc()
        elif marker is not None and taken.marker is None:
            self._moves.labels("restored").inc()
        elif taken.question is not None:
            self._moves.labels("asked").inc()

    def _emit(self, batch: Batch, decision: Decision, trace: bytes | None) -> None:
        if not decision.events:
            self._repeats.inc()
            return
        for event in decision.events:
            self._events.labels(event.type).inc()
            _emit_event(batch, event, trace)
        for request in decision.requests:
            _emit_request(batch, request, trace)

    def _check_partition(self, record: Record, payment_id: str) -> None:
        """A payment is created where every other copy of its create would come to."""
        expected = partition_of(payment_id, self._partitions)
        if record.partition != expected:
            raise KeyMismatch(
                f"{payment_id} belongs to partition {expected}, the command stands in "
                f"{record.partition}: produce with the murmur2 partitioner of the Java client "
                "(librdkafka: partitioner=murmur2_random)"
            )


def _keep(table: Any, key: str, before: object, after: object) -> None:
    """Write what changed; None is deleted, which is a tombstone on the changelog."""
    if after is before:
        return
    if after is None:
        del table[key]
    else:
        table[key] = after


def _emit_event(batch: Batch, event: PaymentEvent, trace: bytes | None) -> None:
    headers = record_headers(event.event_id, event.type, event.occurred_at_ms, GROUP, trace)
    batch.emit(PAYMENTS_EVENTS, event.payment_id, encode(event), headers)


def _emit_request(batch: Batch, request: NetworkRequest, trace: bytes | None) -> None:
    kind = f"network.{request.operation}"
    headers = record_headers(request.request_id, kind, request.requested_at_ms, GROUP, trace)
    batch.emit(NETWORK_REQUESTS, request.payment_id, encode(request), headers)


def _emit_question(batch: Batch, question: HistoryRequest, trace: bytes | None) -> None:
    question_id = f"{question.payment_id}#history#{question.attempt}"
    headers = record_headers(
        question_id, "history.requested", question.requested_at_ms, GROUP, trace
    )
    batch.emit(HISTORY_REQUESTS, question.payment_id, encode(question), headers)
