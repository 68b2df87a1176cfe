"""A transaction that cannot be built unless it balances."""

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from sinks.audit.ledger.accounts import Account, EntryState

ENTRIES_MAX = 255
"""Entries of one transaction: the leg number is a UInt8."""


class UnbalancedTransaction(ValueError):
    """Entries that do not sum to zero per currency and state; the message names the sums."""


class Entry(Struct, frozen=True, gc=False):
    """One side of a movement: minor units, debit positive, credit negative, never zero."""

    account: Account
    amount_minor: int
    currency: str
    state: EntryState = EntryState.POSTED


class LedgerTransaction(Struct, frozen=True, kw_only=True):
    """What one event did to the accounts. Raises UnbalancedTransaction when built wrong.

    `transaction_id` is the event's id; the entries' order is part of the transaction, since an
    entry's id is made of its number.
    """

    transaction_id: str
    transaction_type: str
    merchant_id: str
    occurred_at_ms: int
    entries: tuple[Entry, ...]
    mode: str
    payment_id: str = ""
    payout_id: str = ""

    def __post_init__(self) -> None:
        if not 2 <= len(self.entries) <= ENTRIES_MAX:
            raise UnbalancedTransaction(
                f"{self.transaction_id}: {len(self.entries)} entries; 2 to {ENTRIES_MAX} are needed"
            )
        if any(entry.amount_minor == 0 for entry in self.entries):
            raise UnbalancedTransaction(f"{self.transaction_id}: an entry of zero moves nothing")
        if wrong := imbalances(self.entries):
            raise UnbalancedTransaction(f"{self.transaction_id} does not sum to zero: {wrong}")

    def entry_id(self, leg: int) -> str:
        """Identity of the nth entry (1, 2, 3…), the same at every replay."""
        return f"{self.transaction_id}#{leg}"


def imbalances(entries: Iterable[Entry]) -> dict[tuple[str, str], int]:
    """(currency, state) -> sum, of those that are not zero."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        sums[entry.currency, entry.state] += entry.amount_minor
    return {key: total for key, total in sums.items() if total}
