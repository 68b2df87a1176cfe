"""Transactions as rows, the way the sink stores them and `paystream verify` expects them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.records import PaymentEvent, PayoutEvent, ReconciliationEvent
from sinks.audit.ledger.mapping import transaction_for
from sinks.audit.ledger.transaction import LedgerTransaction


class EntryRow(NamedTuple):
    """One entry; names as in the view ledger_entries, the time as epoch milliseconds."""

    entry_id: str
    transaction_id: str
    leg: int
    transaction_type: str
    account: str
    state: str
    merchant_id: str
    payment_id: str
    payout_id: str
    mode: str
    currency: str
    amount_minor: int
    occurred_at_ms: int


ENTRY_COLUMNS_SQL = ", ".join(
    "toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms" if name == "occurred_at_ms" else name
    for name in EntryRow._fields
)
"""What to select from ledger_entries to get the fields of EntryRow in their order."""


def entry_rows(transaction: LedgerTransaction) -> list[EntryRow]:
    """One row per entry, legs counted from 1."""
    return [
        EntryRow(
            transaction.entry_id(leg),
            transaction.transaction_id,
            leg,
            transaction.transaction_type,
            entry.account,
            entry.state,
            transaction.merchant_id,
            transaction.payment_id,
            transaction.payout_id,
            transaction.mode,
            entry.currency,
            entry.amount_minor,
            transaction.occurred_at_ms,
        )
        for leg, entry in enumerate(transaction.entries, 1)
    ]


def expected_entries(
    events: Iterable[PaymentEvent | PayoutEvent | ReconciliationEvent],
) -> Iterator[EntryRow]:
    """All rows that the ledger must hold for these events, in their order.

    Raises UnbalancedTransaction at the first event whose amounts cannot be a movement.
    """
    for event in events:
        transaction = transaction_for(event)
        if transaction is not None:
            yield from entry_rows(transaction)
