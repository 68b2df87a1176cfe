"""Merchants for the fan-out: an event may arrive before its merchant's registration."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from engine import Retry
from runtime.telemetry import counter
from schemas.records import Merchant

RETRY_SECONDS = 0.2


class RefreshedRegistry(Protocol):
    """The part of `runtime.merchant_registry.MerchantRegistry` that is needed here."""

    @property
    def ready(self) -> bool: ...
    def get(self, merchant_id: str) -> Merchant | None: ...
    def refresh(self, timeout_seconds: float) -> bool: ...


class MerchantLookup:
    """A merchant is registered before its first payment is accepted.

    So one that is unknown after the registry has read all that was committed does not exist. One
    such reading answers for all merchants of a batch: made-up ones cannot hold up the others.
    """

    def __init__(self, registry: RefreshedRegistry, refresh_seconds_max: float) -> None:
        self._registry = registry
        self._refresh_seconds_max = refresh_seconds_max

    async def merchants(self, merchant_ids: Iterable[str]) -> dict[str, Merchant | None]:
        """The merchants; None for one that does not exist.

        Raises engine.Retry while the registry cannot tell.
        """
        if not self._registry.ready:
            raise Retry(RETRY_SECONDS, "The merchants are still being read.")
        found = {m: self._registry.get(m) for m in set(merchant_ids)}
        missing = [m for m, merchant in found.items() if merchant is None]
        if missing:
            if not await asyncio.to_thread(self._registry.refresh, self._refresh_seconds_max):
                raise Retry(RETRY_SECONDS, "The newest merchants cannot be read.")
            found |= {m: self._registry.get(m) for m in missing}
        return found

    def count_unknown(self) -> None:
        """An event is treated as if its merchant had no endpoint."""
        counter("paystream_webhook_merchant_unknown_total").inc()
