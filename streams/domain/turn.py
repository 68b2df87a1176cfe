"""One command's turn: the events and requests it leads to, and the state after them."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from schemas.ids import event_id
from schemas.records import NetworkRequest, PaymentCommand, PaymentEvent
from schemas.vocabulary import EventType, Operation, RejectionReason
from streams.domain.evolve import blank, evolve
from streams.domain.policy import Policy
from streams.domain.state import OperationState, PaymentState


class Decision(Struct, frozen=True):
    """What a command leads to; nothing at all if it repeats one that had its outcome.

    `state` is `fold(evolve, events)` over the state before; None if there was and is no payment.
    """

    events: tuple[PaymentEvent, ...]
    requests: tuple[NetworkRequest, ...]
    state: PaymentState | None


class Turn:
    """Collects what happens; each recorded event moves `state` on at once."""

    __slots__ = ("command", "events", "policy", "requests", "state")

    def __init__(self, state: PaymentState | None, command: PaymentCommand, policy: Policy) -> None:
        self.state = state if state is not None else blank(command)
        self.command = command
        self.policy = policy
        self.events: list[PaymentEvent] = []
        self.requests: list[NetworkRequest] = []

    @property
    def now_ms(self) -> int:
        """The command's own time: decisions know no other clock."""
        return self.command.issued_at_ms

    def happened(
        self,
        event_type: EventType,
        status: str,
        operation: OperationState | None = None,
        **facts: object,
    ) -> None:
        """Record an event; totals stay as they are unless `facts` says otherwise."""
        state, command = self.state, self.command
        event = PaymentEvent(
            event_id=event_id(state.payment_id, state.sequence + 1),
            payment_id=state.payment_id,
            merchant_id=state.merchant_id,
            mode=state.mode,
            sequence=state.sequence + 1,
            type=event_type,
            status=status,
            command_id=command.command_id,
            command_kind=command.kind,
            fingerprint=command.fingerprint,
            occurred_at_ms=command.issued_at_ms,
            source=command.source,
            currency=state.currency,
            amount_minor=0 if operation is None else operation.amount_minor,
            fee_minor=0,
            requested_minor=state.requested_minor,
            authorized_minor=state.authorized_minor,
            captured_minor=state.captured_minor,
            refunded_minor=state.refunded_minor,
            fees_minor=state.fees_minor,
            capture_method=state.capture_method,
            capture_delay_seconds=state.capture_delay_seconds,
            idempotency_key=state.idempotency_key,
            reference=state.reference,
            return_url=state.return_url,
            fee_basis_points=state.fee_basis_points,
            fee_fixed_minor=state.fee_fixed_minor,
            operation=None if operation is None else operation.operation,
            operation_id=None if operation is None else operation.key(state.payment_id),
            attempt=None if operation is None else operation.attempt,
            network_reference=state.network_reference,
            final=None if operation is None else operation.final or None,
            refund_id=None if operation is None else operation.refund_id,
            due_at_ms=None if operation is None else operation.due_at_ms,
            network=state.network,
        )
        if facts:
            event = replace(event, **facts)
        self.events.append(event)
        self.state = evolve(state, event)

    def ask(self, operation: OperationState, *, card: str | None = None) -> None:
        """Record the intent to call the network: the operation itself, or how it ended."""
        state, key = self.state, operation.key(self.state.payment_id)
        first = operation.attempt == 1
        self.requests.append(
            NetworkRequest(
                request_id=f"{key}#{operation.attempt}",
                payment_id=state.payment_id,
                merchant_id=state.merchant_id,
                mode=state.mode,
                operation=operation.operation if first else Operation.STATUS,
                subject_operation=None if first else operation.operation,
                operation_id=key,
                attempt=operation.attempt,
                amount_minor=operation.amount_minor,
                currency=state.currency,
                requested_at_ms=self.now_ms,
                first_requested_at_ms=operation.requested_at_ms,
                command_id=self.command.command_id,
                card=card,
                network_reference=state.network_reference,
                return_url=state.return_url if operation.operation == Operation.AUTHORIZE else None,
                refund_id=operation.refund_id,
                network=state.network,
            )
        )

    def rejected(self, reason: RejectionReason) -> None:
        """Record that the command is refused; the payment stays as it is."""
        command = self.command
        self.happened(
            EventType.COMMAND_REJECTED,
            self.state.status,
            reason=reason,
            operation_id=command.operation_id,
            attempt=command.attempt,
            refund_id=command.refund_id,
            dispute_id=command.dispute_id,
        )

    def decision(self) -> Decision:
        """What was recorded."""
        return Decision(tuple(self.events), tuple(self.requests), self.state)


Handler = Callable[[Turn], RejectionReason | None]
"""Records what a command does, or records nothing and says why not."""
