"""Double entry: which movements between which accounts each event makes (pure)."""

from sinks.audit.ledger.accounts import (
    CHART,
    Account,
    AccountClass,
    AccountDescription,
    EntryState,
)
from sinks.audit.ledger.entries import ENTRY_COLUMNS_SQL, EntryRow, entry_rows, expected_entries
from sinks.audit.ledger.mapping import PAYMENT_RULES, PAYOUT_RULES, transaction_for
from sinks.audit.ledger.reconciliation import RECONCILIATION_RULES
from sinks.audit.ledger.transaction import (
    ENTRIES_MAX,
    Entry,
    LedgerTransaction,
    UnbalancedTransaction,
    imbalances,
)

__all__ = [
    "CHART",
    "ENTRIES_MAX",
    "ENTRY_COLUMNS_SQL",
    "PAYMENT_RULES",
    "PAYOUT_RULES",
    "RECONCILIATION_RULES",
    "Account",
    "AccountClass",
    "AccountDescription",
    "Entry",
    "EntryRow",
    "EntryState",
    "LedgerTransaction",
    "UnbalancedTransaction",
    "entry_rows",
    "expected_entries",
    "imbalances",
    "transaction_for",
]
