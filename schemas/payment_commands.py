"""Identities of clients' payment commands, computed from what the commands ask for (pure).

The API computes them, producers do the same, and the payments agent computes them again: a command
whose identity is not that of its content is refused.
"""

from collections.abc import Callable, Mapping

from schemas import ids
from schemas.enums import CaptureMethod, CommandKind
from schemas.records import PaymentCommand

FACT_COMMAND_KINDS = frozenset(
    {
        CommandKind.NETWORK_RESULT,
        CommandKind.SETTLE,
        CommandKind.OPEN_DISPUTE,
        CommandKind.WIN_DISPUTE,
        CommandKind.LOSE_DISPUTE,
    }
)
"""Kinds that report what the card network, the scheme or the bank did.

The others are requests, and may be refused for a payment's state or limits. A fact may not: the
money has moved. It is recorded in every state, unless it is a copy or names nothing that is known.
"""
CAPTURE_DELAY_SECONDS_MAX = 6 * 86_400
"""Longest delay of a background capture: an authorization is valid for a week."""
_REFUND_PREFIX = "ref_"

Meaning = Mapping[str, object]


def _create(command: PaymentCommand) -> Meaning:
    return {
        "kind": CommandKind.CREATE.value,
        "amount": command.amount_minor,
        "currency": command.currency,
        "capture_method": command.capture_method or CaptureMethod.AUTOMATIC.value,
        "capture_delay_seconds": command.capture_delay_seconds,
        "reference": command.reference,
        "return_url": command.return_url,
    }


def _capture(command: PaymentCommand) -> Meaning:
    kind = CommandKind.CAPTURE.value
    return {"kind": kind, "amount": command.amount_minor, "final": command.final}


def _refund(command: PaymentCommand) -> Meaning:
    return {"kind": CommandKind.REFUND.value, "amount": command.amount_minor}


def _kind_alone(command: PaymentCommand) -> Meaning:
    return {"kind": command.kind}


_MEANINGS: dict[str, Callable[[PaymentCommand], Meaning]] = {
    CommandKind.CREATE: _create,
    CommandKind.CAPTURE: _capture,
    CommandKind.REFUND: _refund,
    CommandKind.VOID: _kind_alone,
    CommandKind.COMPLETE_ACTION: _kind_alone,
}
CLIENT_COMMAND_KINDS = frozenset(_MEANINGS)
"""What clients may ask for."""


def command_fingerprint(command: PaymentCommand) -> str:
    """SHA-256 of what the command asks for, after defaults.

    The card is left out: its ciphertext differs at each encryption of the same card. Raises
    KeyError for a kind that is not a client's.
    """
    return ids.fingerprint(_MEANINGS[command.kind](command))


def refund_id(payment_id: str, idempotency_key: str) -> str:
    """The refund that this request makes, however often it comes."""
    return ids.derived_id(_REFUND_PREFIX, payment_id, idempotency_key)
