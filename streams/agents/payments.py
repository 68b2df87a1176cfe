"""The payments agent: a batch of commands in, events and network requests out, states kept."""

from typing import Protocol

from engine import Batch, Record
from runtime.telemetry import counter
from schemas.codec import encode
from schemas.headers import TRACEPARENT, record_headers
from schemas.partitioning import partition_of
from schemas.records import NetworkRequest, PaymentCommand, PaymentEvent
from schemas.topics import NETWORK_REQUESTS, PAYMENTS_EVENTS
from schemas.vocabulary import CommandKind
from streams.domain import PaymentState, Policy, decide

GROUP = "streams-payments"


class MisroutedCommand(Exception):
    """A command stands under another key or in another partition than its payment's.

    Taken as it is, two partitions could each hold the payment: it goes to the dead letters.
    """


class States(Protocol):
    """The partition of the table that a batch works on; `engine.PartitionView` is one."""

    def get(self, key: str, /) -> PaymentState | None:
        """State of a payment, None if it was never heard of."""

    def __setitem__(self, key: str, value: PaymentState, /) -> None: ...


class PaymentsAgent:
    """Handles batches of payments.commands; `partitions` is that topic's number of partitions."""

    def __init__(self, policy: Policy, partitions: int) -> None:
        self._policy = policy
        self._partitions = partitions
        self._repeats = counter("paystream_payment_repeats_total")
        self._events = counter("paystream_payment_events_total")

    def handle(self, batch: Batch, states: States) -> None:
        """Decide every command of the batch, in order."""
        for record in batch:
            self.take(batch, states, record)

    def take(self, batch: Batch, states: States, record: Record) -> None:
        """Decide one command. Raises MisroutedCommand."""
        command: PaymentCommand = record.value
        payment_id = command.payment_id
        if record.key != payment_id:
            raise MisroutedCommand(f"key {record.key!r} of a command for {payment_id!r}")
        state = states.get(payment_id)
        if state is None and command.kind == CommandKind.CREATE:
            self._check_partition(record, payment_id)
        decision = decide(state, command, self._policy)
        if not decision.events or decision.state is None:
            self._repeats.inc()
            return
        states[payment_id] = decision.state
        trace = record.headers.get(TRACEPARENT)
        for event in decision.events:
            self._events.labels(event.type).inc()
            _emit_event(batch, event, trace)
        for request in decision.requests:
            _emit_request(batch, request, trace)

    def _check_partition(self, record: Record, payment_id: str) -> None:
        """A payment is created where every other copy of its create would come to."""
        expected = partition_of(payment_id, self._partitions)
        if record.partition != expected:
            raise MisroutedCommand(
                f"{payment_id} belongs to partition {expected}, the command stands in "
                f"{record.partition}: produce with the murmur2 partitioner of the Java client "
                "(librdkafka: partitioner=murmur2_random)"
            )


def _emit_event(batch: Batch, event: PaymentEvent, trace: bytes | None) -> None:
    headers = record_headers(event.event_id, event.type, event.occurred_at_ms, GROUP, trace)
    batch.emit(PAYMENTS_EVENTS, event.payment_id, encode(event), headers)


def _emit_request(batch: Batch, request: NetworkRequest, trace: bytes | None) -> None:
    kind = f"network.{request.operation}"
    headers = record_headers(request.request_id, kind, request.requested_at_ms, GROUP, trace)
    batch.emit(NETWORK_REQUESTS, request.payment_id, encode(request), headers)
