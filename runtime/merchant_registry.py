"""Merchants as they are now: a copy in memory that follows the compacted topic `merchants`."""

import hashlib
import threading

from confluent_kafka import Consumer, KafkaError, TopicPartition

from runtime import log
from runtime.clock import now_ms
from runtime.kafka import consumer_settings
from schemas.codec import UndecodableRecord, decode
from schemas.records import ApiKey, Merchant
from schemas.topics import MERCHANTS

_POLL_SECONDS = 0.2
_POLL_RECORDS_MAX = 1_000
_METADATA_TIMEOUT_SECONDS = 10.0
_RETRY_SECONDS = 1.0


def key_hash(api_key: str) -> str:
    """How api keys are stored: SHA-256, hexadecimal. They carry 256 random bits, so no salt."""
    return hashlib.sha256(api_key.encode()).hexdigest()


class MerchantRegistry:
    """Thread-safe to read. `wait_ready` before use; reads lag the topic by milliseconds."""

    def __init__(self, bootstrap: str, name: str = "merchant-registry") -> None:
        self._settings = consumer_settings(bootstrap, name) | {"enable.partition.eof": True}
        self._merchants: dict[str, Merchant] = {}
        self._by_key_hash: dict[str, tuple[str, ApiKey]] = {}
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow, name=name, daemon=True)
        self._log = log.get("runtime.merchant_registry")

    def start(self) -> "MerchantRegistry":
        """Begin to follow the topic."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stopping.set()
        self._thread.join(_METADATA_TIMEOUT_SECONDS + 2 * _RETRY_SECONDS)

    @property
    def ready(self) -> bool:
        """The whole topic was read once."""
        return self._ready.is_set()

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Whether the whole topic was read within the time."""
        return self._ready.wait(timeout_seconds)

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

    def _follow(self) -> None:
        consumer = Consumer(self._settings)
        try:
            open_partitions = self._assign(consumer)
            while not self._stopping.is_set():
                for message in consumer.consume(_POLL_RECORDS_MAX, _POLL_SECONDS):
                    error = message.error()
                    if error is None:
                        self._apply(message.key(), message.value())
                    elif error.code() == KafkaError._PARTITION_EOF:
                        open_partitions.discard(message.partition())
                    else:
                        self._log.warning("merchants unreadable for now", error=error.str())
                if not open_partitions:
                    self._ready.set()
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> set[int]:
        while not self._stopping.is_set():
            try:
                topic = consumer.list_topics(MERCHANTS, timeout=_METADATA_TIMEOUT_SECONDS)
                partitions = set(topic.topics[MERCHANTS].partitions)
            except Exception as error:
                self._log.warning("topic merchants is not there yet", error=str(error))
                partitions = set()
            if partitions:
                consumer.assign([TopicPartition(MERCHANTS, p, 0) for p in partitions])
                return partitions
            self._stopping.wait(_RETRY_SECONDS)
        return set()

    def _apply(self, key: bytes, value: bytes | None) -> None:
        merchant_id = key.decode()
        try:
            merchant = None if value is None else decode(Merchant, value)
        except UndecodableRecord as error:
            self._log.error("merchant snapshot skipped", merchant_id=merchant_id, error=str(error))
            return
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
