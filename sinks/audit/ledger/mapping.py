"""Which entries each event makes. Debits are positive; an amount of zero makes no entry.

With C captured, F fee, H hold released, R refunded, D disputed, S settled, P paid out:

posted
    captured          network_receivable +C, merchant_payable -(C-F), fees_revenue -F
    refund.succeeded  merchant_payable +R, network_receivable -R
    dispute.opened    disputes +D, network_receivable -D; merchant_payable +D, merchant_reserve -D
    dispute.won       network_receivable +D, disputes -D; merchant_reserve +D, merchant_payable -D
    dispute.lost      merchant_reserve +D, disputes -D
    settled           bank_clearing +S, network_receivable -S; nothing if reconciliation says so,
                      since it posts each line by itself (reconciliation.py)
    payout.paid       merchant_payable +P, bank_clearing -P
pending
    authorized        network_receivable +A, customer_funds_in_flight -A
    captured, voided, expired
                      customer_funds_in_flight +H, network_receivable -H
    payout.created    merchant_payable +P, bank_clearing -P
    payout.paid, payout.failed
                      bank_clearing +P, merchant_payable -P

A fee on a later event makes merchant_payable +F, fees_revenue -F besides.
"""

from collections.abc import Callable

from schemas.enums import EventType, PayoutEventType, Source
from schemas.records import PaymentEvent, PayoutEvent, ReconciliationEvent
from sinks.audit.ledger.accounts import Account, EntryState
from sinks.audit.ledger.reconciliation import reconciliation_transaction
from sinks.audit.ledger.transaction import Entry, LedgerTransaction

Legs = list[Entry]


def _moved(
    debit: Account,
    credit: Account,
    amount_minor: int,
    currency: str,
    state: EntryState = EntryState.POSTED,
) -> Legs:
    """A debit and its credit; nothing if nothing moves."""
    if amount_minor == 0:
        return []
    return [
        Entry(debit, amount_minor, currency, state),
        Entry(credit, -amount_minor, currency, state),
    ]


def _hold(event: PaymentEvent) -> Legs:
    return _moved(
        Account.NETWORK_RECEIVABLE,
        Account.CUSTOMER_FUNDS_IN_FLIGHT,
        event.amount_minor,
        event.currency,
        EntryState.PENDING,
    )


def _release(amount_minor: int, currency: str) -> Legs:
    return _moved(
        Account.CUSTOMER_FUNDS_IN_FLIGHT,
        Account.NETWORK_RECEIVABLE,
        amount_minor,
        currency,
        EntryState.PENDING,
    )


def _fee(event: PaymentEvent) -> Legs:
    return _moved(Account.MERCHANT_PAYABLE, Account.FEES_REVENUE, event.fee_minor, event.currency)


def _captured(event: PaymentEvent) -> Legs:
    currency, net_minor = event.currency, event.amount_minor - event.fee_minor
    parts = [
        Entry(Account.NETWORK_RECEIVABLE, event.amount_minor, currency),
        Entry(Account.MERCHANT_PAYABLE, -net_minor, currency),
        Entry(Account.FEES_REVENUE, -event.fee_minor, currency),
    ]
    return [part for part in parts if part.amount_minor] + _release(
        _released_by_capture_minor(event), currency
    )


def _released_by_capture_minor(event: PaymentEvent) -> int:
    """The captured part of the hold, and its rest too if the capture is final.

    A payment is authorized for all that was requested, so what a final capture leaves over is the
    difference to what stays authorized.
    """
    return event.amount_minor + event.requested_minor - event.authorized_minor


def _released(event: PaymentEvent) -> Legs:
    return _release(event.amount_minor, event.currency)


def _refunded(event: PaymentEvent) -> Legs:
    return _moved(
        Account.MERCHANT_PAYABLE, Account.NETWORK_RECEIVABLE, event.amount_minor, event.currency
    ) + _fee(event)


def _dispute_opened(event: PaymentEvent) -> Legs:
    amount_minor, currency = event.amount_minor, event.currency
    return (
        _moved(Account.DISPUTES, Account.NETWORK_RECEIVABLE, amount_minor, currency)
        + _moved(Account.MERCHANT_PAYABLE, Account.MERCHANT_RESERVE, amount_minor, currency)
        + _fee(event)
    )


def _dispute_won(event: PaymentEvent) -> Legs:
    amount_minor, currency = event.amount_minor, event.currency
    return (
        _moved(Account.NETWORK_RECEIVABLE, Account.DISPUTES, amount_minor, currency)
        + _moved(Account.MERCHANT_RESERVE, Account.MERCHANT_PAYABLE, amount_minor, currency)
        + _fee(event)
    )


def _dispute_lost(event: PaymentEvent) -> Legs:
    return _moved(
        Account.MERCHANT_RESERVE, Account.DISPUTES, event.amount_minor, event.currency
    ) + _fee(event)


def _settled(event: PaymentEvent) -> Legs:
    if event.source == Source.RECONCILIATION:
        return _fee(event)
    return _moved(
        Account.BANK_CLEARING, Account.NETWORK_RECEIVABLE, event.amount_minor, event.currency
    ) + _fee(event)


def _payout(event: PayoutEvent, sign: int, state: EntryState) -> Legs:
    """Money on its way from our bank to the merchant's (sign 1), or that promise taken back."""
    return _moved(
        Account.MERCHANT_PAYABLE,
        Account.BANK_CLEARING,
        sign * event.amount_minor,
        event.currency,
        state,
    )


def _payout_created(event: PayoutEvent) -> Legs:
    return _payout(event, 1, EntryState.PENDING)


def _payout_paid(event: PayoutEvent) -> Legs:
    return _payout(event, 1, EntryState.POSTED) + _payout(event, -1, EntryState.PENDING)


def _payout_failed(event: PayoutEvent) -> Legs:
    return _payout(event, -1, EntryState.PENDING)


PAYMENT_RULES: dict[str, Callable[[PaymentEvent], Legs]] = {
    EventType.AUTHORIZED: _hold,
    EventType.CAPTURED: _captured,
    EventType.VOIDED: _released,
    EventType.EXPIRED: _released,
    EventType.REFUND_SUCCEEDED: _refunded,
    EventType.DISPUTE_OPENED: _dispute_opened,
    EventType.DISPUTE_WON: _dispute_won,
    EventType.DISPUTE_LOST: _dispute_lost,
    EventType.SETTLED: _settled,
}
"""Payment event type -> its rule; types that are not here move no money."""

PAYOUT_RULES: dict[str, Callable[[PayoutEvent], Legs]] = {
    PayoutEventType.CREATED: _payout_created,
    PayoutEventType.PAID: _payout_paid,
    PayoutEventType.FAILED: _payout_failed,
}
"""Payout event type -> its rule."""


def transaction_for(
    event: PaymentEvent | PayoutEvent | ReconciliationEvent,
) -> LedgerTransaction | None:
    """The transaction that records the event; None if it moves no money.

    Raises UnbalancedTransaction if the event's amounts cannot be a movement.
    """
    if isinstance(event, PaymentEvent):
        return _payment_transaction(event)
    if isinstance(event, ReconciliationEvent):
        return reconciliation_transaction(event)
    return _payout_transaction(event)


def _payment_transaction(event: PaymentEvent) -> LedgerTransaction | None:
    rule = PAYMENT_RULES.get(event.type)
    legs = rule(event) if rule is not None else []
    if not legs:
        return None
    return LedgerTransaction(
        transaction_id=event.event_id,
        transaction_type=event.type,
        merchant_id=event.merchant_id,
        occurred_at_ms=event.occurred_at_ms,
        entries=tuple(legs),
        payment_id=event.payment_id,
        mode=event.mode,
    )


def _payout_transaction(event: PayoutEvent) -> LedgerTransaction | None:
    rule = PAYOUT_RULES.get(event.type)
    legs = rule(event) if rule is not None else []
    if not legs:
        return None
    return LedgerTransaction(
        transaction_id=event.event_id,
        transaction_type=event.type,
        merchant_id=event.merchant_id,
        occurred_at_ms=event.occurred_at_ms,
        entries=tuple(legs),
        payout_id=event.payout_id,
        mode=event.mode,
    )
