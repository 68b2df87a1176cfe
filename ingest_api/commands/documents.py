"""Documents that the status sink writes to Valkey, as this API reads them."""

import msgspec
from msgspec import Struct

from ingest_api.commands.errors import StatusUnavailable


class LastCommand(Struct, frozen=True):
    """How the newest command about a payment ended."""

    id: str
    result: str
    reason: str | None = None


class Payment(Struct, frozen=True, kw_only=True):
    """A payment as it is now. Written by the status sink to `payment:{id}`."""

    id: str
    merchant_id: str
    mode: str
    status: str
    amount: int
    currency: str
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    fees: int
    capture_method: str
    sequence: int
    updated_at_ms: int
    created_at_ms: int | None = None
    fingerprint: str | None = None
    """Of the create command; absent while a lost view is being rebuilt, like created_at_ms."""
    reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    last_command: LastCommand | None = None


class CommandOutcome(Struct, frozen=True, kw_only=True):
    """How a command ended. Written by the status sink to `command:{id}`."""

    result: str
    reason: str | None = None
    fingerprint: str | None = None


_PAYMENT = msgspec.json.Decoder(Payment)
_OUTCOME = msgspec.json.Decoder(CommandOutcome)


def decode_payment(document: bytes | None) -> Payment | None:
    """The payment's public view. Raises StatusUnavailable if the document is not readable."""
    try:
        return None if document is None else _PAYMENT.decode(document)
    except msgspec.DecodeError as error:
        raise StatusUnavailable(f"A view in Valkey is not readable: {error}.") from error


def decode_outcome(document: bytes | None) -> CommandOutcome | None:
    """The command's outcome. Raises StatusUnavailable if the document is not readable."""
    try:
        return None if document is None else _OUTCOME.decode(document)
    except msgspec.DecodeError as error:
        raise StatusUnavailable(f"An outcome in Valkey is not readable: {error}.") from error
