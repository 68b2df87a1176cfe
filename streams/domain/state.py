"""The state of one payment: exactly the fold of its events."""

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from schemas.enums import CaptureMethod, Operation, PaymentStatus, Reversal

FINGERPRINT_CHARACTERS = 32
"""What is kept of a fingerprint: 128 bits; two bodies of one merchant will not meet by accident."""


class OperationStatus(StrEnum):
    """Where one operation at the card network stands."""

    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"
    INQUIRING = "inquiring"
    REQUIRES_ACTION = "requires_action"
    APPROVED = "approved"
    DECLINED = "declined"
    FAILED = "failed"


_UNKNOWN = frozenset({OperationStatus.UNKNOWN, OperationStatus.INQUIRING})
"""The outcome of the last attempt is unknown; `inquiring`: a status inquiry is on its way."""
PENDING = frozenset({OperationStatus.IN_FLIGHT, *_UNKNOWN})
"""Money of such an operation may have moved, or may yet move."""
_REVERSED_AUTHORIZATION = Reversal.AUTHORIZE


REVERSALS = {Reversal.AUTHORIZE.value: Operation.VOID, Reversal.CAPTURE.value: Operation.REFUND}
"""Kind of operation -> what the network is asked for."""


class OperationState(Struct, frozen=True, array_like=True, gc=False):
    """One operation at the card network; `number` counts the payment's operations of its kind.

    A reversal has the number of what it takes back, so there is one at most, and the network's
    reference of it.
    """

    operation: str
    number: int
    amount_minor: int
    attempt: int
    status: str
    requested_at_ms: int
    due_at_ms: int | None = None
    refund_id: str | None = None
    final: bool = False
    network_reference: str | None = None

    @property
    def is_reversal(self) -> bool:
        """Whether it takes back what this payment's totals never held."""
        return self.operation in REVERSALS

    @property
    def pending(self) -> bool:
        """Whether its outcome is not known."""
        return self.status in PENDING

    def key(self, payment_id: str) -> str:
        """Idempotency key at the network: the same for every attempt and retry."""
        return f"{payment_id}:{self.operation}:{self.number}"


class DisputeState(Struct, frozen=True, array_like=True, gc=False):
    """A customer's complaint at the issuer; an open or lost one holds the money."""

    dispute_id: str
    amount_minor: int
    status: str  # open, won, lost


class SeenCommand(Struct, frozen=True, array_like=True, gc=False):
    """A command that had its outcome; `reason` None means that it was applied."""

    command_id: str
    fingerprint: str
    reason: str | None = None


class PaymentState(Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Amounts in minor units of `currency`; totals as in PaymentEvent."""

    payment_id: str
    merchant_id: str
    mode: str
    status: str = PaymentStatus.NEW
    sequence: int = 0
    currency: str = ""
    requested_minor: int = 0
    authorized_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    fees_minor: int = 0
    capture_method: str = CaptureMethod.AUTOMATIC
    capture_delay_seconds: int | None = None
    idempotency_key: str | None = None
    reference: str | None = None
    return_url: str | None = None
    fee_basis_points: int = 0
    fee_fixed_minor: int = 0
    network_reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    created_at_ms: int = 0
    updated_at_ms: int = 0
    action_due_at_ms: int | None = None
    capture_due_at_ms: int | None = None
    expires_at_ms: int | None = None
    settled_at_ms: int | None = None
    operations: tuple[OperationState, ...] = ()
    disputes: tuple[DisputeState, ...] = ()
    client_commands: tuple[SeenCommand, ...] = ()
    """Commands of clients and operators, in order; the first create is among them."""
    system_commands: tuple[SeenCommand, ...] = ()
    """The last few results and deadlines; older ones differ by operation and attempt."""
    create_fingerprint: str | None = None
    network: str | None = None
    """Card network that has the payment; None: the first (`schemas.enums.Network`)."""
    settlement_due_at_ms: int | None = None
    """When the network should have paid what was captured; None once an event reported it."""

    @property
    def authorization(self) -> OperationState:
        """The operation that authorizes; the last one if a network did not take the first."""
        return next(o for o in reversed(self.operations) if o.operation == Operation.AUTHORIZE)

    def network_of(self, operation: OperationState) -> str | None:
        """Card network that has the operation: an authorization before the last one, the first."""
        earlier = operation.operation == _REVERSED_AUTHORIZATION
        if earlier and operation.number < self.authorization.number:
            return None
        return self.network

    def operation_of(self, operation_id: str | None) -> OperationState | None:
        """The operation with that idempotency key."""
        payment_id = self.payment_id
        for operation in reversed(self.operations):  # the last one is meant most often
            # `key`, inline: this is asked for several times per command
            if operation_id == f"{payment_id}:{operation.operation}:{operation.number}":
                return operation
        return None

    def pending(self, kind: Operation) -> Iterator[OperationState]:
        """Operations of a kind whose outcome is not known."""
        return (o for o in self.operations if o.operation == kind and o.pending)

    def next_number(self, kind: Operation) -> int:
        """Number of the next operation of a kind: 1, 2, 3…"""
        number = 1
        for operation in self.operations:
            if operation.operation == kind:
                number += 1
        return number

    @property
    def capturable_minor(self) -> int:
        """Authorized and neither captured nor released."""
        return self.authorized_minor - self.captured_minor

    @property
    def refundable_minor(self) -> int:
        """Captured and neither refunded, nor about to be, nor held by a dispute; never below 0."""
        pending = sum(operation.amount_minor for operation in self.pending(Operation.REFUND))
        disputed = sum(d.amount_minor for d in self.disputes if d.status != "won")
        return max(0, self.captured_minor - self.refunded_minor - pending - disputed)


def idle_status(
    captured_minor: int, authorized_minor: int, *, settled: bool = False
) -> PaymentStatus:
    """Main state of an authorized payment while nothing is asked of the network."""
    if captured_minor == 0:
        return PaymentStatus.AUTHORIZED
    if captured_minor < authorized_minor:
        return PaymentStatus.PARTIALLY_CAPTURED
    return PaymentStatus.SETTLED if settled else PaymentStatus.CAPTURED


_PENDING_STATUSES: dict[str, PaymentStatus] = {
    Operation.CAPTURE: PaymentStatus.CAPTURING,
    Operation.VOID: PaymentStatus.VOIDING,
}
"""What may be in flight when another operation ends; an authorization is alone."""


def status_with_pending(
    state: PaymentState, concluded: OperationState, idle: PaymentStatus
) -> PaymentStatus:
    """Main state when an operation has its outcome.

    Unknown money comes first, then what is in flight; a refund in flight leaves the main state, and
    a reversal never touches it.
    """
    pending_status = None
    for operation in state.operations:
        status = operation.status
        if status not in PENDING or operation.is_reversal or _same(operation, concluded):
            continue
        if status in _UNKNOWN:
            return PaymentStatus.UNKNOWN
        pending_status = _PENDING_STATUSES.get(operation.operation) or pending_status
    return pending_status or idle


def _same(one: OperationState, other: OperationState) -> bool:
    return one.number == other.number and one.operation == other.operation
