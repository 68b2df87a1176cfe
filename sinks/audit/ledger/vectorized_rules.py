"""The payment rules of `mapping` as linear forms, so that whole batches of events can be mapped.

The rules are not written twice: each rule is evaluated once with amounts from which the factor of
each can be recovered, and once with others to check that it is linear. A rule that is not linear
has no form here; its events are mapped one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas.records import PaymentEvent
from sinks.audit.ledger.accounts import Account, EntryState
from sinks.audit.ledger.mapping import PAYMENT_RULES, transaction_for
from sinks.audit.ledger.transaction import Entry, UnbalancedTransaction

AMOUNTS = ("amount_minor", "fee_minor", "requested_minor", "authorized_minor")
"""Fields of an event that a rule may use."""
_BASE = 1000  # far above twice any factor, so that no two factors run into each other
_PROBES = ((1, _BASE, _BASE**2, _BASE**3), (7, 2 * _BASE, 5 * _BASE**2, 3 * _BASE**3))


class VectorizedEntry(NamedTuple):
    """An entry: the sum of `factors` times AMOUNTS; none is made where that is zero."""

    account: Account
    state: EntryState
    factors: tuple[int, ...]

    def amount_minor(self, amounts: tuple[int, ...]) -> int:
        """The entry's amount for an event with these AMOUNTS."""
        return sum(factor * each for factor, each in zip(self.factors, amounts, strict=True))


def vectorized_rules() -> dict[str, tuple[VectorizedEntry, ...]]:
    """Event type -> its legs in order, for each payment rule that is linear in AMOUNTS."""
    found = {}
    for event_type in PAYMENT_RULES:
        legs = _legs(event_type)
        if legs is not None:
            found[str(event_type)] = legs
    return found


def _legs(event_type: str) -> tuple[VectorizedEntry, ...] | None:
    first, second = (_entries(event_type, probe) for probe in _PROBES)
    legs = tuple(VectorizedEntry(e.account, e.state, _factors(e.amount_minor)) for e in first)
    again = [Entry(leg.account, leg.amount_minor(_PROBES[1]), "EUR", leg.state) for leg in legs]
    return legs if legs and again == second else None


def _entries(event_type: str, amounts: tuple[int, ...]) -> list[Entry]:
    blank: dict[str, Any] = {**dict.fromkeys(_TEXTS, ""), **dict.fromkeys(_NUMBERS, 0)}
    blank |= zip(AMOUNTS, amounts, strict=True)
    try:
        transaction = transaction_for(PaymentEvent(type=event_type, currency="EUR", **blank))
    except UnbalancedTransaction:
        return []
    return [] if transaction is None else list(transaction.entries)


def _factors(total: int) -> tuple[int, ...]:
    """Digits of the number to the base, each between minus and plus half of it."""
    factors = []
    for _ in AMOUNTS:
        digit = (total + _BASE // 2) % _BASE - _BASE // 2
        factors.append(digit)
        total = (total - digit) // _BASE
    return tuple(factors)


_TEXTS = (
    *("event_id", "payment_id", "merchant_id", "mode", "status", "command_id", "command_kind"),
    *("fingerprint", "source", "capture_method"),
)
_NUMBERS = (
    *("sequence", "occurred_at_ms", "captured_minor", "refunded_minor", "fees_minor"),
    *("fee_basis_points", "fee_fixed_minor"),
)
