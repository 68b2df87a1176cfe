"""Which entries reconciliation makes. Debits are positive; what sums to zero makes no entry.

G is what a line or deposit says, F the network's fee in it, O what we expected (an operation of
ours, or what a report's lines sum to). G and F are in the line's currency, O in ours.

    line.settled          bank_clearing +(G-F), network_cost +F, network_receivable -G
    line.suspended        bank_clearing +(G-F), suspense -(G-F)
    line.reclassified         suspense +O, network_receivable -O; network_cost +F, suspense -F
    deposit.suspended     bank_clearing +G, suspense -G
    deposit.reclassified      suspense +O, bank_clearing -O: the report's lines post it one by one
    difference.written_off
                          suspense +(G-F), network_cost -(G-F); network_cost +O, suspense -O
                          (network_receivable -O where the network never reported it)
    settlement.corrected  network_receivable +O, bank_clearing -O: payment.settled had posted it

So bank_clearing gains what the bank got, network_receivable loses what was reported, and suspense
holds exactly the differences that nobody has explained or written off.
"""

from collections import defaultdict
from collections.abc import Callable

from schemas.enums import ReconciliationEventType as Type
from schemas.records import ReconciliationEvent
from sinks.audit.ledger.accounts import Account
from sinks.audit.ledger.transaction import Entry, LedgerTransaction


class _Legs:
    """Sums per account and currency, in the order in which accounts were first named."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Account, str], int] = defaultdict(int)

    def move(self, debit: Account, credit: Account, amount_minor: int, currency: str) -> None:
        """From the credited to the debited account; below 0 the other way."""
        self._sums[debit, currency] += amount_minor
        self._sums[credit, currency] -= amount_minor

    def entries(self) -> tuple[Entry, ...]:
        """What is left of them."""
        return tuple(
            Entry(account, amount_minor, currency)
            for (account, currency), amount_minor in self._sums.items()
            if amount_minor
        )


def _line_settled(event: ReconciliationEvent, legs: _Legs) -> None:
    net_minor = event.gross_minor - event.fee_minor
    legs.move(Account.BANK_CLEARING, Account.NETWORK_RECEIVABLE, net_minor, event.currency)
    legs.move(Account.NETWORK_COST, Account.NETWORK_RECEIVABLE, event.fee_minor, event.currency)


def _suspended(event: ReconciliationEvent, legs: _Legs) -> None:
    net_minor = event.gross_minor - event.fee_minor
    legs.move(Account.BANK_CLEARING, Account.SUSPENSE, net_minor, event.currency)


def _line_accepted(event: ReconciliationEvent, legs: _Legs) -> None:
    legs.move(
        Account.SUSPENSE, Account.NETWORK_RECEIVABLE, event.expected_minor, event.expected_currency
    )
    legs.move(Account.NETWORK_COST, Account.SUSPENSE, event.fee_minor, event.currency)


def _deposit_accepted(event: ReconciliationEvent, legs: _Legs) -> None:
    legs.move(
        Account.SUSPENSE, Account.BANK_CLEARING, event.expected_minor, event.expected_currency
    )


def _written_off(event: ReconciliationEvent, legs: _Legs) -> None:
    never_reported = event.line_id is None and event.operation_id is not None
    kept = Account.NETWORK_RECEIVABLE if never_reported else Account.SUSPENSE
    net_minor = event.gross_minor - event.fee_minor
    legs.move(Account.SUSPENSE, Account.NETWORK_COST, net_minor, event.currency)
    legs.move(Account.NETWORK_COST, kept, event.expected_minor, event.expected_currency)


def _settlement_corrected(event: ReconciliationEvent, legs: _Legs) -> None:
    legs.move(
        Account.NETWORK_RECEIVABLE,
        Account.BANK_CLEARING,
        event.expected_minor,
        event.expected_currency,
    )


RECONCILIATION_RULES: dict[str, Callable[[ReconciliationEvent, _Legs], None]] = {
    Type.LINE_SETTLED: _line_settled,
    Type.LINE_SUSPENDED: _suspended,
    Type.LINE_RECLASSIFIED: _line_accepted,
    Type.DEPOSIT_SUSPENDED: _suspended,
    Type.DEPOSIT_RECLASSIFIED: _deposit_accepted,
    Type.DIFFERENCE_WRITTEN_OFF: _written_off,
    Type.SETTLEMENT_CORRECTED: _settlement_corrected,
}
"""Reconciliation event type -> its rule; types that are not here move no money."""


def reconciliation_transaction(event: ReconciliationEvent) -> LedgerTransaction | None:
    """The transaction that records the event; None if it moves no money."""
    rule = RECONCILIATION_RULES.get(event.type)
    if rule is None:
        return None
    legs = _Legs()
    rule(event, legs)
    entries = legs.entries()
    if not entries:
        return None
    return LedgerTransaction(
        transaction_id=event.event_id,
        transaction_type=event.type,
        merchant_id=event.merchant_id,
        occurred_at_ms=event.occurred_at_ms,
        entries=entries,
        payment_id=event.payment_id,
        mode=event.mode,
    )
