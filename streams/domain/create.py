"""Create: the one command that makes a payment, and what is wrong with one that cannot."""

from msgspec.structs import replace

from schemas.enums import (
    CaptureMethod,
    EventType,
    Mode,
    Operation,
    PaymentStatus,
    RejectionReason,
)
from schemas.ids import payment_id
from schemas.money import AMOUNT_MINOR_MAX, BASIS_POINTS, CURRENCIES
from schemas.records import PaymentCommand
from streams.domain.operations import new_operation
from streams.domain.policy import Policy
from streams.domain.state import FINGERPRINT_CHARACTERS
from streams.domain.transition import CommandContext

_AUTHORIZE, _AUTOMATIC = Operation.AUTHORIZE, CaptureMethod.AUTOMATIC
_CREATED, _AUTHORIZING = EventType.CREATED, PaymentStatus.AUTHORIZING
_CAPTURE_METHODS = frozenset(CaptureMethod)
_MODES = frozenset(Mode)


def create(context: CommandContext) -> RejectionReason | None:
    """Move `new` to `authorizing` and ask the network: the compare-and-set of the payment."""
    command = context.command
    if reason := invalid(command, context.policy):
        return reason
    amount_minor = command.amount_minor or 0
    operation = new_operation(context, _AUTHORIZE, amount_minor)
    context.record_event(
        _CREATED,
        _AUTHORIZING,
        operation,
        totals_of=replace(
            context.state,
            merchant_id=command.merchant_id,
            mode=command.mode,
            currency=command.currency,
            requested_minor=amount_minor,
            capture_method=command.capture_method or _AUTOMATIC,
            capture_delay_seconds=command.capture_delay_seconds,
            idempotency_key=command.idempotency_key,
            reference=command.reference,
            return_url=command.return_url,
            fee_basis_points=command.fee_basis_points or 0,
            fee_fixed_minor=command.fee_fixed_minor or 0,
        ),
    )
    context.request_operation(operation, card=command.card)
    return None


def already_created(context: CommandContext) -> RejectionReason:
    """A second create under another command id: a copy, or another body for the same payment."""
    same = context.command.fingerprint[:FINGERPRINT_CHARACTERS] == context.state.create_fingerprint
    return RejectionReason.ALREADY_EXISTS if same else RejectionReason.IDEMPOTENCY_MISMATCH


def invalid(command: PaymentCommand, policy: Policy) -> RejectionReason | None:
    """Why a create is rejected in every state of the payment; None if it is valid."""
    if not 0 < (command.amount_minor or 0) <= AMOUNT_MINOR_MAX:
        return RejectionReason.AMOUNT_INVALID
    if command.currency not in CURRENCIES:
        return RejectionReason.CURRENCY_INVALID
    if not (
        _known_words(command) and _fees_in_bounds(command) and _delay_in_bounds(command, policy)
    ):
        return RejectionReason.FIELD_INVALID
    key = command.idempotency_key
    if key is not None and command.payment_id != payment_id(command.merchant_id, command.mode, key):
        return RejectionReason.PAYMENT_ID_MISMATCH
    return None


def _known_words(command: PaymentCommand) -> bool:
    method = command.capture_method
    return command.mode in _MODES and (method is None or method in _CAPTURE_METHODS)


def _fees_in_bounds(command: PaymentCommand) -> bool:
    percent_ok = 0 <= (command.fee_basis_points or 0) <= BASIS_POINTS
    return percent_ok and 0 <= (command.fee_fixed_minor or 0) <= AMOUNT_MINOR_MAX


def _delay_in_bounds(command: PaymentCommand, policy: Policy) -> bool:
    return 0 <= (command.capture_delay_seconds or 0) <= policy.capture_delay_seconds_max
