"""Merchants for the fan-out: an event may arrive before its merchant's registration."""

from collections.abc import Callable, Iterable

from engine import Retry
from runtime.telemetry import counter
from schemas.records import Merchant
from sinks.webhooks.attempts import Registry

RETRY_SECONDS = 0.2
MISSING_MERCHANTS_MAX = 10_000


class MerchantLookup:
    """Remembers since when a merchant is missing, so that each is waited for once."""

    def __init__(self, registry: Registry, wait_seconds: float, now_ms: Callable[[], int]) -> None:
        self._registry = registry
        self._wait_ms = int(wait_seconds * 1000)
        self._now_ms = now_ms
        self._missed_since: dict[str, int] = {}

    def merchants(self, merchant_ids: Iterable[str]) -> dict[str, Merchant | None]:
        """The merchants; None for one that has not arrived in time.

        Raises engine.Retry while one of them may still arrive.
        """
        if not self._registry.ready:
            raise Retry(RETRY_SECONDS, "The merchants are still being read.")
        found = {m: self._registry.get(m) for m in set(merchant_ids)}
        missing = [m for m, merchant in found.items() if merchant is None]
        awaited = [m for m in missing if self._may_still_arrive(m)]
        if awaited:
            raise Retry(RETRY_SECONDS, f"{len(awaited)} merchants are not registered yet.")
        return found

    def count_unknown(self) -> None:
        """An event is treated as if its merchant had no endpoint."""
        counter("paystream_webhook_merchant_unknown_total").inc()

    def _may_still_arrive(self, merchant_id: str) -> bool:
        now = self._now_ms()
        if len(self._missed_since) >= MISSING_MERCHANTS_MAX:
            self._missed_since.pop(next(iter(self._missed_since)))
        return now - self._missed_since.setdefault(merchant_id, now) < self._wait_ms
