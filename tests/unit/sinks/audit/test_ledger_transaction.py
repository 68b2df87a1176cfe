"""A transaction that does not balance cannot exist."""

import pytest

from sinks.audit.ledger import (
    CHART,
    Account,
    Entry,
    EntryState,
    LedgerTransaction,
    UnbalancedTransaction,
    entry_rows,
)


def build(*entries: Entry) -> LedgerTransaction:
    return LedgerTransaction(
        transaction_id="pay_1-4",
        transaction_type="payment.captured",
        merchant_id="mer_1",
        occurred_at_ms=1,
        entries=entries,
        payment_id="pay_1",
        mode="test",
    )


RECEIVABLE = Entry(Account.NETWORK_RECEIVABLE, 1000, "EUR")
PAYABLE = Entry(Account.MERCHANT_PAYABLE, -960, "EUR")
FEE = Entry(Account.FEES_REVENUE, -40, "EUR")


def test_a_balanced_transaction_numbers_its_entries() -> None:
    rows = entry_rows(build(RECEIVABLE, PAYABLE, FEE))
    assert [(row.entry_id, row.leg, row.amount_minor) for row in rows] == [
        ("pay_1-4#1", 1, 1000),
        ("pay_1-4#2", 2, -960),
        ("pay_1-4#3", 3, -40),
    ]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((RECEIVABLE, PAYABLE), r"does not sum to zero: .*EUR.*40"),
        ((RECEIVABLE,), "1 entries"),
        ((), "0 entries"),
        (
            (RECEIVABLE, Entry(Account.MERCHANT_PAYABLE, -1000, "USD")),
            "EUR.*1000.*USD.*-1000",
        ),
        (
            (RECEIVABLE, Entry(Account.MERCHANT_PAYABLE, -1000, "EUR", EntryState.PENDING)),
            "posted.*1000.*pending.*-1000",
        ),
        ((RECEIVABLE, PAYABLE, FEE, Entry(Account.SUSPENSE, 0, "EUR")), "zero moves nothing"),
        ((RECEIVABLE, PAYABLE, FEE) * 100, "300 entries; 2 to 255"),
    ],
    ids=["unbalanced", "one", "none", "two currencies", "two states", "zero", "too many"],
)
def test_anything_else_is_refused(entries: tuple[Entry, ...], words: str) -> None:
    with pytest.raises(UnbalancedTransaction, match=words):
        build(*entries)


def test_two_currencies_that_balance_each_are_one_transaction() -> None:
    transaction = build(
        RECEIVABLE,
        PAYABLE,
        FEE,
        Entry(Account.BANK_CLEARING, 5, "JPY"),
        Entry(Account.SUSPENSE, -5, "JPY"),
    )
    assert len(transaction.entries) == 5


def test_the_chart_describes_every_account() -> None:
    assert set(CHART) == set(Account)
