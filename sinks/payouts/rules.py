"""The rules of payouts: the item of an event, due times, retry delays (pure)."""

import zlib

import msgspec

from runtime.backoff import backoff_seconds
from schemas.enums import EventType, Mode
from schemas.records import PaymentEvent, PayoutItem

DAY_MS = 86_400_000
DAILY = "daily"
_JITTER_STEPS = 2**32

_SIGNS: dict[str, tuple[str, int]] = {
    EventType.CAPTURED: ("capture", 1),
    EventType.REFUND_SUCCEEDED: ("refund", -1),
    EventType.DISPUTE_OPENED: ("dispute_opened", -1),
    EventType.DISPUTE_WON: ("dispute_won", 1),
}


class PayoutPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and times of payouts."""

    pay_test_mode: bool = False
    """Whether test money is paid, too; its balances stay open otherwise."""
    items_max: int = 10_000
    """Items of one payout; a balance that reaches it is closed, or carried forward."""
    chunk_items: int = 500
    """Item ids per table entry, so that one more item never rewrites all of them."""
    amount_minor_min: int = 1
    """A smaller balance waits."""
    cutoff_ms_of_day: int = 0
    """When the daily schedule closes, UTC."""
    item_memory_seconds: float = 172_800.0
    """How long an item is remembered, so that a second copy of its record is not paid again."""
    recent_requests_max: int = 256
    """How many close requests per merchant are remembered to absorb duplicates."""
    retry_seconds: float = 10.0
    retry_seconds_max: float = 3600.0
    """An instruction without a result is retried at doubling intervals, without end."""

    def pays(self, mode: str) -> bool:
        """Whether money of this mode may go to a bank."""
        return mode == Mode.LIVE or self.pay_test_mode


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The merchant's data that closing needs."""

    bank_account: str | None
    schedule: str


def item_of(event: PaymentEvent) -> PayoutItem | None:
    """The event's effect on the merchant's balance: amount less fees; None if nothing."""
    found = _SIGNS.get(event.type)
    if found is None:
        return None
    kind, sign = found
    amount_minor = sign * event.amount_minor - event.fee_minor
    if amount_minor == 0:
        return None
    return PayoutItem(
        item_id=event.event_id,
        merchant_id=event.merchant_id,
        mode=event.mode,
        currency=event.currency,
        amount_minor=amount_minor,
        kind=kind,
        payment_id=event.payment_id,
        occurred_at_ms=event.occurred_at_ms,
    )


def next_cutoff_ms(at_ms: int, cutoff_ms_of_day: int) -> int:
    """The first daily cut-off after the time."""
    days = (at_ms - cutoff_ms_of_day) // DAY_MS + 1
    return days * DAY_MS + cutoff_ms_of_day


def retry_delay_ms(policy: PayoutPolicy, payout_id: str, attempt: int) -> int:
    """Wait after attempt 1, 2, 3… without a result; the jitter depends on the payout alone."""
    seconds = backoff_seconds(attempt, policy.retry_seconds, policy.retry_seconds_max)
    share = zlib.crc32(f"{payout_id}#{attempt}".encode()) / _JITTER_STEPS
    return int(seconds * 1000 * (1 + 0.1 * share))
