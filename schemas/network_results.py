"""What a card network says about an operation, and the command that it becomes (pure).

The network agent receives responses to its calls, and the API receives notifications. Both make the
same command of the same result, so an answer that arrives twice is a duplicate.
"""

import msgspec

from schemas.enums import CommandKind, DeclineCode, Operation, Outcome, Source
from schemas.ids import command_id, fingerprint
from schemas.records import PaymentCommand

_DECLINE_CODES = frozenset(DeclineCode)


class NetworkResult(msgspec.Struct, frozen=True, kw_only=True):
    """The network's result of an operation; unknown if it gave no valid one."""

    outcome: str
    network_reference: str | None = None
    decline_code: str | None = None
    action_url: str | None = None
    reason: str | None = None


class RequestedOperation(msgspec.Struct, frozen=True, kw_only=True):
    """The operation that an answer is about; `attempt` 1, 2, 3… of it was answered."""

    payment_id: str
    merchant_id: str
    mode: str
    operation: str
    operation_id: str
    attempt: int
    by_status: bool = False
    refund_id: str | None = None
    network: str | None = None


def to_network_result(
    outcome: str,
    network_reference: str | None = None,
    decline_code: str | None = None,
    action_url: str | None = None,
) -> NetworkResult:
    """The network's words in ours: a decline code that we do not know becomes the reason."""
    declined = outcome == Outcome.DECLINED
    known = decline_code if decline_code in _DECLINE_CODES else DeclineCode.GENERIC
    same = decline_code is None or (decline_code == known and declined)
    return NetworkResult(
        outcome=outcome,
        network_reference=network_reference,
        decline_code=known if declined else None,
        action_url=action_url,
        reason=None if same else decline_code,
    )


def result_command(
    asked: RequestedOperation,
    answer: NetworkResult,
    issued_at_ms: int,
    card: str | None = None,
    *,
    source: Source,
) -> PaymentCommand:
    """The answer as a command; its id is derived, so that a repeated call reports it once."""
    meaning = {
        "operation_id": asked.operation_id,
        "attempt": asked.attempt,
        "outcome": answer.outcome,
        "network_reference": answer.network_reference,
        "decline_code": answer.decline_code,
        "action_url": answer.action_url,
    }
    name = Operation.STATUS.value if asked.by_status else asked.operation
    subject = f"{asked.operation_id}#{asked.attempt}"
    return PaymentCommand(
        command_id=command_id(asked.payment_id, name, subject),
        payment_id=asked.payment_id,
        merchant_id=asked.merchant_id,
        mode=asked.mode,
        kind=CommandKind.NETWORK_RESULT,
        fingerprint=fingerprint(meaning),
        issued_at_ms=issued_at_ms,
        source=source,
        refund_id=asked.refund_id,
        operation=asked.operation,
        operation_id=asked.operation_id,
        attempt=asked.attempt,
        outcome=answer.outcome,
        network_reference=answer.network_reference,
        decline_code=answer.decline_code,
        action_url=answer.action_url,
        reason=answer.reason,
        network=asked.network,
        card=card,
    )
