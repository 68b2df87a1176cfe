"""What the simulated bank answers: pure decisions over its own records.

Scripted accounts, by the beginning of the account number: `DE00REJECT…` is rejected, `DE00LOST…`
is taken and the first answer is lost; every other account, as `DE00ACCEPT…`, is paid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec

from devstack.simulators.cards import TimeOut
from devstack.simulators.references import letters_of

Record = dict[str, Any]
ACCEPTED_ACCOUNT = "DE00ACCEPT"
REJECTED_ACCOUNT = "DE00REJECT"
LOST_ANSWER_ACCOUNT = "DE00LOST"
LOG_FIELDS = (
    "idempotency_key",
    "account",
    "amount_minor",
    "currency",
    "status",
    "reason",
    "bank_reference",
    "at_ms",
)


class PayoutInstruction(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /v1/payouts`; the amount in minor units."""

    idempotency_key: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    account: Annotated[str, msgspec.Meta(min_length=4, max_length=64)]
    amount_minor: Annotated[int, msgspec.Meta(ge=1)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


@dataclass
class Bank:
    """All instructions by idempotency key."""

    payouts: dict[str, Record] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def apply(self, record: Record) -> None:
        """Fold one record of the journal."""
        self.requests[record["idempotency_key"]] += 1
        if record["kind"] == "payout":
            self.payouts[record["idempotency_key"]] = record

    def fingerprint_of(self, key: str) -> str | None:
        """Fingerprint of the body that took effect under a key, None if none did."""
        record = self.payouts.get(key)
        return record["fingerprint"] if record else None

    def answer(self, key: str) -> Record:
        """The response to an instruction."""
        return {name: self.payouts[key][name] for name in ("status", "bank_reference", "reason")}

    def time_out(self, instruction: PayoutInstruction) -> TimeOut:
        """The scripted loss of the first answer of a key."""
        first = self.requests[instruction.idempotency_key] == 0
        lost = instruction.account.startswith(LOST_ANSWER_ACCOUNT)
        return TimeOut.WITH_EFFECT if first and lost else TimeOut.NONE

    @staticmethod
    def decide(instruction: PayoutInstruction, *, fingerprint: str, at_ms: int) -> Record:
        """The record of an instruction that is the first of its key."""
        rejected = instruction.account.startswith(REJECTED_ACCOUNT)
        digest = letters_of(instruction.idempotency_key, 20)
        return {
            "kind": "payout",
            **msgspec.structs.asdict(instruction),
            "fingerprint": fingerprint,
            "status": "rejected" if rejected else "accepted",
            "reason": "account_closed" if rejected else None,
            "bank_reference": f"bank_{digest}",
            "at_ms": at_ms,
        }

    def log_lines(self) -> Iterator[Record]:
        """One line per instruction, oldest first."""
        for key, record in self.payouts.items():
            yield {name: record[name] for name in LOG_FIELDS} | {"requests": self.requests[key]}

    def statement(self, day: date) -> list[Record]:
        """Bookings of a day (UTC): what left to merchants' accounts."""
        return [
            {name: line[name] for name in LOG_FIELDS if name not in ("status", "reason")}
            for line in self.payouts.values()
            if line["status"] == "accepted"
            and datetime.fromtimestamp(line["at_ms"] / 1000, UTC).date() == day
        ]

    def summary(self) -> Record:
        """Counts by status and sums by currency."""
        paid: Counter[str] = Counter()
        for line in self.payouts.values():
            if line["status"] == "accepted":
                paid[line["currency"]] += line["amount_minor"]
        return {
            "payouts": Counter(line["status"] for line in self.payouts.values()),
            "paid_minor": paid,
            "requests": self.requests.total(),
            "repeats": sum(count - 1 for count in self.requests.values() if count > 1),
        }
