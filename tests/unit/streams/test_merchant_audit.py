"""What the audit keeps of a merchant command: who, what, why; no secret."""

from schemas.audit_outcomes import AuditOutcome
from schemas.enums import MerchantCommandKind, RejectionReason
from schemas.records import AuditAction, MerchantCommand
from streams.domain.merchant_audit import audit_action
from streams.domain.merchants import MerchantPolicy, MerchantState, decide_merchant

ISSUE = MerchantCommand(
    command_id="cmd_1",
    merchant_id="mer_1",
    kind=MerchantCommandKind.ISSUE_API_KEY,
    fingerprint="f",
    issued_at_ms=1000,
    source="api",
    key_id="key_1",
    key_mode="live",
    key_hash="0123456789abcdef",
    key_scopes=["read", "write"],
    encrypted_secret="sealed",
    bank_account="DE89370400440532013000",
    public_key=b"p" * 32,
    actor="operator:ada",
    justification="new till",
)


def act_of(command: MerchantCommand) -> AuditAction:
    event = decide_merchant(MerchantState(), command, MerchantPolicy()).event
    assert event is not None
    return audit_action(command, event)


def test_an_act_says_who_what_why_and_that_it_was_refused() -> None:
    assert act_of(ISSUE) == AuditAction(
        action_id="mer_1-1",
        subject_id="mer_1",
        action="merchant.issue_api_key",
        outcome=AuditOutcome.REFUSED,
        actor="operator:ada",
        source="api",
        occurred_at_ms=1000,
        merchant_id="mer_1",
        mode="live",
        key_id="key_1",
        justification="new till",
        reason=RejectionReason.NO_SUCH_MERCHANT,
        changes={"key_scopes": "read write", "bank_account": "…3000"},
    )


def test_an_applied_act_without_an_actor_names_the_source() -> None:
    register = MerchantCommand("cmd_1", "mer_1", "register", "f", 1000, "api", name="Shop")
    act = act_of(register)
    assert (act.outcome, act.actor, act.reason) == (AuditOutcome.APPLIED, "api", None)
    assert act.changes == {"name": "Shop"}


def test_no_secret_is_kept() -> None:
    text = repr(act_of(ISSUE))
    for secret in ("0123456789abcdef", "sealed", "DE8937", "pppp"):
        assert secret not in text
