"""Merchants as they are now: a copy in memory that follows the compacted topic `merchants`."""

import hashlib
import threading

from runtime.clock import now_ms
from runtime.compacted_topic import CompactedTopic
from runtime.kafka_connection import KafkaConnection
from schemas.codec import UndecodableRecord, decode
from schemas.records import ApiKey, Merchant
from schemas.topics import MERCHANTS


def key_hash(api_key: str) -> str:
    """How api keys are stored: SHA-256, hexadecimal. They carry 256 random bits, so no salt."""
    return hashlib.sha256(api_key.encode()).hexdigest()


class MerchantRegistry:
    """Thread-safe to read. `wait_ready` before use; reads lag the topic by milliseconds."""

    def __init__(self, kafka: KafkaConnection, name: str = "merchant-registry") -> None:
        self._merchants: dict[str, Merchant] = {}
        self._by_key_hash: dict[str, tuple[str, ApiKey]] = {}
        self._changed = threading.Condition()
        self._topic = CompactedTopic(kafka, MERCHANTS, name, self._apply)

    def start(self) -> "MerchantRegistry":
        """Begin to follow the topic."""
        self._topic.start()
        return self

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._topic.stop()

    @property
    def ready(self) -> bool:
        """The whole topic was read once."""
        return self._topic.ready

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Whether the whole topic was read within the time."""
        return self._topic.wait_ready(timeout_seconds)

    @property
    def age_seconds(self) -> float:
        """How long ago the broker last answered; infinite before it did."""
        return self._topic.age_seconds

    def refresh(self, timeout_seconds: float) -> bool:
        """Whether every merchant that was committed before is known, within the time."""
        return self._topic.refresh(timeout_seconds)

    def wait_for(self, merchant_id: str, version: int, timeout_seconds: float) -> Merchant | None:
        """The merchant once it has reached the version; None if the time is over before."""

        def reached() -> bool:
            found = self._merchants.get(merchant_id)
            return found is not None and found.version >= version

        with self._changed:
            self._changed.wait_for(reached, timeout_seconds)
        return self._merchants.get(merchant_id) if reached() else None

    def get(self, merchant_id: str) -> Merchant | None:
        """The merchant as it is now."""
        return self._merchants.get(merchant_id)

    def all(self) -> list[Merchant]:
        """Every merchant."""
        return list(self._merchants.values())

    def by_api_key_hash(self, hashed: str) -> tuple[Merchant, ApiKey] | None:
        """The merchant and the key, unless the key is unknown or has expired."""
        found = self._by_key_hash.get(hashed)
        if found is None:
            return None
        merchant_id, api_key = found
        merchant = self._merchants.get(merchant_id)
        expired = api_key.expires_at_ms is not None and api_key.expires_at_ms <= now_ms()
        return None if merchant is None or expired else (merchant, api_key)

    def _apply(self, key: bytes, value: bytes | None) -> None:
        merchant_id = key.decode()
        merchant = None if value is None else decode(Merchant, value)
        if merchant is not None and merchant.merchant_id != merchant_id:
            raise UndecodableRecord(f"The key is not the id of merchant {merchant.merchant_id}.")
        known = self._merchants.get(merchant_id)
        if merchant is not None and known is not None and merchant.version < known.version:
            raise UndecodableRecord(f"Version {known.version} of {merchant_id} was there before.")
        with self._changed:
            self._replace(merchant_id, merchant)
            self._changed.notify_all()

    def _replace(self, merchant_id: str, merchant: Merchant | None) -> None:
        """Readers hold no lock: the new keys are there before the old ones go."""
        old = self._merchants.get(merchant_id)
        fresh = {k.key_hash: (merchant_id, k) for k in merchant.api_keys} if merchant else {}
        if merchant is not None:
            self._merchants[merchant_id] = merchant
        self._by_key_hash.update(fresh)
        for api_key in old.api_keys if old else ():
            if api_key.key_hash not in fresh:
                self._by_key_hash.pop(api_key.key_hash, None)
        if merchant is None:
            self._merchants.pop(merchant_id, None)
