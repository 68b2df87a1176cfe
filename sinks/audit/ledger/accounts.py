"""The chart of accounts: every place where money of a payment can be."""

from enum import StrEnum
from typing import NamedTuple


class Account(StrEnum):
    """An account of the ledger, one per merchant and currency."""

    CUSTOMER_FUNDS_IN_FLIGHT = "customer_funds_in_flight"
    NETWORK_RECEIVABLE = "network_receivable"
    MERCHANT_PAYABLE = "merchant_payable"
    MERCHANT_RESERVE = "merchant_reserve"
    FEES_REVENUE = "fees_revenue"
    NETWORK_COST = "network_cost"
    DISPUTES = "disputes"
    BANK_CLEARING = "bank_clearing"
    SUSPENSE = "suspense"


class AccountClass(StrEnum):
    """On which side of the balance an account grows; memo accounts hold promises only."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"
    MEMO = "memo"


class EntryState(StrEnum):
    """Pending: promised, and taken back by opposite pending entries. Posted: final."""

    PENDING = "pending"
    POSTED = "posted"


class AccountDescription(NamedTuple):
    """Class of an account and the meaning of its balance."""

    account_class: AccountClass
    meaning: str


CHART: dict[Account, AccountDescription] = {
    Account.CUSTOMER_FUNDS_IN_FLIGHT: AccountDescription(
        AccountClass.MEMO, "Held on customers' cards: authorized, not yet captured or released."
    ),
    Account.NETWORK_RECEIVABLE: AccountDescription(
        AccountClass.ASSET, "What the card network owes us: captured, not yet settled."
    ),
    Account.MERCHANT_PAYABLE: AccountDescription(
        AccountClass.LIABILITY, "What we owe merchants: captures less fees, refunds and payouts."
    ),
    Account.MERCHANT_RESERVE: AccountDescription(
        AccountClass.LIABILITY, "Merchants' money that is held back for open disputes."
    ),
    Account.FEES_REVENUE: AccountDescription(
        AccountClass.INCOME, "Fees that merchants paid to us."
    ),
    Account.NETWORK_COST: AccountDescription(
        AccountClass.EXPENSE, "Fees that we paid to the card network."
    ),
    Account.DISPUTES: AccountDescription(
        AccountClass.ASSET, "Taken by the network for open disputes; ours again if won."
    ),
    Account.BANK_CLEARING: AccountDescription(
        AccountClass.ASSET, "Money at our bank: settled by the network, not yet paid out."
    ),
    Account.SUSPENSE: AccountDescription(
        AccountClass.ASSET, "Differences that reconciliation found and nobody explained yet."
    ),
}
"""Every account with its class and meaning; the view trial_balance shows the classes."""
