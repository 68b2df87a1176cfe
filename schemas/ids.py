"""Identities that are derived, so that two copies of one request meet (pure)."""

import hashlib
import json
from base64 import b32encode
from collections.abc import Mapping

_CROCKFORD = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz"
)  # RFC 4648's base 32 alphabet to Crockford's, lower case
_ID_CHARACTERS = 26


def _derived(prefix: str, *parts: str) -> str:
    """`prefix` and 130 bits of SHA-256 over the parts, each preceded by its length."""
    joined = b"".join(len(p).to_bytes(4, "big") + p for p in map(str.encode, parts))
    digits = b32encode(hashlib.sha256(joined).digest()).translate(_CROCKFORD)
    return prefix + digits[:_ID_CHARACTERS].decode()


def payment_id(merchant_id: str, mode: str, idempotency_key: str) -> str:
    """The payment that this create request makes, whoever takes the request and however often."""
    return _derived("pay_", "payment", merchant_id, mode, idempotency_key)


def command_id(payment_id: str, operation: str, idempotency_key: str) -> str:
    """Identity of one request about one payment."""
    return _derived("cmd_", "command", payment_id, operation, idempotency_key)


def derived_id(prefix: str, *parts: str) -> str:
    """An id of another kind that must be the same at each replay: refunds, payouts, requests."""
    return _derived(prefix, "derived", prefix, *parts)


def event_id(payment_id: str, sequence: int) -> str:
    """Identity of the payment's nth event."""
    return f"{payment_id}-{sequence}"


def fingerprint(meaning: Mapping[str, object]) -> str:
    """SHA-256 of a request's meaning; absent and None are the same.

    Leave out what may differ between two copies of one request: times, and ciphertexts that are
    randomised at each encryption.
    """
    present = {key: value for key, value in meaning.items() if value is not None}
    canonical = json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
