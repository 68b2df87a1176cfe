"""What a merchant command says for the audit: who, what, when and why, without a secret (pure)."""

from schemas.audit_outcomes import AuditOutcome
from schemas.records import AuditAction, MerchantCommand, MerchantEvent

CHANGE_CHARACTERS_MAX = 200
_KEPT_OF_ACCOUNT = 4
_CHANGES = (
    "name",
    "key_label",
    "key_expires_at_ms",
    "replaced_key_id",
    "endpoint_url",
    "payout_schedule",
    "fee_basis_points",
    "fee_fixed_minor",
    "status",
    "payment_amount_minor_max",
    "requests_per_second_max",
    "request_burst_max",
)
"""Fields of the command that are no secret; hashes and keys stay out."""


def audit_action(command: MerchantCommand, event: MerchantEvent) -> AuditAction:
    """The act, applied or refused; the same at each replay."""
    return AuditAction(
        action_id=event.event_id,
        subject_id=command.merchant_id,
        action=f"merchant.{command.kind}",
        outcome=(AuditOutcome.REFUSED if event.reason else AuditOutcome.APPLIED).value,
        actor=command.actor or command.source,
        source=command.source,
        occurred_at_ms=command.issued_at_ms,
        merchant_id=command.merchant_id,
        mode=command.key_mode or command.endpoint_mode,
        key_id=command.key_id,
        endpoint_id=command.endpoint_id,
        justification=command.justification,
        reason=event.reason,
        changes=_changes(command),
    )


def _changes(command: MerchantCommand) -> dict[str, str]:
    values = ((name, getattr(command, name)) for name in _CHANGES)
    changes = {name: str(v)[:CHANGE_CHARACTERS_MAX] for name, v in values if v is not None}
    if command.key_scopes:
        changes["key_scopes"] = " ".join(command.key_scopes)
    if command.modes:
        changes["modes"] = " ".join(command.modes)
    if command.bank_account is not None:
        changes["bank_account"] = f"…{command.bank_account[-_KEPT_OF_ACCOUNT:]}"
    return changes
