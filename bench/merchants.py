"""The merchant of the benches: active, with the fees of the local stack's shops."""

from typing import Any

from schemas.records import Merchant


def bench_merchant(merchant_id: str, **fields: Any) -> Merchant:
    """A merchant as the merchants agent would publish it, with these fields."""
    return Merchant(
        merchant_id=merchant_id,
        version=1,
        name="bench",
        status="active",
        registered_at_ms=1,
        updated_at_ms=1,
        payout_schedule="daily",
        fee_basis_points=140,
        fee_fixed_minor=25,
        **fields,
    )
