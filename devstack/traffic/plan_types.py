"""What one customer's payment will be: pure data, decided before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StepKind = Literal["answer", "capture", "void", "refund"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What follows a create, once the payment has the status that it needs.

    No amount: all that is left. `result` is the customer's answer to 3-D Secure.
    """

    kind: StepKind
    amount_minor: int | None = None
    final: bool = False
    result: Literal["success", "failure"] = "success"
    after_seconds: float = 0.0
    copies: int = 1
    is_refused: bool = False


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One payment: the create request, its copies, and its steps."""

    number: int
    merchant: int
    scenario: str
    idempotency_key: str
    amount_minor: int
    currency: str
    card: str
    reference: str
    capture_method: Literal["automatic", "manual"] = "automatic"
    capture_delay_seconds: int | None = None
    copies: int = 1
    repeats_later: bool = False
    sends_other_body: bool = False
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MerchantPlan:
    """One merchant to register; `endpoint` is its path under the receiver's `/hooks/`."""

    name: str
    endpoint: str
    bank_account: str
    share: float
    fee_basis_points: int
    fee_fixed_minor: int
