"""Settings of the payout sink: section [payouts], PAYSTREAM_PAYOUTS_*."""

from typing import Annotated

import msgspec

from sinks.payouts.rules import DAY_MS, PayoutPolicy

Positive = Annotated[int, msgspec.Meta(ge=1)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]


class PayoutSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and times; the defaults are for production."""

    pay_test_mode: bool = False
    """Whether test payments are paid out too: only where the bank is a simulator."""
    amount_minor_min: Positive = 1
    """A smaller balance waits for more."""
    cutoff_ms_of_day: Annotated[int, msgspec.Meta(ge=0, lt=DAY_MS)] = 0
    """When the daily schedule closes, UTC."""

    bank_timeout_seconds: PositiveSeconds = 10.0
    bank_in_flight_max: Positive = 50
    retry_seconds: PositiveSeconds = 10.0
    """First wait after a call without a clear result; doubles up to the maximum."""
    retry_seconds_max: PositiveSeconds = 3600.0

    item_memory_seconds: PositiveSeconds = 172_800.0
    """How long an item is remembered, so that a second copy of its record is not paid again. An
    entry takes some 0.4 kB of the worker's memory."""

    poll_seconds: PositiveSeconds = 0.2
    """How often the table is checked for due entries."""
    due_rows_min: Positive = 512
    due_rows_max: Positive = 16_384
    """Due entries read per poll: it doubles while the page is full."""
    close_requests_in_flight_max: Positive = 200
    """Close requests of the daily schedule in flight."""

    def policy(self) -> PayoutPolicy:
        """The rules of the aggregate."""
        return PayoutPolicy(
            pay_test_mode=self.pay_test_mode,
            amount_minor_min=self.amount_minor_min,
            cutoff_ms_of_day=self.cutoff_ms_of_day,
            item_memory_seconds=self.item_memory_seconds,
            retry_seconds=self.retry_seconds,
            retry_seconds_max=self.retry_seconds_max,
        )
