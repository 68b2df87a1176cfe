"""`paystream merchant`: a merchant's status, modes, limits and fees."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cyclopts import Parameter

from paystream.cli.administration import administration
from paystream.cli.output import print_json

Action = Literal["show", "activate", "suspend", "close", "change"]
_STATUS = {"activate": "active", "suspend": "suspended", "close": "closed"}


@Parameter(name="*")
@dataclass(frozen=True)
class Terms:
    """What a merchant may do, for change.

    Args:
        modes: test, live, or both separated by a comma.
        payment_amount_max: Largest amount of a payment in minor units; 0 means none.
        requests_per_second_max: Rate of its API requests; 0 means the API's setting.
        request_burst_max: Requests at once; 0 means the API's setting.
        fee_basis_points: 1/100 percent; -1 leaves it.
        fee_fixed_minor: Minor units; -1 leaves it.
    """

    modes: str = ""
    payment_amount_max: int = 0
    requests_per_second_max: int = 0
    request_burst_max: int = 0
    fee_basis_points: int = -1
    fee_fixed_minor: int = -1

    def change(self) -> dict[str, Any]:
        """The request; limits are set all at once, and only if one is named."""
        change: dict[str, Any] = {}
        limits = {
            "payment_amount_max": self.payment_amount_max,
            "requests_per_second_max": self.requests_per_second_max,
            "request_burst_max": self.request_burst_max,
        }
        if self.modes:
            change["modes"] = [mode.strip() for mode in self.modes.split(",")]
        if any(limits.values()):
            change["limits"] = {name: value or None for name, value in limits.items()}
        for name in ("fee_basis_points", "fee_fixed_minor"):
            if getattr(self, name) >= 0:
                change[name] = getattr(self, name)
        return change


_NO_TERMS = Terms()


def merchant(
    action: Action,
    merchant: str,
    *,
    terms: Terms = _NO_TERMS,
    reason: str = "",
    actor: str = "",
    env_file: Path | None = None,
) -> int:
    """Show a merchant, or decide what it may do.

    Example: paystream merchant suspend mer_… --reason "fraud case 17"

    Args:
        action: What to do; closed is the end of a merchant.
        merchant: Which one, mer_….
        reason: Why, for the record; everything but show needs one.
        actor: Who decides; the user of this machine if left out.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    change = terms.change() if action == "change" else {}
    if action in _STATUS:
        change = {"status": _STATUS[action]}
    with administration(env_file, actor, reason, reads=action == "show") as api:
        print_json(api.change(merchant, change) if change else api.merchant(merchant))
    return 0
