"""Registrations of merchants as pure functions: a command in, an event and the new record out."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schemas.enums import (
    MerchantCommandKind,
    MerchantEventType,
    MerchantStatus,
    Mode,
    RejectionReason,
)
from schemas.ids import event_id
from schemas.merchant_bounds import ENDPOINTS_MAX, REQUESTS_MAX
from schemas.money import AMOUNT_MINOR_MAX, BASIS_POINTS
from schemas.records import Endpoint, Merchant, MerchantCommand, MerchantEvent
from streams.domain.merchant_keys import (
    api_key_issued,
    api_key_revoked,
    api_key_rotated,
    producer_key_added,
    producer_key_removed,
)
from streams.domain.state import SeenCommand

COMMANDS_REMEMBERED_MAX = 128
"""The last commands for one merchant; an older duplicate is rejected by its effect."""
SECRETS_MAX = 2
PAYOUT_SCHEDULES = frozenset({"daily", "manual"})
STATUS_CHANGES = frozenset(
    {
        (MerchantStatus.ACTIVE, MerchantStatus.SUSPENDED),
        (MerchantStatus.SUSPENDED, MerchantStatus.ACTIVE),
        (MerchantStatus.ACTIVE, MerchantStatus.CLOSED),
        (MerchantStatus.SUSPENDED, MerchantStatus.CLOSED),
    }
)
"""From and to; closed is the end."""


class MerchantPolicy(Struct, frozen=True, kw_only=True):
    """Defaults of a new merchant."""

    fee_basis_points: int = 150
    """1/100 percent of each capture."""
    fee_fixed_minor: int = 25
    """Minor units of the payment's currency, once per payment."""
    payout_schedule: str = "daily"


class MerchantState(Struct, frozen=True, array_like=True):
    """One merchant's registration; `merchant` None while there were only rejected commands."""

    merchant: Merchant | None = None
    sequence: int = 0
    commands: tuple[SeenCommand, ...] = ()


class MerchantDecision(Struct, frozen=True):
    """`event` None for a duplicate; `state.merchant` is the record to publish if it was applied."""

    state: MerchantState
    event: MerchantEvent | None = None

    @property
    def applied(self) -> bool:
        """Whether the registration changed."""
        event = self.event
        return event is not None and event.type != MerchantEventType.COMMAND_REJECTED


Change = Callable[[Merchant, MerchantCommand], Merchant | RejectionReason]


def decide_merchant(
    state: MerchantState | None, command: MerchantCommand, policy: MerchantPolicy
) -> MerchantDecision:
    """What the command does; a duplicate does nothing."""
    before = state or MerchantState()
    known = [seen for seen in before.commands if seen.command_id == command.command_id]
    if any(seen.fingerprint == command.fingerprint for seen in known):
        return MerchantDecision(before)
    if known:
        return _decided(before, command, RejectionReason.IDEMPOTENCY_MISMATCH)
    if command.kind == MerchantCommandKind.REGISTER:
        return _decided(before, command, _registered(before.merchant, command, policy))
    change = _CHANGES.get(command.kind)
    if change is None:
        return _decided(before, command, RejectionReason.UNKNOWN_KIND)
    if before.merchant is None:
        return _decided(before, command, RejectionReason.NO_SUCH_MERCHANT)
    return _decided(before, command, change[1](before.merchant, command))


def _decided(
    before: MerchantState, command: MerchantCommand, result: Merchant | RejectionReason
) -> MerchantDecision:
    refused = isinstance(result, RejectionReason)
    sequence = before.sequence + 1
    event = MerchantEvent(
        event_id=event_id(command.merchant_id, sequence),
        merchant_id=command.merchant_id,
        sequence=sequence,
        type=MerchantEventType.COMMAND_REJECTED if refused else _event_type(command),
        command_id=command.command_id,
        fingerprint=command.fingerprint,
        occurred_at_ms=command.issued_at_ms,
        source=command.source,
        endpoint_id=command.endpoint_id,
        key_id=command.key_id,
        reason=result if isinstance(result, RejectionReason) else None,
    )
    seen = SeenCommand(command.command_id, command.fingerprint, event.reason)
    commands = (*before.commands[1 - COMMANDS_REMEMBERED_MAX :], seen)
    merchant = before.merchant
    if isinstance(result, Merchant):
        merchant = replace(result, version=sequence, updated_at_ms=command.issued_at_ms)
    return MerchantDecision(MerchantState(merchant, sequence, commands), event)


def _event_type(command: MerchantCommand) -> MerchantEventType:
    if command.kind == MerchantCommandKind.REGISTER:
        return MerchantEventType.REGISTERED
    return _CHANGES[command.kind][0]


def _registered(
    existing: Merchant | None, command: MerchantCommand, policy: MerchantPolicy
) -> Merchant | RejectionReason:
    if existing is not None:
        return RejectionReason.ALREADY_EXISTS
    if not command.name:
        return RejectionReason.FIELD_INVALID
    merchant = Merchant(
        merchant_id=command.merchant_id,
        version=1,
        name=command.name,
        status=MerchantStatus.ACTIVE.value,
        registered_at_ms=command.issued_at_ms,
        updated_at_ms=command.issued_at_ms,
        payout_schedule=policy.payout_schedule,
        fee_basis_points=policy.fee_basis_points,
        fee_fixed_minor=policy.fee_fixed_minor,
    )
    with_payouts = _payouts_set(merchant, command)
    if isinstance(with_payouts, RejectionReason):
        return with_payouts
    return _fees_set(with_payouts, command)


def _fees_set(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    basis_points = _given(command.fee_basis_points, merchant.fee_basis_points)
    fixed_minor = _given(command.fee_fixed_minor, merchant.fee_fixed_minor)
    if not (0 <= basis_points <= BASIS_POINTS and 0 <= fixed_minor <= AMOUNT_MINOR_MAX):
        return RejectionReason.FIELD_INVALID
    return replace(merchant, fee_basis_points=basis_points, fee_fixed_minor=fixed_minor)


def _payouts_set(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    schedule = _given(command.payout_schedule, merchant.payout_schedule)
    if schedule not in PAYOUT_SCHEDULES:
        return RejectionReason.FIELD_INVALID
    account = _given(command.bank_account, merchant.bank_account)
    return replace(merchant, payout_schedule=schedule, bank_account=account)


def _given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _status_set(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    status = command.status
    if status is None or status not in set(MerchantStatus):
        return RejectionReason.FIELD_INVALID
    if (merchant.status, status) not in STATUS_CHANGES:
        return RejectionReason.WRONG_STATE
    return replace(merchant, status=status)


def _modes_set(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    modes = command.modes
    if not modes or not set(Mode).issuperset(modes):
        return RejectionReason.FIELD_INVALID
    return replace(merchant, modes=[mode.value for mode in Mode if mode in modes])


def _limits_set(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    """All limits at once: what the command leaves out has no limit of this merchant's own."""
    amount_max = command.payment_amount_minor_max
    rate, burst = command.requests_per_second_max, command.request_burst_max
    if amount_max is not None and not 0 < amount_max <= AMOUNT_MINOR_MAX:
        return RejectionReason.FIELD_INVALID
    if any(limit is not None and not 0 < limit <= REQUESTS_MAX for limit in (rate, burst)):
        return RejectionReason.FIELD_INVALID
    return replace(
        merchant,
        payment_amount_minor_max=amount_max,
        requests_per_second_max=rate,
        request_burst_max=burst,
    )


def _endpoint_added(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    endpoint_id, url, secret = command.endpoint_id, command.endpoint_url, command.encrypted_secret
    if not endpoint_id or not url or not secret:
        return RejectionReason.FIELD_INVALID
    if any(endpoint.endpoint_id == endpoint_id for endpoint in merchant.endpoints):
        return RejectionReason.ALREADY_EXISTS
    kept = merchant.endpoints
    if len(kept) >= ENDPOINTS_MAX:
        kept = [endpoint for endpoint in kept if endpoint.enabled]
    if len(kept) >= ENDPOINTS_MAX:
        return RejectionReason.TOO_MANY_ENDPOINTS
    mode = command.endpoint_mode
    if mode is not None and mode not in set(Mode):
        return RejectionReason.FIELD_INVALID
    new = Endpoint(endpoint_id, url, [secret], enabled=True, mode=mode)
    return replace(merchant, endpoints=[*kept, new])


def _endpoint_removed(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    """Disabled, so that its pending deliveries end with a reason."""
    return _with_endpoint(merchant, command, lambda found: replace(found, enabled=False))


def _secret_rotated(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    """The newest secret first; it and the one before sign both."""
    secret = command.encrypted_secret
    if not secret:
        return RejectionReason.FIELD_INVALID

    def rotated(found: Endpoint) -> Endpoint:
        secrets = [secret, *found.encrypted_secrets][:SECRETS_MAX]
        return replace(found, encrypted_secrets=secrets)

    return _with_endpoint(merchant, command, rotated)


def _with_endpoint(
    merchant: Merchant, command: MerchantCommand, change: Callable[[Endpoint], Endpoint]
) -> Merchant | RejectionReason:
    if not any(e.endpoint_id == command.endpoint_id and e.enabled for e in merchant.endpoints):
        return RejectionReason.NO_SUCH_ENDPOINT
    endpoints = [
        change(endpoint) if endpoint.endpoint_id == command.endpoint_id else endpoint
        for endpoint in merchant.endpoints
    ]
    return replace(merchant, endpoints=endpoints)


_CHANGES: dict[str, tuple[MerchantEventType, Change]] = {
    MerchantCommandKind.ISSUE_API_KEY: (MerchantEventType.API_KEY_ISSUED, api_key_issued),
    MerchantCommandKind.REVOKE_API_KEY: (MerchantEventType.API_KEY_REVOKED, api_key_revoked),
    MerchantCommandKind.ROTATE_API_KEY: (MerchantEventType.API_KEY_ROTATED, api_key_rotated),
    MerchantCommandKind.ADD_PRODUCER_KEY: (
        MerchantEventType.PRODUCER_KEY_ADDED,
        producer_key_added,
    ),
    MerchantCommandKind.REMOVE_PRODUCER_KEY: (
        MerchantEventType.PRODUCER_KEY_REMOVED,
        producer_key_removed,
    ),
    MerchantCommandKind.SET_STATUS: (MerchantEventType.STATUS_SET, _status_set),
    MerchantCommandKind.SET_MODES: (MerchantEventType.MODES_SET, _modes_set),
    MerchantCommandKind.SET_LIMITS: (MerchantEventType.LIMITS_SET, _limits_set),
    MerchantCommandKind.ADD_ENDPOINT: (MerchantEventType.ENDPOINT_ADDED, _endpoint_added),
    MerchantCommandKind.REMOVE_ENDPOINT: (MerchantEventType.ENDPOINT_REMOVED, _endpoint_removed),
    MerchantCommandKind.ROTATE_SECRET: (MerchantEventType.SECRET_ROTATED, _secret_rotated),
    MerchantCommandKind.SET_FEES: (MerchantEventType.FEES_SET, _fees_set),
    MerchantCommandKind.SET_PAYOUTS: (MerchantEventType.PAYOUTS_SET, _payouts_set),
}
