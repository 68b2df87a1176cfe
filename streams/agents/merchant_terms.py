"""Every merchant's terms in the memory of each payments worker, as far as commands need them.

The topic `merchants` is keyed by merchant and payments are keyed by payment, so each worker follows
all of it. Terms stay encoded: a merchant with one producer key takes 220 bytes, so that two million
take 440 MB (`python -m bench admission`).
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import msgspec

from engine import Retry
from schemas.codec import decode
from schemas.records import Merchant
from streams.domain.admission import AdmissionPolicy, MerchantTerms, ProducerKeyTerms

_RETRY_SECONDS = 1.0
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(MerchantTerms)


class Followed(Protocol):
    """A compacted topic that is followed; `runtime.compacted_topic.CompactedTopic` is one."""

    @property
    def age_seconds(self) -> float:
        """How long ago the broker last said where the topic ends."""

    def refresh(self, timeout_seconds: float) -> bool:
        """Whether all that was committed when this was called has been applied within the time."""


class TermsTable:
    """Merchant id -> terms; written by the follower's thread, read by the agent's."""

    def __init__(self) -> None:
        self._encoded: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._encoded)

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the topic. Raises UndecodableRecord."""
        if value is None:
            self._encoded.pop(key, None)
        else:
            self._encoded[key] = _encoder.encode(terms_of(decode(Merchant, value)))

    def get(self, merchant_id: str) -> MerchantTerms | None:
        """The merchant's terms as they are now."""
        encoded = self._encoded.get(merchant_id.encode("utf-8", "surrogatepass"))
        return None if encoded is None else _decoder.decode(encoded)


def terms_of(merchant: Merchant) -> MerchantTerms:
    """What of a merchant commands need."""
    return MerchantTerms(
        merchant.status,
        tuple(merchant.modes),
        merchant.fee_basis_points,
        merchant.fee_fixed_minor,
        merchant.payment_amount_minor_max,
        tuple(
            ProducerKeyTerms(key.key_id, key.mode, key.public_key, key.expires_at_ms)
            for key in merchant.producer_keys
        ),
    )


class Merchants:
    """The terms with the promise that matters: who was registered before a command, is known."""

    def __init__(self, table: TermsTable, topic: Followed, policy: AdmissionPolicy) -> None:
        self._table = table
        self._topic = topic
        self._policy = policy
        self.get = table.get

    async def prepare(self, merchant_ids: Iterable[str]) -> None:
        """Read on if one of them is not known: its registration may have come a moment ago.

        One wait serves a whole batch, however many made-up ids are in it. Raises Retry while the
        topic cannot be read.
        """
        policy = self._policy
        if self._topic.age_seconds <= policy.merchants_age_seconds_max and all(
            self._table.get(merchant_id) is not None for merchant_id in merchant_ids
        ):
            return
        seconds = policy.merchants_refresh_seconds
        if not await asyncio.to_thread(self._topic.refresh, seconds):
            raise Retry(
                _RETRY_SECONDS,
                f"The topic merchants could not be read to its end within {seconds:g} s, and a"
                " command needs it. Check the broker and this worker's right to read it.",
            )
